//! A fault at every single write of a run.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use cluster::Platform;

use crate::{
    scenario::{STEPS, Shape, agrees, at_rest, shapes},
    stage::Stage,
    state::{History, State},
};
use operator_harness::wire::Fault;

/// Runs at the same time.
const SIDE_BY_SIDE: usize = 8;

/// The states after each step of a run that nothing disturbs, and its writes.
async fn undisturbed(platform: Platform, shapes: &[Shape]) -> (Vec<State>, u64) {
    let stage = Stage::new(platform, "undisturbed").await;
    stage.start();
    let mut states = Vec::new();
    for step in STEPS {
        step.take(&stage, shapes).await;
        states.push(at_rest(&stage, History::Counts).await);
    }
    let writes = stage.wire.writes();
    stage.close().await;
    (states, writes)
}

/// A run with one fault. Whether it came to the fault, or what is not as it should be.
async fn disturbed(
    platform: Platform,
    shapes: &[Shape],
    states: &[State],
    nth: u64,
    fault: Fault,
) -> Result<bool, String> {
    let stage = Stage::new(platform, "disturbed").await;
    stage.start();
    stage.arm(nth, fault);
    let happened = AtomicBool::new(false);
    let steps = async {
        for (step, expected) in STEPS.into_iter().zip(states) {
            step.take(&stage, shapes).await;
            agrees(&stage, expected, History::Counts)
                .await
                .map_err(|error| format!("{fault:?} at write {nth}, after {step:?}: {error}"))?;
        }
        Ok::<_, String>(())
    };
    let supervision = async {
        stage.wire.struck().await;
        if fault != Fault::Unanswered {
            stage.restart().await;
        }
        happened.store(true, Ordering::SeqCst);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = steps => ended?,
        () = supervision => {}
    }
    stage.close().await;
    Ok(happened.into_inner())
}

/// One run per write and fault, until the runs have no such write any more.
async fn at_every_write(platform: Platform, shapes: Vec<Shape>, faults: &'static [Fault]) {
    let began = Instant::now();
    let (states, writes) = undisturbed(platform, &shapes).await;
    let found: usize = states.iter().map(State::len).max().unwrap_or_default();
    assert!(
        found > 10 * shapes.len(),
        "{found} objects are too few to tell anything"
    );
    println!(
        "{platform}: {found} objects, {writes} writes undisturbed in {:?}",
        began.elapsed()
    );
    let shared = Arc::new((states, shapes, AtomicU64::new(0), Mutex::new(Vec::new())));
    let workers = (0..SIDE_BY_SIDE).map(|_| {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let (states, shapes, next, wrong) = &*shared;
            loop {
                let run = next.fetch_add(1, Ordering::SeqCst);
                let many = faults.len() as u64;
                let fault = faults[usize::try_from(run % many).expect("small")];
                match disturbed(platform, shapes, states, run / many + 1, fault).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        println!("{error}");
                        let mut wrong = wrong.lock().expect("no panic");
                        wrong.push(error);
                        // More of the same would only take time.
                        if wrong.len() > SIDE_BY_SIDE {
                            break;
                        }
                    }
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("a worker");
    }
    let (_, _, runs, wrong) = &*shared;
    let runs = runs.load(Ordering::SeqCst);
    println!(
        "{platform}: {runs} runs with {faults:?} in {:?}",
        began.elapsed()
    );
    assert!(
        runs >= writes.saturating_sub(5) * faults.len() as u64,
        "{runs} runs do not cover {writes} writes"
    );
    let wrong = wrong.lock().expect("no panic");
    assert!(
        wrong.is_empty(),
        "{} of {runs} runs went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_registries_survive_a_kill_at_every_write() {
    let shapes = shapes().into_iter().take(2).collect();
    at_every_write(Platform::Kubernetes, shapes, &[Fault::Killed]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "slow: a run per write; `cargo xtask test --full` has it"]
async fn two_registries_survive_a_lost_answer_at_every_write() {
    let shapes = shapes().into_iter().take(2).collect();
    at_every_write(Platform::Kubernetes, shapes, &[Fault::Unanswered]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "slow: several hundred runs; `cargo xtask test --full` has it"]
async fn five_registries_survive_every_fault_at_every_write() {
    let faults = &[Fault::Killed, Fault::KilledUnanswered, Fault::Unanswered];
    at_every_write(Platform::Kubernetes, shapes(), faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "slow: several hundred runs; `cargo xtask test --full` has it"]
async fn five_registries_survive_a_kill_at_every_write_on_openshift() {
    at_every_write(
        Platform::OpenShift,
        shapes(),
        &[Fault::Killed, Fault::Unanswered],
    )
    .await;
}
