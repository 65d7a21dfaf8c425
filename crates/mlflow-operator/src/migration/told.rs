//! What people are told of a migration: conditions, in the words of the Go operator where it has any.

use api::mlflow::v1::FORCE_MIGRATE as FORCE;
use conditions::{ConditionType, Reason, Status, Wanted, condition_type};
use runtime::component::Note;

use super::failure::Failure;
use super::names::Role;
use super::state::{Decision, Observed, Phase, Trigger, reasons};

/// Whether the database is what the server of this generation needs.
pub const MIGRATION: ConditionType = condition_type!("Migration");
/// Whether the server can be used.
pub const AVAILABLE: ConditionType = condition_type!("Available");
/// Whether something is on its way.
pub const PROGRESSING: ConditionType = condition_type!("Progressing");

/// What a phase means for people.
struct Words {
    reason: Reason,
    message: String,
    /// The server cannot be used, and not by a fault of its own.
    down: bool,
    /// Nothing happens until somebody does something.
    over: bool,
}

/// Conditions in the place of what the server's Deployment says: `Migration`, where there is one to
/// tell of, and `Available` and `Progressing` where the migration decides them.
#[must_use]
pub fn conditions(seen: &Observed, decision: &Decision) -> Vec<Wanted> {
    let migration = |status, reason, message: &str| {
        Wanted::new(MIGRATION, status, reason, message).observed(seen.generation)
    };
    if let Phase::Finished = decision.phase {
        let message = format!(
            "Migration for generation {} completed successfully",
            seen.generation
        );
        return vec![migration(Status::True, reasons::SUCCEEDED, &message)];
    }
    let Some(words) = words(seen, decision) else {
        return Vec::new();
    };
    let Words {
        reason, message, ..
    } = words;
    let status = if words.over {
        Status::False
    } else {
        Status::Unknown
    };
    let mut all = vec![migration(status, reason, &message)];
    if let Phase::Applied = decision.phase {
        // From here on the Deployment speaks.
        return all;
    }
    let progressing = Status::from(!words.over);
    all.push(Wanted::new(PROGRESSING, progressing, reason, &message));
    if words.down {
        all.push(Wanted::new(AVAILABLE, Status::False, reason, &message));
    }
    all
}

/// Conditions of a migration that stands still because `message`: something could not be written.
#[must_use]
pub fn error(seen: &Observed, message: &str) -> Vec<Wanted> {
    let told = |type_, status| Wanted::new(type_, status, reasons::ERROR, message);
    let mut all = vec![
        told(MIGRATION, Status::Unknown).observed(seen.generation),
        told(PROGRESSING, Status::False),
    ];
    if !seen.server.up {
        all.push(told(AVAILABLE, Status::False));
    }
    all
}

/// The event of a migration that is somewhere else than was told: it began, the server is stopped, it
/// ended, or failed once more. It has reason and words of condition `Migration`; a warning is what
/// somebody should look at.
#[must_use]
pub fn news(seen: &Observed, decision: &Decision) -> Option<Note> {
    let mut all = conditions(seen, decision).into_iter();
    let wanted = all.find(|one| one.type_ == MIGRATION)?;
    let warning = wanted.status == Status::False || matches!(decision.phase, Phase::Retrying(..));
    let is_known = seen.told.as_ref().is_some_and(|told| {
        // Pods that remain, and what holds a Job up, are no events.
        let goes_on = !warning && told.generation == Some(seen.generation);
        told.reason == wanted.reason.as_str() && (goes_on || told.message == wanted.message)
    });
    (!is_known).then(|| Note {
        warning,
        reason: wanted.reason.as_str(),
        action: "Migrate",
        message: wanted.message,
    })
}

fn words(seen: &Observed, decision: &Decision) -> Option<Words> {
    let forced = seen.force.is_some();
    let either = |plain, by_force| if forced { by_force } else { plain };
    let because = || {
        let trigger = decision.trigger.as_ref();
        trigger.map_or_else(String::new, |trigger| {
            format!(" because {}", detail(seen, trigger))
        })
    };
    let job = |role| seen.job_name(role);
    let up = seen.server.up;
    let (reason, message, down, over) = match &decision.phase {
        Phase::Idle | Phase::Finished => return None,
        Phase::Downgrade => (reasons::DOWNGRADE, downgrade(seen), false, true),
        Phase::Checking(problem) => {
            let job = job(Role::Check);
            let text = format!("Waiting for pre-check Job {job}, while the server runs,");
            let message = format!("{text}{}{}", because(), held_up(problem.as_ref()));
            (reasons::CHECK, message, false, false)
        }
        Phase::CheckFailed(Some(failure)) => {
            let failed = failed(seen, Role::Check, failure);
            let message = format!(
                "{failed}. The server runs on as it was. Change the resource; or, {}",
                rerun(seen)
            );
            (reasons::CHECK_FAILED, message, false, true)
        }
        Phase::CheckFailed(None) => (reasons::CHECK_FAILED, told(seen), false, true),
        Phase::ScalingDown(pods) => {
            let reason = either(reasons::SCALING_DOWN, reasons::FORCED_SCALING_DOWN);
            let text = "Waiting for MLflow pods to quiesce before migration";
            let message = format!("{text}: {pods} replicas remain{}", because());
            (reason, message, true, false)
        }
        Phase::Created => {
            let reason = either(reasons::RUNNING, reasons::FORCED_RUNNING);
            let message = format!("Created migration Job {}{}", job(Role::Migrate), because());
            (reason, message, true, false)
        }
        Phase::Running(job, problem) => {
            let reason = either(reasons::RUNNING, reasons::FORCED_RUNNING);
            let text = format!("Waiting for migration Job {job} to finish");
            let message = format!("{text}{}{}", because(), held_up(problem.as_ref()));
            (reason, message, true, false)
        }
        Phase::Waiting(others) => {
            let reason = either(reasons::RUNNING, reasons::FORCED_RUNNING);
            let others = others.join(", ");
            let text = format!("Waiting for another migration to finish: {others}");
            (reason, format!("{text}{}", because()), !up, false)
        }
        Phase::Restarting(job) => {
            let message = format!("Deleting Job {job}{}", because());
            (reasons::FORCED_RESTART, message, !up, false)
        }
        Phase::Retrying(role, failure, at) => {
            let message = format!(
                "{}. Retrying at {at}; to retry at once, {}",
                failed(seen, *role, failure),
                hint(seen)
            );
            (reasons::RETRYING, message, *role == Role::Migrate, false)
        }
        Phase::Clearing(job) => {
            let message = format!("Deleting failed Job {job}, to retry");
            (reasons::RETRYING, message, !up, false)
        }
        Phase::Failed(Some(failure)) => {
            let failed = failed(seen, Role::Migrate, failure);
            let message = format!("{failed}. {}", capital(&rerun(seen)));
            (reasons::FAILED, message, true, true)
        }
        Phase::Failed(None) => (reasons::FAILED, told(seen), !up, true),
        Phase::Applied => {
            let reason = either(reasons::APPLIED, reasons::FORCED_APPLIED);
            let message = format!(
                "Migration to MLflow {} is done; waiting for the server",
                seen.supported
            );
            (reason, message, false, false)
        }
    };
    Some(Words {
        reason,
        message,
        down,
        over,
    })
}

/// Why there is a migration, in words.
fn detail(seen: &Observed, trigger: &Trigger) -> String {
    match trigger {
        Trigger::Forced => format!("annotation {FORCE} asks for it"),
        Trigger::Bootstrap => format!("no version is recorded before MLflow {}", seen.supported),
        Trigger::Version(recorded) => {
            format!("MLflow {recorded} ran last and {} is next", seen.supported)
        }
        Trigger::Unfinished => format!("that of generation {} is unfinished", seen.generation),
        Trigger::Always => format!(
            "spec.migration.mode is Always and generation {} is new",
            seen.generation
        ),
    }
}

fn failed(seen: &Observed, role: Role, failure: &Failure) -> String {
    let what = match role {
        Role::Check => "Pre-check",
        Role::Migrate => "Migration",
    };
    format!(
        "{what} Job {} failed: {}",
        seen.job_name(role),
        failure.message
    )
}

fn downgrade(seen: &Observed) -> String {
    format!(
        "MLflow {} ran last, and this operator migrates to {}, which cannot use a newer database. The \
         server runs on as it was. Install an operator for the newer version; or restore the older \
         database, and then {}",
        seen.recorded.as_deref().unwrap_or_default(),
        seen.supported,
        hint(seen)
    )
}

/// What was said of a Job that is gone.
fn told(seen: &Observed) -> String {
    let told = seen.told.as_ref();
    told.map_or_else(String::new, |told| told.message.clone())
}

fn held_up(problem: Option<&String>) -> String {
    problem.map_or_else(String::new, |problem| format!(": {problem}"))
}

/// How to ask for another run, once something is mended.
fn rerun(seen: &Observed) -> String {
    if seen.force.is_some() {
        return format!(
            "after fixing the issue, give the annotation {FORCE} of the MLflow resource another value \
             to force a rerun."
        );
    }
    format!(
        "after fixing the issue, add the {FORCE} annotation to the MLflow resource to force a rerun."
    )
}

/// How to ask for a run now.
fn hint(seen: &Observed) -> String {
    if seen.force.is_some() {
        return format!("give the annotation {FORCE} of the MLflow resource another value");
    }
    format!("add the {FORCE} annotation to the MLflow resource")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::migration::state::{JobState, SeenJob, Server};

    fn seen() -> Observed {
        Observed {
            deployment: "mlflow".into(),
            generation: 3,
            supported: "3.14.0".into(),
            recorded: Some("3.10.1".into()),
            always: false,
            force: None,
            told: None,
            server: Server::default(),
            job: None,
            check: None,
            others: Vec::new(),
            stale_checks: Vec::new(),
            now: "2026-01-02T03:04:05Z".parse().unwrap(),
        }
    }

    fn up() -> Observed {
        Observed {
            server: Server {
                up: true,
                pods: 1,
                ..Server::default()
            },
            ..seen()
        }
    }

    fn job(role: Role, state: JobState) -> SeenJob {
        SeenJob {
            name: seen().job_name(role),
            forced_by: None,
            state,
        }
    }

    fn failure(code: i32) -> JobState {
        let at: Timestamp = seen().now;
        JobState::Failed(Failure {
            at,
            code: Some(code),
            overdue: false,
            message: format!("code {code}"),
        })
    }

    fn lines(seen: &Observed) -> String {
        let all = conditions(seen, &seen.decide());
        let line = |wanted: Wanted| {
            format!(
                "{} {} {}: {}",
                wanted.type_.as_str(),
                wanted.status.as_str(),
                wanted.reason.as_str(),
                wanted.message
            )
        };
        all.into_iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_phase_has_its_words() {
        let migrate = |state| Observed {
            job: Some(job(Role::Migrate, state)),
            ..seen()
        };
        let check = |state| Observed {
            check: Some(job(Role::Check, state)),
            ..up()
        };
        let running = || JobState::Running(None);
        let cases = [
            ("checking", check(running())),
            (
                "held up",
                check(JobState::Running(Some("pod x: ImagePullBackOff".into()))),
            ),
            ("check failed", check(failure(10))),
            ("check retried", check(failure(15))),
            (
                "downgrade",
                Observed {
                    recorded: Some("3.15.0".into()),
                    ..up()
                },
            ),
            ("scaling down", check(JobState::Succeeded)),
            ("created", seen()),
            ("running", migrate(running())),
            ("failed", migrate(failure(11))),
            ("retried", migrate(failure(15))),
            ("applied", migrate(JobState::Succeeded)),
            (
                "finished",
                Observed {
                    server: Server {
                        up: true,
                        pods: 1,
                        unsettled: false,
                        complete: true,
                    },
                    ..migrate(JobState::Succeeded)
                },
            ),
        ];
        let both = cases.map(|(name, mut seen)| {
            let plain = lines(&seen);
            seen.force = Some("yes".into());
            format!(
                "# {name}\n{plain}\n# {name}, and asked for\n{}\n",
                lines(&seen)
            )
        });
        insta::assert_snapshot!(both.concat());
    }

    #[test]
    fn what_was_told_of_a_job_that_is_gone_is_told_on() {
        let told = super::super::state::Told {
            holds: false,
            reason: "MigrationFailed".into(),
            message: "it was so".into(),
            generation: Some(1),
        };
        let seen = Observed {
            told: Some(told),
            ..seen()
        };
        let all = conditions(&seen, &seen.decide());
        let migration = all.first().unwrap();
        assert_eq!(migration.message, "it was so");
        assert_eq!(migration.observed_generation, Some(3));
    }

    /// One event for each step of a migration and for each failure, whose words nothing repeats.
    #[test]
    fn every_step_is_one_event() {
        let mut now = Observed {
            recorded: None,
            ..seen()
        };
        let mut all = Vec::new();
        let mut step = |now: &mut Observed, job: Option<JobState>, server: Server| {
            now.job = job.map(|state| self::job(Role::Migrate, state));
            now.server = server;
            let decision = now.decide();
            let note = news(now, &decision);
            all.extend(note.map(|note| (note.warning, note.reason)));
            let told = conditions(now, &decision).remove(0);
            now.told = Some(super::super::state::Told {
                holds: told.status == Status::True,
                reason: told.reason.as_str().to_owned(),
                message: told.message,
                generation: told.observed_generation,
            });
        };
        let down = Server::default();
        let complete = Server {
            up: true,
            pods: 1,
            complete: true,
            ..down
        };
        let later = || {
            let JobState::Failed(failure) = failure(15) else {
                unreachable!()
            };
            JobState::Failed(Failure {
                at: failure.at + jiff::SignedDuration::from_secs(60),
                ..failure
            })
        };
        for job in [
            None,
            Some(JobState::Running(None)),
            Some(JobState::Running(Some("no node".into()))),
            Some(failure(15)),
            Some(failure(15)),
            Some(JobState::Deleting),
            Some(later()),
            Some(failure(11)),
            Some(failure(11)),
            None,
        ] {
            step(&mut now, job, down);
        }
        now.generation = 4;
        step(&mut now, None, down);
        now.force = Some("yes".into());
        step(&mut now, None, down);
        now.force = None;
        step(&mut now, Some(JobState::Succeeded), down);
        step(&mut now, Some(JobState::Succeeded), complete);
        step(&mut now, Some(JobState::Succeeded), complete);
        let expected = [
            (false, "MigrationRunning"),
            (true, "MigrationRetrying"),
            (true, "MigrationRetrying"),
            (true, "MigrationFailed"),
            (false, "ForceMigrationRunning"),
            (false, "MigrationApplied"),
            (false, "MigrationSucceeded"),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn what_cannot_be_written_leaves_a_server_alone() {
        let types = |seen: &Observed| {
            let all = error(seen, "forbidden").into_iter();
            all.map(|wanted| wanted.type_.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(types(&up()), ["Migration", "Progressing"]);
        assert_eq!(types(&seen()), ["Migration", "Progressing", "Available"]);
    }
}
