//! The status is right on every way out of a pass, and right again once what was wrong is mended.

use std::collections::BTreeMap;

use cluster::{Platform, api_of, conditions, eventually};
use kube::api::{DynamicObject, ListParams};
use resources::Kind;
use serde_json::{Value, json};

use crate::harness::{SOON, TRUSTYAI, World, credentials, database, files, world};
use crate::models::models;

const EVENT: Kind = Kind::namespaced("events.k8s.io", "v1", "Event", "events");

/// Conditions by type, each said of this generation.
fn told(service: &DynamicObject) -> BTreeMap<String, Value> {
    let all = conditions(&service.data).map(|condition| {
        let generation = condition["observedGeneration"].as_i64();
        assert_eq!(generation, service.metadata.generation, "{condition}");
        let kind = condition["type"].as_str().expect("a type").to_owned();
        (kind, condition.clone())
    });
    all.collect()
}

/// What sums up is the same in all of its forms.
fn agrees(service: &DynamicObject, ready: bool) {
    let told = told(service);
    let word = |holds| if holds { "True" } else { "False" };
    for (condition, holds) in [
        ("Ready", ready),
        ("Available", ready),
        ("ProvisioningSucceeded", ready),
        ("Degraded", !ready),
    ] {
        assert_eq!(told[condition]["status"], word(holds), "{condition}");
    }
    let status = &service.data["status"];
    let phase = if ready { "Ready" } else { "Not Ready" };
    assert_eq!(
        (&status["phase"], &status["ready"]),
        (&json!(phase), &json!(word(ready)))
    );
    assert_eq!(
        status["observedGeneration"],
        json!(service.metadata.generation)
    );
    for count in ["replicas", "readyReplicas"] {
        assert!(status[count].is_i64(), "{count}: {status}");
    }
}

async fn is_ready(world: &World, name: &str) -> DynamicObject {
    let service = world.ready(name).await;
    agrees(&service, true);
    let status = &service.data["status"];
    assert_eq!(
        (&status["replicas"], &status["readyReplicas"]),
        (&json!(1), &json!(1))
    );
    service
}

/// Whether a Warning of this reason was recorded about the service.
async fn warned(world: &World, reason: &str) {
    let events = api_of(&world.client, Some(&world.namespace), EVENT);
    eventually(&format!("Warning {reason}"), SOON, || async {
        let all = events.list(&ListParams::default()).await;
        let all = all.map_err(|error| error.to_string())?;
        let mut all = all.iter().map(|event| &event.data);
        let found = all.any(|event| event["reason"] == reason && event["type"] == "Warning");
        found.then_some(()).ok_or_else(String::new)
    })
    .await
    .expect("recorded");
}

/// An edit of a running service, the condition that is wrong then with its reason and a word of its
/// message, and the reason of the event.
type Wrong = (
    Value,
    &'static str,
    &'static str,
    &'static str,
    Option<&'static str>,
);

#[tokio::test]
async fn what_goes_wrong_is_told_and_forgotten() {
    let wrongs: [Wrong; 5] = [
        (
            json!({"serviceMonitoring": {"ref": {"kind": "Pod"}}}),
            "Ready",
            "InvalidSpec",
            "spec.serviceMonitoring.ref",
            Some("InvalidSpec"),
        ),
        (
            json!({"storage": {"existingClaim": "none"}}),
            "PVCAvailable",
            "PVCNotFound",
            "spec.storage.existingClaim",
            None,
        ),
        (
            json!({"storage": {"pv": "none"}}),
            "PVAvailable",
            "PVNotFound",
            "spec.storage.pv",
            None,
        ),
        (
            json!({"storage": {"format": "DATABASE", "databaseConfigurations": "none"}}),
            "DBAvailable",
            "DBCredentialsNotFound",
            "create it with the keys",
            Some("DBCredentialsNotFound"),
        ),
        (
            json!({"storage": {"format": "DATABASE", "databaseConfigurations": "half"}}),
            "DBAvailable",
            "DBCredentialsError",
            "databaseName",
            Some("DBCredentialsError"),
        ),
    ];
    let all = wrongs.map(|(edit, condition, reason, word, event)| async move {
        let world = world(Platform::OpenShift, "status").await;
        let mut half = credentials("p");
        half["metadata"]["name"] = "half".into();
        half["stringData"]
            .as_object_mut()
            .expect("data")
            .remove("databaseName");
        world.apply(&half).await;
        world.service("told", &files()).await;
        let before = told(&is_ready(&world, "told").await);
        world.edit(TRUSTYAI, "told", json!({ "spec": edit })).await;
        let wrong = world.condition("told", condition, "False").await;
        assert_eq!(wrong["reason"], reason);
        let message = wrong["message"].as_str().unwrap_or_default();
        assert!(message.contains(word), "{message}");
        world.condition("told", "Ready", "False").await;
        let service = world.api(TRUSTYAI).get("told").await.expect("the service");
        agrees(&service, false);
        if let Some(event) = event {
            warned(&world, event).await;
        }
        let back = resources::merge::diff(&service.data["spec"], &files()).expect("an edit");
        world.edit(TRUSTYAI, "told", json!({ "spec": back })).await;
        let after = told(&is_ready(&world, "told").await);
        let types = |told: &BTreeMap<String, Value>| told.keys().cloned().collect::<Vec<_>>();
        assert_eq!(types(&after), types(&before), "nothing is left of {edit}");
    });
    futures::future::join_all(all).await;
}

/// What the Go operator's tests of its status ask of files, a database, and a migration.
#[tokio::test]
async fn conditions_are_those_of_the_mode_with_and_without_models() {
    let mut migration = files();
    migration["storage"]["format"] = "DATABASE".into();
    migration["storage"]["databaseConfigurations"] = "db".into();
    let modes = [
        (files(), ["PVCAvailable"].as_slice()),
        (database(), &["DBAvailable"]),
        (
            migration,
            &["PVCAvailable", "DBAvailable", "MigrationCompleted"],
        ),
    ];
    let all = modes.map(|(spec, storage)| async move {
        let world = models(Platform::OpenShift, "modes").await;
        if storage.contains(&"DBAvailable") {
            world.service("told", &spec).await;
            world.condition("told", "Available", "False").await;
            let service = world.api(TRUSTYAI).get("told").await.expect("the service");
            agrees(&service, false);
            world.apply(&credentials("p")).await;
        } else {
            world.service("told", &spec).await;
        }
        let conditions = told(&is_ready(&world, "told").await);
        for condition in storage.iter().chain(&["RouteAvailable", "StorageReady"]) {
            assert_eq!(conditions[*condition]["status"], "True", "{condition}");
        }
        for condition in ["PVCAvailable", "DBAvailable", "MigrationCompleted"] {
            let is_there = conditions.contains_key(condition);
            assert_eq!(is_there, storage.contains(&condition), "{condition}");
        }
        let present = &conditions["InferenceServicesPresent"];
        assert_eq!(
            (&present["status"], &present["reason"]),
            (&json!("False"), &json!("InferenceServicesNotFound"))
        );
        world
            .model("model", "somebody", "ModelMesh", Value::Null)
            .await;
        world
            .condition("told", "InferenceServicesPresent", "True")
            .await;
        is_ready(&world, "told").await;
    });
    futures::future::join_all(all).await;
}

/// A service that is paused says so, and is not touched.
#[tokio::test]
async fn a_service_that_is_paused_says_so() {
    let world = world(Platform::Kubernetes, "paused").await;
    world.service("told", &files()).await;
    is_ready(&world, "told").await;
    let pause = |value: Value| json!({"metadata": {"annotations": {"trustyai.opendatahub.io/reconcile": value}}});
    world.edit(TRUSTYAI, "told", pause(json!("paused"))).await;
    world.condition("told", "Paused", "True").await;
    world.edit(TRUSTYAI, "told", pause(Value::Null)).await;
    let api = world.api(TRUSTYAI);
    let goes_on = |service: Option<&DynamicObject>| {
        service.is_some_and(|service| !told(service).contains_key("Paused"))
    };
    let gone = cluster::until(&api, "told", SOON, goes_on).await;
    gone.expect("no such condition");
    is_ready(&world, "told").await;
}
