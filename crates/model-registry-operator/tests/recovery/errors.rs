//! An API server that answers with errors, and one that does not answer: the registry says so as
//! far as that can be said, and gets on by itself when the trouble is over.

use std::time::Duration;

use cluster::{Platform, conditions, eventually};
use http::Method;
use operator_harness::SOON;
use resources::kind::DEPLOYMENT;
use serde_json::json;

use crate::{
    harness::{MODEL_REGISTRY, behind_proxy},
    scenario::{at_rest, shapes},
    stage::Stage,
    state::{History, versions},
};

/// Waits until the registry says that this failed.
async fn says(stage: &Stage, name: &str, text: &str) {
    let what = format!("{name} says {text:?}");
    eventually(&what, SOON, || async {
        let found = stage.world.api(MODEL_REGISTRY).get(name).await;
        let found = found.map_err(|error| error.to_string())?;
        let told = conditions(&found.data).any(|c| {
            c["type"] == "Available"
                && c["status"] == "False"
                && c["message"].as_str().is_some_and(|m| m.contains(text))
        });
        told.then_some(())
            .ok_or_else(|| found.data["status"].to_string())
    })
    .await
    .expect("said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_server_are_told_and_outlived() {
    let stage = Stage::new(Platform::Kubernetes, "errors").await;
    stage.start();

    // What cannot be made is named, with the server's sentence.
    let name = format!("creates-{}", stage.token());
    stage.wire.refuse(Some(|_, method, path| {
        *method == Method::POST && path.ends_with("/deployments")
    }));
    stage.world.registry(&name, behind_proxy()).await;
    says(&stage, &name, "the disk is full").await;
    stage.wire.refuse(None);
    stage.world.available(&name).await;

    // What cannot be read stops the work, and nothing is made by guess.
    let name = format!("reads-{}", stage.token());
    stage.wire.refuse(Some(|_, method, path| {
        *method == Method::GET && path.ends_with("/secrets/second")
    }));
    let mut spec = behind_proxy();
    spec["postgres"]["passwordSecret"]["name"] = json!("second");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "second"},
        "stringData": {"password": "p"}});
    stage.world.apply(&secret.to_string()).await;
    stage.world.registry(&name, spec).await;
    says(&stage, &name, "reading Secret").await;
    let made = stage.world.api(DEPLOYMENT).get_opt(&name).await;
    assert!(made.expect("an answer").is_none());
    stage.wire.refuse(None);
    stage.world.available(&name).await;
    assert!(stage.wire.refusals() > 1, "{}", stage.wire.refusals());
    stage.close().await;
}

/// One request of seven, all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_now_and_then_keep_nothing_from_its_end() {
    let stage = Stage::new(Platform::Kubernetes, "now-and-then").await;
    stage.start();
    stage.wire.refuse(Some(|number, _, _| number % 7 == 3));
    for shape in shapes() {
        let name = format!("{}-{}", shape.name, stage.token());
        stage.world.registry(&name, shape.spec).await;
    }
    for shape in shapes() {
        let name = format!("{}-{}", shape.name, stage.token());
        stage.world.available(&name).await;
    }
    assert!(stage.wire.refusals() > 5, "{}", stage.wire.refusals());

    // Where nothing is to be done, errors make nothing to do.
    at_rest(&stage, History::Counts).await;
    stage
        .wire
        .refuse(Some(|_, method, _| *method != Method::GET));
    let (before, writes) = (versions(&stage).await, stage.wire.writes());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(stage.wire.writes(), writes);
    assert_eq!(versions(&stage).await, before);
    stage.wire.refuse(None);
    stage.close().await;
}

/// An edit while nothing gets through is done afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_was_cut_off_catches_up() {
    let stage = Stage::new(Platform::Kubernetes, "cut").await;
    stage.start();
    let name = format!("cut-{}", stage.token());
    stage.world.registry(&name, behind_proxy()).await;
    stage.world.available(&name).await;
    stage.wire.cut();
    let edit = json!({"spec": {"rest": {"port": 9999}}});
    stage.world.edit(MODEL_REGISTRY, &name, edit).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.wire.reconnect();
    stage
        .world
        .until(DEPLOYMENT, &name, |deployment| {
            let args = deployment.data["spec"]["template"]["spec"]["containers"].to_string();
            args.contains("--port=9999")
        })
        .await;
    stage.world.available(&name).await;
    stage.close().await;
}
