//! What a user is told of a workload, in the same words for all kinds.
//!
//! `Available` is about use: it stays True while older pods serve. `Ready` is about the newest edit.

use crate::told::Bad;
use conditions::{ConditionType, READY, Status, Wanted, condition_type, ready, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Availability, Progress, Workload};

/// Whether the workload can be used.
pub const AVAILABLE: ConditionType = condition_type!("Available");

/// What a user reads while everything goes its way. It stays the same from the first pass to the
/// last, so that a workload that starts costs one status write. Dashboards look for the word
/// `ContainerCreating` in it.
pub const STARTING: &str = "Deployment is unavailable: pods are starting or not yet behind the Service (ContainerCreating)";

/// [`AVAILABLE`] as it was told.
#[must_use]
pub fn told(conditions: &[Condition]) -> Option<&Condition> {
    let mut told = conditions.iter();
    told.find(|condition| condition.type_ == AVAILABLE.as_str())
}

impl Workload {
    /// Why it cannot be used, where `told` is [`AVAILABLE`] so far.
    #[must_use]
    pub fn down(&self, told: Option<&Condition>) -> Option<&str> {
        match &self.availability {
            Availability::Up => None,
            Availability::Undecided if told.is_some_and(|told| told.status == "True") => None,
            Availability::Undecided | Availability::Starting => Some(STARTING),
            Availability::Down(message) => Some(message),
        }
    }

    /// [`AVAILABLE`]: False for `bad`. Before anybody has looked at the changed Deployment it is
    /// what was `told`, of the generation that it was told of: neither False, as older pods serve,
    /// nor said of an edit that nobody has looked at.
    #[must_use]
    pub fn available(&self, bad: Option<Bad>, told: Option<&Condition>) -> Wanted {
        if let Some(Bad { reason, message }) = bad {
            return Wanted::new(AVAILABLE, Status::False, reason, message);
        }
        let usable = Wanted::new(
            AVAILABLE,
            Status::True,
            reason!("DeploymentAvailable"),
            "Deployment is available",
        );
        Wanted {
            observed_generation: self.told_of(told),
            ..usable
        }
    }

    /// The generation of the resource that a True condition speaks of, where `told` is that condition
    /// so far; `None` for the newest one.
    #[must_use]
    pub fn told_of(&self, told: Option<&Condition>) -> Option<i64> {
        match self.availability {
            Availability::Undecided => told.and_then(|told| told.observed_generation),
            _ => None,
        }
    }

    /// [`READY`], which sums up `parts`: where older pods serve, whoever waits for this edit waits
    /// on.
    #[must_use]
    pub fn ready(&self, parts: &[&Wanted]) -> Wanted {
        match self.rolling() {
            Some(Bad { reason, message })
                if parts.iter().all(|part| part.status == Status::True) =>
            {
                Wanted::new(READY, Status::False, reason, message)
            }
            _ => Wanted {
                observed_generation: None,
                ..ready(parts, 0)
            },
        }
    }

    /// Why it is not yet what is asked for, though it can be used.
    #[must_use]
    pub fn rolling(&self) -> Option<Bad> {
        let (reason, message) = match &self.progress {
            Progress::Settled => return None,
            Progress::Creating | Progress::Updating => (
                reason!("UpdatingDeployment"),
                "older pods serve until those of this generation do",
            ),
            Progress::Stalled(message) => (reason!("ProgressDeadlineExceeded"), message.as_str()),
        };
        let message = self.held_up.as_deref().unwrap_or(message).to_owned();
        Some(Bad { reason, message })
    }
}
