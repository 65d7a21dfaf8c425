//! Kills at random while users keep working.

use std::time::Duration;

use cluster::Platform;
use kube::api::DeleteParams;
use serde_json::json;

use crate::{
    harness::MODEL_REGISTRY,
    scenario::{Shape, agrees, at_rest, shapes},
    seed::Random,
    stage::Stage,
    state::History,
};
use operator_harness::wire::Fault;

const REGISTRIES: u64 = 20;
/// Kills while the registries come up. All are made then: what is kept of a generated Postgres
/// depends on whether there ever was one.
const EARLY: u64 = 15;
/// Kills while users work on them.
const LATE: u64 = 35;

/// What a user does to one registry.
#[derive(Clone, Copy, Debug)]
enum Act {
    Create,
    Edit,
    Replicas(u64),
    Delete,
}

async fn act(stage: &Stage, shapes: &[Shape], index: u64, act: Act) {
    let shape = &shapes[usize::try_from(index).expect("small") % shapes.len()];
    let name = format!("{}-{index}-{}", shape.name, stage.token());
    match act {
        Act::Create => stage.world.registry(&name, shape.spec.clone()).await,
        Act::Edit => {
            stage
                .world
                .edit(MODEL_REGISTRY, &name, json!({"spec": shape.edit}))
                .await;
        }
        Act::Replicas(replicas) => {
            stage
                .world
                .edit(
                    MODEL_REGISTRY,
                    &name,
                    json!({"spec": {"operand": {"replicas": replicas}}}),
                )
                .await;
        }
        Act::Delete => {
            stage
                .world
                .api(MODEL_REGISTRY)
                .delete(&name, &DeleteParams::background())
                .await
                .expect("deleted");
        }
    }
}

/// One act per kill: edits and deletions of random registries that are there.
fn acts(random: &mut Random) -> Vec<(u64, Act)> {
    let mut there: Vec<u64> = (0..REGISTRIES).collect();
    (0..LATE)
        .map(|kill| {
            let place = usize::try_from(random.below(there.len() as u64)).expect("small");
            if kill % 6 == 5 {
                return (there.remove(place), Act::Delete);
            }
            let act = if random.below(2) == 0 {
                Act::Edit
            } else {
                Act::Replicas(1 + random.below(3))
            };
            (there[place], act)
        })
        .collect()
}

/// Kills the operator at one of its next writes while `busy` goes on, and starts another. Whether
/// it came to that write: some are killed while they start.
async fn kill(stage: &Stage, random: &mut Random, busy: impl Future<Output = ()>) -> bool {
    let fault = if random.below(2) == 0 {
        Fault::Killed
    } else {
        Fault::KilledUnanswered
    };
    stage.arm(1 + random.below(40), fault);
    busy.await;
    let patience = Duration::from_millis(if random.below(5) == 0 {
        random.below(400)
    } else {
        3000
    });
    let struck = tokio::time::timeout(patience, stage.wire.struck())
        .await
        .is_ok();
    stage.restart().await;
    struck
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_registries_survive_fifty_random_kills() {
    let mut random = Random::new();
    let shapes = shapes();
    let acts = acts(&mut random);
    let calm = async {
        let stage = Stage::new(Platform::Kubernetes, "calm").await;
        stage.start();
        for index in 0..REGISTRIES {
            act(&stage, &shapes, index, Act::Create).await;
        }
        at_rest(&stage, History::Forgotten).await;
        for &(index, what) in &acts {
            act(&stage, &shapes, index, what).await;
        }
        let end = at_rest(&stage, History::Forgotten).await;
        stage.close().await;
        end
    };
    let stage = Stage::new(Platform::Kubernetes, "killed").await;
    stage.start();
    let mut struck = 0;
    let killed = async {
        for index in 0..REGISTRIES {
            act(&stage, &shapes, index, Act::Create).await;
        }
        for _ in 0..EARLY {
            struck += u32::from(kill(&stage, &mut random, async {}).await);
        }
        at_rest(&stage, History::Forgotten).await;
        for &(index, what) in &acts {
            struck += u32::from(kill(&stage, &mut random, act(&stage, &shapes, index, what)).await);
        }
    };
    let (expected, ()) = tokio::join!(calm, killed);
    println!("{} kills, {struck} of them at a write", EARLY + LATE);
    assert!(struck > 3, "the kills met {struck} writes only");
    assert!(
        expected.len() > 100,
        "{} objects are too few to tell anything",
        expected.len()
    );
    let report = agrees(&stage, &expected, History::Forgotten).await;
    stage.close().await;
    report.expect("the state of an undisturbed run");
}
