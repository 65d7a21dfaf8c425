//! An operator that starts where all is well writes nothing.

use std::time::Duration;

use cluster::{Platform, eventually};
use kube::{ResourceExt, api::DeleteParams};
use operator_harness::SOON;
use resources::kind;
use serde_json::json;

use crate::{
    harness::{MODEL_REGISTRY, postgres},
    scenario::{at_rest, shapes},
    stage::Stage,
    state::{History, versions},
};

const REGISTRIES: usize = 20;

async fn restart(platform: Platform) {
    let stage = Stage::new(platform, "restart").await;
    stage.start();
    let shapes = shapes();
    for index in 0..REGISTRIES {
        let shape = &shapes[index % shapes.len()];
        stage
            .world
            .registry(
                &format!("{}-{index}-{}", shape.name, stage.token()),
                shape.spec.clone(),
            )
            .await;
    }
    at_rest(&stage, History::Counts).await;
    let before = versions(&stage).await;
    assert!(
        before.len() > 10 * REGISTRIES,
        "{} objects are too few",
        before.len()
    );
    for killed in [false, true] {
        let (writes, watches) = (stage.wire.writes(), stage.wire.watches());
        if killed {
            stage.kill().await;
        } else {
            stage.stop().await;
        }
        stage.start();
        eventually("the new operator's watches", SOON, || async {
            let opened = stage.wire.watches() - watches;
            if opened > 10 {
                Ok(())
            } else {
                Err(format!("{opened} opened"))
            }
        })
        .await
        .expect("watches");
        tokio::time::sleep(Duration::from_secs(5)).await;
        // An apply of what is already so is no change.
        println!(
            "{platform}: {} requests that could write",
            stage.wire.writes() - writes
        );
        let after = versions(&stage).await;
        let changed: Vec<_> = before
            .iter()
            .filter(|(name, version)| after.get(*name) != Some(version))
            .collect();
        assert!(
            changed.is_empty() && after.len() == before.len(),
            "changed: {changed:?}"
        );
    }
    works(&stage).await;
    stage.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_taken_out_of_a_spec_while_no_operator_runs_goes() {
    let stage = Stage::new(Platform::Kubernetes, "absent").await;
    let name = format!("absent-{}", stage.token());
    let mut spec = postgres();
    spec["operand"] = json!({"nodeSelector": {"kubernetes.io/os": "linux"}});
    stage.world.registry(&name, spec).await;
    stage.start();
    let selector = "/spec/template/spec/nodeSelector";
    stage
        .world
        .until(kind::DEPLOYMENT, &name, |object| {
            object.data.pointer(selector).is_some()
        })
        .await;
    at_rest(&stage, History::Counts).await;
    stage.stop().await;
    stage
        .world
        .edit(MODEL_REGISTRY, &name, json!({"spec": {"operand": null}}))
        .await;
    stage.start();
    stage
        .world
        .until(kind::DEPLOYMENT, &name, |object| {
            object.data.pointer(selector).is_none()
        })
        .await;
    stage.close().await;
}

/// The operator is awake: what is deleted comes back.
async fn works(stage: &Stage) {
    let services = stage.world.api(kind::SERVICE);
    let name = format!("proxy-2-{}", stage.token());
    let old = services.get(&name).await.expect("a Service");
    services
        .delete(&name, &DeleteParams::background())
        .await
        .expect("deleted");
    stage
        .world
        .until(kind::SERVICE, &name, |new| new.uid() != old.uid())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn restarting_with_twenty_registries_writes_nothing_on_kubernetes() {
    restart(Platform::Kubernetes).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn restarting_with_twenty_registries_writes_nothing_on_openshift() {
    restart(Platform::OpenShift).await;
}
