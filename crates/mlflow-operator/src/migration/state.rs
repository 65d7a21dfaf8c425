//! What happens next, decided from what is seen. Nothing here reads or writes, and the time is an
//! input.
//!
//! The database is migrated by a Job while no server uses it. Before a server that runs is stopped,
//! another Job looks whether the migration can work: a wrong image or a database that is out of reach
//! costs nobody the server. What is remembered is in the Jobs and in condition `Migration`, so
//! that a restart of the operator changes nothing.

use jiff::{SignedDuration, Timestamp};

use super::failure::Failure;
use super::names::{self, Role};

/// How long after a failure that may pass the Job is tried again.
pub const RETRY: SignedDuration = SignedDuration::from_mins(2);

/// Reasons of condition `Migration`, and of `Available` and `Progressing` beside it.
pub mod reasons {
    use conditions::{Reason, reason};

    /// A Job looks whether the migration can work, and the server runs.
    pub const CHECK: Reason = reason!("MigrationPreCheck");
    /// It cannot. The server runs on as it was.
    pub const CHECK_FAILED: Reason = reason!("MigrationPreCheckFailed");
    /// The database may be newer than what this operator migrates to.
    pub const DOWNGRADE: Reason = reason!("MigrationDowngrade");
    /// The server's pods end.
    pub const SCALING_DOWN: Reason = reason!("MigrationScalingDown");
    /// The same, for a migration that was asked for.
    pub const FORCED_SCALING_DOWN: Reason = reason!("ForceMigrationScalingDown");
    /// A Job runs.
    pub const RUNNING: Reason = reason!("MigrationRunning");
    /// The same, for a migration that was asked for.
    pub const FORCED_RUNNING: Reason = reason!("ForceMigrationRunning");
    /// A Job of before the request goes first.
    pub const FORCED_RESTART: Reason = reason!("ForceMigrationRestartRequested");
    /// The Job failed and is tried again.
    pub const RETRYING: Reason = reason!("MigrationRetrying");
    /// The Job failed, and somebody has to do something.
    pub const FAILED: Reason = reason!("MigrationFailed");
    /// The database is migrated, and the server starts.
    pub const APPLIED: Reason = reason!("MigrationApplied");
    /// The same, for a migration that was asked for.
    pub const FORCED_APPLIED: Reason = reason!("ForceMigrationApplied");
    /// The server of this generation ran on the migrated database.
    pub const SUCCEEDED: Reason = reason!("MigrationSucceeded");
    /// What is needed for the migration could not be written.
    pub const ERROR: Reason = reason!("MigrationError");
}

/// What is seen of a resource and its migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Name of the server's Deployment.
    pub deployment: String,
    /// Generation of the resource.
    pub generation: i64,
    /// The version that this operator migrates to, without a `v`.
    pub supported: String,
    /// `status.version`: the last version whose server ran.
    pub recorded: Option<String>,
    /// `spec.migration.mode` is `Always`.
    pub always: bool,
    /// Value of the annotation that asks for a migration.
    pub force: Option<String>,
    /// Condition `Migration` as it was told.
    pub told: Option<Told>,
    /// The server.
    pub server: Server,
    /// The Job of this version and generation that migrates.
    pub job: Option<SeenJob>,
    /// The Job of this version and generation that looks beforehand.
    pub check: Option<SeenJob>,
    /// Other migrations of this resource that have not ended.
    pub others: Vec<Other>,
    /// Jobs that look beforehand and have not ended, of other versions or generations.
    pub stale_checks: Vec<String>,
    /// Time of this look.
    pub now: Timestamp,
}

/// A migration of another version or generation, or a pod whose Job is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Name of the Job, or of the pod.
    pub name: String,
    /// It is a Job and has never run: its image is not there, for one.
    pub unstarted: bool,
}

/// Condition `Migration` as it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its status is True.
    pub holds: bool,
    /// Its reason.
    pub reason: String,
    /// Its message.
    pub message: String,
    /// The generation that it speaks of.
    pub generation: Option<i64>,
}

/// The server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// Its Deployment asks for pods.
    pub up: bool,
    /// Pods that have not ended.
    pub pods: usize,
    /// The Deployment's controller has not looked at its newest edit.
    pub unsettled: bool,
    /// All pods that the resource asks for are those of the newest edit, and ready.
    pub complete: bool,
}

/// A Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenJob {
    /// Its name.
    pub name: String,
    /// The request that it was made for.
    pub forced_by: Option<String>,
    /// How far it is.
    pub state: JobState,
}

/// How far a Job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It has not ended. What keeps its pod from running, if anything does.
    Running(Option<String>),
    /// It did what it was for.
    Succeeded,
    /// It did not.
    Failed(Failure),
    /// It is being deleted.
    Deleting,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What becomes of the server.
    pub server: Action,
    /// A Job to make.
    pub create: Option<Role>,
    /// Jobs to delete.
    pub delete: Vec<String>,
    /// What this is, for people.
    pub phase: Phase,
    /// Why there is a migration; `None` where there is none.
    pub trigger: Option<Trigger>,
    /// When to look again if nothing happens before.
    pub due: Option<Timestamp>,
}

/// What becomes of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its Deployment stays as it is, older than the resource.
    Hold,
    /// Its Deployment is written, with no pods.
    Stop,
    /// Its Deployment is written as the resource asks.
    Run,
}

/// Where a migration is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// There is nothing to do.
    Idle,
    /// The database may be newer than the version to migrate to.
    Downgrade,
    /// A Job looks whether it can work; what keeps it from running, if anything does.
    Checking(Option<String>),
    /// It cannot. Without a failure, it was found before and the Job is gone.
    CheckFailed(Option<Failure>),
    /// Pods of the server end.
    ScalingDown(usize),
    /// The Job is made now.
    Created,
    /// The Job runs; what keeps it from running, if anything does.
    Running(String, Option<String>),
    /// Other migrations of this resource have to end before.
    Waiting(Vec<String>),
    /// A Job of before the request goes.
    Restarting(String),
    /// A Job failed, and is tried again at this time.
    Retrying(Role, Failure, Timestamp),
    /// A failed Job goes, to be tried again.
    Clearing(String),
    /// The migration failed for good. Without a failure, it was told before and the Job is gone.
    Failed(Option<Failure>),
    /// The database is migrated, and the server starts.
    Applied,
    /// The server runs on the migrated database: this is recorded, and the request goes.
    Finished,
}

/// Why there is a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The annotation asks for it.
    Forced,
    /// No version has ever run.
    Bootstrap,
    /// Another version ran last.
    Version(String),
    /// That of this generation has begun.
    Unfinished,
    /// Every generation is migrated.
    Always,
}

impl Observed {
    /// Name of the Job of this version and generation.
    #[must_use]
    pub fn job_name(&self, role: Role) -> String {
        names::job(&self.deployment, role, &self.supported, self.generation)
    }

    /// Why there is a migration to do, if there is one.
    #[must_use]
    pub fn trigger(&self) -> Option<Trigger> {
        if self.force.is_some() {
            return Some(Trigger::Forced);
        }
        match self
            .recorded
            .as_deref()
            .filter(|version| !version.is_empty())
        {
            None => return Some(Trigger::Bootstrap),
            Some(version) if version != self.supported => {
                return Some(Trigger::Version(version.to_owned()));
            }
            Some(_) => {}
        }
        match &self.told {
            Some(told) if told.generation == Some(self.generation) && told.holds => None,
            _ if self.always => Some(Trigger::Always),
            Some(told) if told.generation == Some(self.generation) => Some(Trigger::Unfinished),
            _ => None,
        }
    }

    /// What to do now.
    #[must_use]
    pub fn decide(&self) -> Decision {
        let (server, phase, due) = self.next();
        let create = match &phase {
            Phase::Created => Some(Role::Migrate),
            Phase::Checking(_) if self.check.is_none() => Some(Role::Check),
            _ => None,
        };
        let mut delete = self.stale_checks.clone();
        match &phase {
            Phase::Restarting(name) | Phase::Clearing(name) => delete.push(name.clone()),
            Phase::Waiting(_) => {
                let unstarted = self.others.iter().filter(|other| other.unstarted);
                delete.extend(unstarted.map(|other| other.name.clone()));
            }
            Phase::Idle => {
                // Its request was taken back.
                let check = self.check.iter();
                let running = check.filter(|check| matches!(check.state, JobState::Running(_)));
                delete.extend(running.map(|check| check.name.clone()));
            }
            _ => {}
        }
        Decision {
            server,
            create,
            delete,
            trigger: self.trigger(),
            due,
            phase,
        }
    }

    fn next(&self) -> (Action, Phase, Option<Timestamp>) {
        let runs = |job: &&SeenJob| matches!(job.state, JobState::Running(_));
        if let Some(job) = self.job.as_ref().filter(runs) {
            // Whoever asked for it, and whether anybody still does.
            return self.with_job(job);
        }
        if self.trigger().is_none() {
            return match self.others_first() {
                Some(wait) => (self.at_rest(), wait, None),
                None => (Action::Run, Phase::Idle, None),
            };
        }
        match &self.job {
            Some(job) => self.with_job(job),
            None => self.without_job(),
        }
    }

    /// The migration has a Job.
    fn with_job(&self, job: &SeenJob) -> (Action, Phase, Option<Timestamp>) {
        let down = |phase| (Action::Stop, phase, None);
        match &job.state {
            JobState::Running(problem) => down(Phase::Running(job.name.clone(), problem.clone())),
            // What it did is of before: a server that runs since then is looked at like any other.
            _ if !self.serves(job) => {
                let action = self.at_rest();
                (action, Phase::Restarting(job.name.clone()), None)
            }
            JobState::Deleting => down(Phase::Clearing(job.name.clone())),
            JobState::Succeeded => self.migrated(),
            JobState::Failed(failure) if failure.is_terminal(Role::Migrate) => {
                down(Phase::Failed(Some(failure.clone())))
            }
            JobState::Failed(failure) => {
                let (phase, due) = self.retry(Role::Migrate, &job.name, failure);
                (Action::Stop, phase, due)
            }
        }
    }

    fn without_job(&self) -> (Action, Phase, Option<Timestamp>) {
        if self.was_applied() {
            return self.migrated();
        }
        if self.force.is_none() && self.was_told(|told| told.reason == reasons::FAILED.as_str()) {
            return (self.at_rest(), Phase::Failed(None), None);
        }
        if self.server.up {
            return self.checked();
        }
        // Stopped already, or never started: nobody loses anything by the migration.
        let phase = if self.server.pods > 0 || self.server.unsettled {
            Phase::ScalingDown(self.server.pods)
        } else if let Some(wait) = self.others_first() {
            wait
        } else {
            Phase::Created
        };
        (Action::Stop, phase, None)
    }

    /// The server runs, and goes on until a Job has found that the migration can work.
    fn checked(&self) -> (Action, Phase, Option<Timestamp>) {
        let hold = |phase| (Action::Hold, phase, None);
        if self.force.is_none() && self.is_downgrade() {
            return hold(Phase::Downgrade);
        }
        let Some(check) = &self.check else {
            let found = |told: &Told| {
                told.reason == reasons::CHECK_FAILED.as_str()
                    && told.generation == Some(self.generation)
            };
            return hold(if self.force.is_none() && self.was_told(found) {
                Phase::CheckFailed(None)
            } else {
                Phase::Checking(None)
            });
        };
        match &check.state {
            JobState::Running(problem) => hold(Phase::Checking(problem.clone())),
            _ if !self.serves(check) => hold(Phase::Restarting(check.name.clone())),
            JobState::Deleting => hold(Phase::Clearing(check.name.clone())),
            JobState::Succeeded => (Action::Stop, Phase::ScalingDown(self.server.pods), None),
            JobState::Failed(failure) if failure.is_terminal(Role::Check) => {
                hold(Phase::CheckFailed(Some(failure.clone())))
            }
            JobState::Failed(failure) => {
                let (phase, due) = self.retry(Role::Check, &check.name, failure);
                (Action::Hold, phase, due)
            }
        }
    }

    /// The database is as the server needs it.
    fn migrated(&self) -> (Action, Phase, Option<Timestamp>) {
        if let Some(wait) = self.others_first() {
            return (self.at_rest(), wait, None);
        }
        let phase = if self.server.complete {
            Phase::Finished
        } else {
            Phase::Applied
        };
        (Action::Run, phase, None)
    }

    fn retry(&self, role: Role, job: &str, failure: &Failure) -> (Phase, Option<Timestamp>) {
        let at = failure.at.saturating_add(RETRY).unwrap_or(Timestamp::MAX);
        if self.now < at {
            (Phase::Retrying(role, failure.clone(), at), Some(at))
        } else {
            (Phase::Clearing(job.to_owned()), None)
        }
    }

    /// A server that runs is left alone, and one that does not stays down.
    fn at_rest(&self) -> Action {
        if self.server.up {
            Action::Hold
        } else {
            Action::Stop
        }
    }

    fn others_first(&self) -> Option<Phase> {
        let names = self.others.iter().map(|other| other.name.clone());
        (!self.others.is_empty()).then(|| Phase::Waiting(names.collect()))
    }

    /// Whether what this Job found counts: one of before a request does not.
    fn serves(&self, job: &SeenJob) -> bool {
        self.force.is_none() || job.forced_by == self.force
    }

    /// Whether the Job of this generation succeeded and is gone, before its server ran.
    fn was_applied(&self) -> bool {
        let applied = if self.force.is_some() {
            reasons::FORCED_APPLIED
        } else {
            reasons::APPLIED
        };
        self.was_told(|told| {
            let is_applied = told.reason == applied.as_str()
                || (self.force.is_none() && told.reason == reasons::FORCED_APPLIED.as_str());
            is_applied && told.generation == Some(self.generation)
        })
    }

    fn was_told(&self, is: impl Fn(&Told) -> bool) -> bool {
        self.told.as_ref().is_some_and(is)
    }

    /// Whether the version that ran last is newer than the one to migrate to. What is no version
    /// is no reason to wait.
    fn is_downgrade(&self) -> bool {
        let recorded = self.recorded.as_deref().and_then(version);
        recorded
            .zip(version(&self.supported))
            .is_some_and(|(recorded, supported)| recorded > supported)
    }
}

/// Major, minor and patch. Of two versions that differ in what follows, none counts as newer.
fn version(text: &str) -> Option<[u64; 3]> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let mut parts = numbers.split('.').map(str::parse);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests;
