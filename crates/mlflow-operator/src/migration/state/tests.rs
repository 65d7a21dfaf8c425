#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "cases read better with values in place"
)]

use proptest::prelude::*;

use super::*;

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// A new resource in an empty cluster.
fn fresh() -> Observed {
    Observed {
        deployment: "mlflow".into(),
        generation: 1,
        supported: "3.14.0".into(),
        recorded: None,
        always: false,
        force: None,
        told: None,
        server: Server::default(),
        job: None,
        check: None,
        others: Vec::new(),
        stale_checks: Vec::new(),
        now: now(),
    }
}

const UP: Server = Server {
    up: true,
    pods: 1,
    unsettled: false,
    complete: true,
};

/// One whose server runs, with nothing to do.
fn running() -> Observed {
    Observed {
        recorded: Some("3.14.0".into()),
        told: told("MigrationSucceeded", 1),
        server: UP,
        ..fresh()
    }
}

/// The same before an operator for a newer version.
fn outdated() -> Observed {
    Observed {
        recorded: Some("3.10.1".into()),
        ..running()
    }
}

fn told(reason: &str, generation: i64) -> Option<Told> {
    Some(Told {
        holds: reason == "MigrationSucceeded",
        reason: reason.into(),
        message: "as told".into(),
        generation: Some(generation),
    })
}

fn a_job(role: Role, state: JobState) -> SeenJob {
    SeenJob {
        name: fresh().job_name(role),
        forced_by: None,
        state,
    }
}

fn job(state: JobState) -> Option<SeenJob> {
    Some(a_job(Role::Migrate, state))
}

fn check(state: JobState) -> Option<SeenJob> {
    Some(a_job(Role::Check, state))
}

fn failure(code: i32) -> Failure {
    Failure {
        at: now(),
        overdue: false,
        code: Some(code),
        message: "why".into(),
    }
}

fn failed(code: i32) -> JobState {
    JobState::Failed(failure(code))
}

fn forced(seen: Observed) -> Observed {
    Observed {
        force: Some("yes".into()),
        ..seen
    }
}

fn by_force(job: Option<SeenJob>) -> Option<SeenJob> {
    job.map(|job| SeenJob {
        forced_by: Some("yes".into()),
        ..job
    })
}

fn step(seen: &Observed) -> (Action, Phase) {
    let decision = seen.decide();
    (decision.server, decision.phase)
}

#[test]
fn a_migration_is_needed_for_nine_reasons_and_no_others() {
    let always = |seen| Observed {
        always: true,
        ..seen
    };
    let next_generation = |seen| Observed {
        generation: 2,
        ..seen
    };
    let of_told = |reason, generation| Observed {
        told: told(reason, generation),
        ..running()
    };
    let table = [
        (fresh(), Some(Trigger::Bootstrap)),
        (
            Observed {
                recorded: Some(String::new()),
                ..fresh()
            },
            Some(Trigger::Bootstrap),
        ),
        (running(), None),
        (outdated(), Some(Trigger::Version("3.10.1".into()))),
        (next_generation(running()), None),
        (next_generation(always(running())), Some(Trigger::Always)),
        (always(running()), None),
        (of_told("MigrationRunning", 1), Some(Trigger::Unfinished)),
        (of_told("MigrationFailed", 1), Some(Trigger::Unfinished)),
        (next_generation(of_told("MigrationFailed", 1)), None),
        (
            always(of_told("MigrationRunning", 1)),
            Some(Trigger::Always),
        ),
        (forced(running()), Some(Trigger::Forced)),
        (forced(fresh()), Some(Trigger::Forced)),
    ];
    for (seen, trigger) in table {
        assert_eq!(seen.trigger(), trigger, "{seen:?}");
    }
}

#[test]
fn nothing_to_do_is_nothing_done() {
    let decision = running().decide();
    assert_eq!(
        (decision.server, decision.phase),
        (Action::Run, Phase::Idle)
    );
    assert_eq!((decision.create, decision.due), (None, None));
    assert!(decision.delete.is_empty());
}

#[test]
fn the_first_migration_needs_no_look_beforehand() {
    let decision = fresh().decide();
    assert_eq!(decision.server, Action::Stop);
    assert_eq!(decision.phase, Phase::Created);
    assert_eq!(decision.create, Some(Role::Migrate));
}

#[test]
fn a_server_that_runs_is_stopped_only_after_a_look() {
    let mut seen = outdated();
    let decision = seen.decide();
    assert_eq!(decision.server, Action::Hold);
    assert_eq!(decision.create, Some(Role::Check));
    assert_eq!(decision.phase, Phase::Checking(None));

    seen.check = check(JobState::Running(Some("no image".into())));
    let decision = seen.decide();
    assert_eq!(decision.server, Action::Hold);
    assert_eq!(decision.create, None);
    assert_eq!(decision.phase, Phase::Checking(Some("no image".into())));

    seen.check = check(JobState::Succeeded);
    assert_eq!(step(&seen), (Action::Stop, Phase::ScalingDown(1)));
}

#[test]
fn a_look_that_fails_leaves_the_server_alone() {
    for code in 10..=14 {
        let mut seen = Observed {
            check: check(failed(code)),
            ..outdated()
        };
        let expected = Phase::CheckFailed(Some(failure(code)));
        assert_eq!(step(&seen), (Action::Hold, expected));
        assert_eq!(seen.decide().due, None);
        // The Job is gone in time, and what it found stays.
        seen.check = None;
        seen.told = told("MigrationPreCheckFailed", 1);
        assert_eq!(step(&seen), (Action::Hold, Phase::CheckFailed(None)));
        assert_eq!(seen.decide().create, None);
        // A change of the resource, or a request, asks again.
        seen.generation = 2;
        assert_eq!(seen.decide().create, Some(Role::Check));
        seen.generation = 1;
        assert_eq!(forced(seen).decide().create, Some(Role::Check));
    }
    let mut seen = Observed {
        check: check(failed(15)),
        ..outdated()
    };
    let at = now() + RETRY;
    let expected = Phase::Retrying(Role::Check, failure(15), at);
    assert_eq!(step(&seen), (Action::Hold, expected));
    assert_eq!(seen.decide().due, Some(at));
    seen.now = at;
    let name = seen.job_name(Role::Check);
    assert_eq!(step(&seen), (Action::Hold, Phase::Clearing(name.clone())));
    assert_eq!(seen.decide().delete, [name]);
}

#[test]
fn a_database_that_may_be_newer_is_left_alone() {
    for (recorded, held) in [
        ("3.15.0", true),
        ("v3.14.1", true),
        ("4.0.0+build", true),
        ("3.14.0-rc1", false),
        ("3.9.9", false),
        ("nonsense", false),
    ] {
        let seen = Observed {
            recorded: Some(recorded.into()),
            ..running()
        };
        let expected = if held {
            (Action::Hold, Phase::Downgrade)
        } else {
            (Action::Hold, Phase::Checking(None))
        };
        assert_eq!(step(&seen), expected, "{recorded}");
        assert_eq!(step(&forced(seen)).1, Phase::Checking(None), "{recorded}");
    }
}

#[test]
fn the_job_waits_for_the_last_pod() {
    let mut seen = Observed {
        server: Server {
            pods: 2,
            ..Server::default()
        },
        check: check(JobState::Succeeded),
        ..outdated()
    };
    assert_eq!(step(&seen), (Action::Stop, Phase::ScalingDown(2)));
    assert_eq!(seen.decide().create, None);
    seen.server.pods = 0;
    seen.server.unsettled = true;
    assert_eq!(step(&seen), (Action::Stop, Phase::ScalingDown(0)));
    seen.server.unsettled = false;
    assert_eq!(step(&seen), (Action::Stop, Phase::Created));
}

#[test]
fn a_job_is_waited_for() {
    let mut seen = Observed {
        job: job(JobState::Running(None)),
        ..fresh()
    };
    let name = seen.job_name(Role::Migrate);
    assert_eq!(
        step(&seen),
        (Action::Stop, Phase::Running(name.clone(), None))
    );
    // Whoever starts the server meanwhile sees it stopped again.
    seen.server = UP;
    assert_eq!(step(&seen), (Action::Stop, Phase::Running(name, None)));
}

#[test]
fn a_migrated_database_gets_its_server_and_then_it_is_recorded() {
    let mut seen = Observed {
        job: job(JobState::Succeeded),
        ..fresh()
    };
    assert_eq!(step(&seen), (Action::Run, Phase::Applied));
    seen.server = Server {
        complete: false,
        ..UP
    };
    assert_eq!(step(&seen), (Action::Run, Phase::Applied));
    // The Job goes in time, and its success is not forgotten.
    seen.job = None;
    seen.told = told("MigrationApplied", 1);
    assert_eq!(step(&seen), (Action::Run, Phase::Applied));
    seen.server = UP;
    assert_eq!(step(&seen), (Action::Run, Phase::Finished));
}

#[test]
fn what_fails_for_good_stays_failed_in_every_generation() {
    for code in 10..=14 {
        let mut seen = Observed {
            job: job(failed(code)),
            ..fresh()
        };
        let expected = Phase::Failed(Some(failure(code)));
        assert_eq!(step(&seen), (Action::Stop, expected));
        assert_eq!(seen.decide().due, None);
        seen.job = None;
        seen.told = told("MigrationFailed", 1);
        for generation in 1..4 {
            seen.generation = generation;
            assert_eq!(step(&seen), (Action::Stop, Phase::Failed(None)));
            assert_eq!(seen.decide().create, None);
        }
        // Until somebody asks.
        assert_eq!(step(&forced(seen)), (Action::Stop, Phase::Created));
    }
}

#[test]
fn what_may_pass_is_tried_again_after_two_minutes() {
    for state in [
        failed(15),
        failed(137),
        failed(1),
        JobState::Failed(Failure {
            code: None,
            ..failure(0)
        }),
    ] {
        let JobState::Failed(failure) = state.clone() else {
            unreachable!()
        };
        let mut seen = Observed {
            job: job(state),
            ..fresh()
        };
        let at: Timestamp = "2026-01-02T03:06:05Z".parse().unwrap();
        let expected = Phase::Retrying(Role::Migrate, failure, at);
        assert_eq!(step(&seen), (Action::Stop, expected));
        assert_eq!(seen.decide().due, Some(at));
        assert!(seen.decide().delete.is_empty());
        seen.now = at;
        let name = seen.job_name(Role::Migrate);
        assert_eq!(step(&seen), (Action::Stop, Phase::Clearing(name.clone())));
        assert_eq!(seen.decide().delete, std::slice::from_ref(&name));
        seen.job = job(JobState::Deleting);
        assert_eq!(step(&seen), (Action::Stop, Phase::Clearing(name)));
        seen.job = None;
        seen.told = told("MigrationRetrying", 1);
        assert_eq!(step(&seen), (Action::Stop, Phase::Created));
    }
}

#[test]
fn a_request_is_served_by_a_job_of_its_own() {
    for state in [JobState::Succeeded, failed(11), failed(15)] {
        let mut seen = forced(Observed {
            job: job(state.clone()),
            ..fresh()
        });
        let name = seen.job_name(Role::Migrate);
        assert_eq!(step(&seen), (Action::Stop, Phase::Restarting(name.clone())));
        assert_eq!(seen.decide().delete, std::slice::from_ref(&name));
        seen.job = job(JobState::Deleting);
        assert_eq!(step(&seen), (Action::Stop, Phase::Restarting(name)));
        seen.job = None;
        assert_eq!(step(&seen), (Action::Stop, Phase::Created));
        seen.job = by_force(job(state.clone()));
        assert!(!matches!(step(&seen).1, Phase::Restarting(_)), "{state:?}");
        // A server that runs since then does not stop for it.
        let up = Observed {
            server: UP,
            job: job(state.clone()),
            ..seen.clone()
        };
        assert_eq!(step(&up).0, Action::Hold);
        // Another value is another request.
        seen.force = Some("once more".into());
        assert!(matches!(step(&seen).1, Phase::Restarting(_)), "{state:?}");
    }
}

#[test]
fn a_request_looks_beforehand_like_any_other_migration() {
    let mut seen = forced(running());
    assert_eq!(step(&seen), (Action::Hold, Phase::Checking(None)));
    // One of an earlier migration of the same generation says nothing of today.
    seen.check = check(JobState::Succeeded);
    let name = seen.job_name(Role::Check);
    assert_eq!(step(&seen), (Action::Hold, Phase::Restarting(name)));
    seen.check = by_force(check(JobState::Succeeded));
    assert_eq!(step(&seen), (Action::Stop, Phase::ScalingDown(1)));
}

#[test]
fn a_request_that_was_served_is_not_served_again() {
    let mut seen = forced(Observed {
        told: told("MigrationApplied", 1),
        ..fresh()
    });
    assert_eq!(step(&seen), (Action::Stop, Phase::Created));
    seen.told = told("ForceMigrationApplied", 1);
    assert_eq!(step(&seen), (Action::Run, Phase::Applied));
    // The request was taken back meanwhile.
    seen.force = None;
    assert_eq!(step(&seen), (Action::Run, Phase::Applied));
}

#[test]
fn other_migrations_end_first_and_those_that_never_began_go() {
    let other = |name: &str, unstarted| Other {
        name: name.into(),
        unstarted,
    };
    let mut seen = Observed {
        others: vec![other("a", false), other("b", true)],
        stale_checks: vec!["c".into()],
        ..fresh()
    };
    let names = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(step(&seen), (Action::Stop, Phase::Waiting(names.clone())));
    assert_eq!(seen.decide().delete, ["c", "b"]);
    // Even where nothing is to be done any more.
    seen.recorded = Some("3.14.0".into());
    assert_eq!(step(&seen), (Action::Stop, Phase::Waiting(names.clone())));
    seen.server = UP;
    assert_eq!(step(&seen), (Action::Hold, Phase::Waiting(names)));
}

#[test]
fn a_look_that_nobody_waits_for_goes() {
    let seen = Observed {
        check: check(JobState::Running(None)),
        ..running()
    };
    assert_eq!(seen.decide().delete, [seen.job_name(Role::Check)]);
}

/// A migration that was ended at its deadline is begun anew by nobody but a person, and a look is.
#[test]
fn what_took_too_long_is_told_and_not_repeated() {
    let overdue = || Failure {
        code: None,
        overdue: true,
        ..failure(0)
    };
    let seen = Observed {
        job: job(JobState::Failed(overdue())),
        ..fresh()
    };
    let failed = Phase::Failed(Some(overdue()));
    assert_eq!(step(&seen), (Action::Stop, failed));
    assert!(matches!(
        step(&forced(seen)),
        (Action::Stop, Phase::Restarting(_))
    ));
    let seen = Observed {
        check: check(JobState::Failed(overdue())),
        ..outdated()
    };
    assert!(matches!(step(&seen), (Action::Hold, Phase::Retrying(..))));
}

fn any_state() -> impl Strategy<Value = JobState> {
    let codes = prop_oneof![Just(None), (9..17).prop_map(Some)];
    let failed = (codes, -300_i64..300, any::<bool>()).prop_map(|(code, seconds, overdue)| {
        JobState::Failed(Failure {
            at: now() + SignedDuration::from_secs(seconds),
            code,
            overdue,
            message: "why".into(),
        })
    });
    prop_oneof![
        Just(JobState::Running(None)),
        Just(JobState::Succeeded),
        Just(JobState::Deleting),
        failed
    ]
}

fn any_request() -> impl Strategy<Value = Option<String>> {
    prop_oneof![
        Just(None),
        Just(Some("a".to_owned())),
        Just(Some("b".to_owned()))
    ]
}

fn any_job(role: Role) -> impl Strategy<Value = Option<SeenJob>> {
    let job = (any_state(), any_request()).prop_map(move |(state, forced_by)| SeenJob {
        forced_by,
        ..a_job(role, state)
    });
    proptest::option::of(job)
}

fn any_told() -> impl Strategy<Value = Option<Told>> {
    let reasons = [
        reasons::CHECK,
        reasons::CHECK_FAILED,
        reasons::DOWNGRADE,
        reasons::RUNNING,
        reasons::FORCED_RUNNING,
        reasons::RETRYING,
        reasons::FAILED,
        reasons::APPLIED,
        reasons::FORCED_APPLIED,
        reasons::SUCCEEDED,
        reasons::ERROR,
    ];
    let told = (proptest::sample::select(reasons.to_vec()), 1_i64..4);
    proptest::option::of(
        told.prop_map(|(reason, generation)| told_one(reason.as_str(), generation)),
    )
}

fn told_one(reason: &str, generation: i64) -> Told {
    told(reason, generation).unwrap()
}

prop_compose! {
    fn anything()(
        generation in 1_i64..4,
        recorded in proptest::option::of(proptest::sample::select(vec!["", "3.10.1", "3.14.0", "3.15.0", "x"])),
        (always, force) in (any::<bool>(), any_request()),
        told in any_told(),
        (up, pods, unsettled, complete) in (any::<bool>(), 0_usize..3, any::<bool>(), any::<bool>()),
        (job, check) in (any_job(Role::Migrate), any_job(Role::Check)),
        others in proptest::collection::vec(any::<bool>(), 0..2),
    ) -> Observed {
        let named = |role, job: Option<SeenJob>| job.map(|job| {
            let name = Observed { generation, ..fresh() }.job_name(role);
            SeenJob { name, ..job }
        });
        let (job, check) = (named(Role::Migrate, job), named(Role::Check, check));
        Observed {
            generation,
            recorded: recorded.map(str::to_owned),
            always,
            force,
            told,
            server: Server { up, pods, unsettled, complete: complete && up },
            job,
            check,
            others: others.into_iter().map(|unstarted| Other { name: "other".into(), unstarted }).collect(),
            ..fresh()
        }
    }
}

fn migrates(seen: &Observed) -> bool {
    let own = seen.job.as_ref();
    !seen.others.is_empty() || own.is_some_and(|job| matches!(job.state, JobState::Running(_)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_is_seen_the_server_and_a_migration_never_meet(seen in anything()) {
        let decision = seen.decide();
        let checked = seen.check.as_ref().is_some_and(|check| {
            check.state == JobState::Succeeded && (seen.force.is_none() || check.forced_by == seen.force)
        });
        if decision.server == Action::Run {
            prop_assert!(!migrates(&seen), "started while a migration runs");
        }
        if decision.server == Action::Stop && seen.server.up {
            let begun = seen.job.as_ref().is_some_and(|job| {
                matches!(job.state, JobState::Running(_)) || seen.force.is_none() || job.forced_by == seen.force
            });
            prop_assert!(checked || begun, "stopped without a look");
        }
        if decision.create == Some(Role::Migrate) {
            prop_assert!(!seen.server.up && seen.server.pods == 0 && !seen.server.unsettled);
            prop_assert!(!migrates(&seen) && seen.job.is_none());
            prop_assert_eq!(decision.server, Action::Stop);
        }
        if decision.create == Some(Role::Check) {
            prop_assert!(seen.check.is_none() && decision.server == Action::Hold);
        }
        if decision.phase == Phase::Finished {
            prop_assert!(seen.server.complete && seen.trigger().is_some());
        }
        for name in &decision.delete {
            let own = [&seen.job, &seen.check].into_iter().flatten().find(|job| job.name == *name);
            let other = seen.others.iter().find(|other| other.name == *name);
            prop_assert!(other.is_none_or(|other| other.unstarted));
            let own_ended = own.is_none_or(|job| {
                !matches!(job.state, JobState::Running(_)) || job.name == seen.job_name(Role::Check)
            });
            prop_assert!(own_ended, "deleted while it runs");
        }
        if let Some(due) = decision.due {
            prop_assert!(due > seen.now);
        }
    }

    /// A cluster that does what it is told to, and Jobs that end in some way.
    #[test]
    fn every_migration_comes_to_an_end(
        mut seen in anything(),
        ends in proptest::collection::vec(any_state(), 0..4),
    ) {
        let mut ends = ends.into_iter();
        let mut told_of = Vec::new();
        for _ in 0..60 {
            seen.now += SignedDuration::from_secs(600);
            let decision = seen.decide();
            told_of.push(decision.phase.clone());
            match &decision.phase {
                Phase::Idle | Phase::Downgrade | Phase::CheckFailed(_) | Phase::Failed(_) => return Ok(()),
                Phase::Finished => {
                    seen.recorded = Some(seen.supported.clone());
                    seen.told = told("MigrationSucceeded", seen.generation);
                    seen.force = None;
                }
                _ => {}
            }
            seen.others.clear();
            for job in [&mut seen.job, &mut seen.check] {
                if let Some(found) = job {
                    if decision.delete.contains(&found.name) || found.state == JobState::Deleting {
                        *job = None;
                    } else if matches!(found.state, JobState::Running(_)) {
                        found.state = ends.next().unwrap_or(JobState::Succeeded);
                    }
                }
            }
            let forced_by = seen.force.clone();
            let made = |role| {
                let state = JobState::Running(None);
                Some(SeenJob { name: seen.job_name(role), forced_by, state })
            };
            match decision.create {
                Some(Role::Migrate) => seen.job = made(Role::Migrate),
                Some(Role::Check) => seen.check = made(Role::Check),
                None => {}
            }
            seen.server = match decision.server {
                Action::Hold => seen.server,
                Action::Stop => Server::default(),
                Action::Run => UP,
            };
            if seen.job.as_ref().is_some_and(|job| matches!(job.state, JobState::Running(_))) {
                prop_assert!(!seen.server.up || decision.server == Action::Hold);
            }
        }
        prop_assert!(false, "no end: {told_of:?}");
    }
}
