//! What every operator tells of a pass in the same words.

use conditions::{ConditionType, Reason, Status, Wanted, carry_over, condition_type, reason};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use resources::Kind;

use crate::{
    component::{Attempt, Component, Failure, Note},
    outcome::Target,
};

/// True while an annotation stops the resource. Only there then.
pub const PAUSED: ConditionType = condition_type!("Paused");
/// True while the operator lacks rules that it asks for. Only there then.
pub const RIGHTS_MISSING: ConditionType = condition_type!("RightsMissing");

/// Reason for what has no reason of its own.
pub const UNAVAILABLE: Reason = reason!("DeploymentUnavailable");

/// Why a condition does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Reason of the condition.
    pub reason: Reason,
    /// Message of the condition.
    pub message: String,
}

impl<C: Component> Attempt<'_, C> {
    /// Why there is no plan, or the cluster is not as planned. A target, with the rule that is
    /// missing, `counts` or the resource can do without it. `foreign` says whose objects of a
    /// taken name are, and what to do.
    pub fn undone(
        &self,
        counts: impl Fn(&Target, Option<&str>) -> bool,
        foreign: &str,
    ) -> Option<Bad> {
        if let Some(failure) = self.failure {
            return Some(Bad {
                reason: Reason::parse(failure.reason()).unwrap_or(UNAVAILABLE),
                message: failure.to_string(),
            });
        }
        let mut failed = self
            .outcome
            .failed
            .iter()
            .filter(|failed| counts(&failed.target, failed.missing_rule.as_deref()));
        if let Some(first) = failed.next() {
            let more = match failed.count() {
                0 => String::new(),
                others => format!(" ({others} more)"),
            };
            return Some(Bad {
                reason: UNAVAILABLE,
                message: format!(
                    "{} could not be written: {}{more}",
                    first.target, first.message
                ),
            });
        }
        let taken: Vec<String> = self
            .outcome
            .foreign
            .iter()
            .filter(|target| counts(target, None))
            .map(ToString::to_string)
            .collect();
        (!taken.is_empty()).then(|| Bad {
            reason: reason!("ObjectConflict"),
            message: format!("{} belongs to {foreign}", taken.join(", ")),
        })
    }

    /// The event about `message`, where something went wrong: with the reason of the failure, or
    /// `otherwise` with this one.
    #[must_use]
    pub fn warning(&self, message: Option<String>, otherwise: &'static str) -> Vec<Note> {
        let note = message.map(|message| Note {
            warning: true,
            reason: self.failure.map_or(otherwise, Failure::reason),
            action: "Reconcile",
            message,
        });
        note.into_iter().collect()
    }

    /// Condition [`RIGHTS_MISSING`], where it is.
    #[must_use]
    pub fn rights_missing(&self) -> Option<Wanted> {
        let rules = self.missing_rules;
        (!rules.is_empty()).then(|| {
            Wanted::new(
                RIGHTS_MISSING,
                Status::True,
                reason!("MissingRights"),
                format!("the operator's service account lacks: {}", rules.join(", ")),
            )
        })
    }

    /// Condition [`PAUSED`], where it is: why this `what` (`registry`) stands still.
    #[must_use]
    pub fn stopped(&self, what: &str) -> Option<Wanted> {
        let annotation = C::IDENTITY.pause_annotation;
        self.paused.then(|| {
            let message =
                format!("annotation {annotation}: paused stops this {what}; remove it to go on");
            Wanted::new(PAUSED, Status::True, reason!("Paused"), message)
        })
    }

    /// The conditions of a resource that is [`stopped`](Self::stopped): all others stay as they were
    /// told.
    #[must_use]
    pub fn when_paused(
        &self,
        previous: &[Condition],
        generation: i64,
        what: &str,
    ) -> Option<Vec<Condition>> {
        let wanted = self.stopped(what)?.observed(generation);
        Some(carry_over(previous, &[wanted], self.now, |_| true))
    }

    /// Whether the operator may follow a kind, so that its absence says something.
    #[must_use]
    pub fn may_watch(&self, kind: Kind) -> bool {
        let resource = kind.resource();
        !self.missing_rules.iter().any(|rule| {
            rule.split_once(' ').is_some_and(|(verb, on)| {
                let on = on.split_once(' ').map_or(on, |(on, _name)| on);
                on == resource && matches!(verb, "list" | "watch")
            })
        })
    }
}
