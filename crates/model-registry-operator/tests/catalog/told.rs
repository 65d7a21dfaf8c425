//! What is told of a catalog, from documents to conditions.

use api::catalog::v1alpha1::Catalog as Resource;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use model_registry_operator::catalog::Catalog;
use operator_harness::Pass;
use resources::kind::{AUTH, INGRESS_CONFIG};
use runtime::offline::{OfflineInputs, Platform};
use serde_json::{Value, json};

use crate::offline::{component, resource};

/// A pass over a catalog among `documents`. What it says is what the next one starts from.
fn pass(resource: &mut Resource, documents: &[Value]) -> Vec<Condition> {
    let catalog: Catalog = component(&[]);
    let now = Timestamp::UNIX_EPOCH;
    let capabilities = Platform::Kubernetes.capabilities(&catalog, &[INGRESS_CONFIG, AUTH]);
    let inputs = OfflineInputs::new(&catalog, resource, documents, capabilities, now);
    let pass = Pass::over(&catalog, resource, inputs).unwrap();
    assert!(pass.plan.is_ok(), "{:?}", pass.plan);
    let status = pass.status(&catalog, resource);
    let conditions = status.conditions.clone();
    resource.status = Some(status);
    conditions
}

/// Status, reason, and the generation that it is told of.
fn brief<'a>(conditions: &'a [Condition], type_: &str) -> (&'a str, &'a str, Option<i64>) {
    let found = conditions.iter().find(|one| one.type_ == type_).unwrap();
    (&found.status, &found.reason, found.observed_generation)
}

fn catalog() -> Resource {
    let mut catalog = resource("catalog", &json!({}));
    catalog.metadata.generation = Some(4);
    catalog
}

/// The Deployment, whose pods are `[all, those of the newest template, those that do not run]`.
fn deployment(generation: i64, observed: i64, pods: [i32; 3], progress: &str) -> Value {
    let [replicas, updated, unavailable] = pods;
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "model-catalog", "namespace": "ns", "generation": generation, "labels": labels()},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
            "unavailableReplicas": unavailable, "availableReplicas": replicas - unavailable,
            "conditions": [
                {"type": "Available", "status": if replicas > unavailable { "True" } else { "False" }},
                {"type": "Progressing", "status": "True", "reason": progress},
            ],
        },
    })
}

fn labels() -> Value {
    json!({"app": "model-catalog", "component": "model-catalog", "app.kubernetes.io/name": "model-catalog",
        "kubernetes.io/service-name": "model-catalog"})
}

fn slice() -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "model-catalog-x", "namespace": "ns", "labels": labels()},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": true}}],
    })
}

/// A pod whose server waits, and why.
fn waiting(reason: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "p", "namespace": "ns", "labels": labels()},
        "spec": {"containers": [{"name": "catalog"}]},
        "status": {"containerStatuses": [{"name": "catalog", "ready": false, "restartCount": 0, "image": "",
            "imageID": "", "state": {"waiting": {"reason": reason, "message": "its own words"}}}]},
    })
}

const DONE: &str = "NewReplicaSetAvailable";
const ROLLING: &str = "ReplicaSetUpdated";

/// Older pods serve all the while: the catalog is available, and not yet what is asked for.
#[test]
fn a_rolling_update_is_no_outage_and_no_stale_true() {
    let mut catalog = catalog();
    let up = pass(&mut catalog, &[deployment(1, 1, [1, 1, 0], DONE), slice()]);
    for type_ in ["Available", "Ready"] {
        let (status, _, generation) = brief(&up, type_);
        assert_eq!((status, generation), ("True", Some(4)), "{type_}");
    }
    catalog.metadata.generation = Some(5);
    for (deployment, told_of) in [
        // The controller has not looked at it: what was told is of the edit before.
        (deployment(2, 1, [1, 1, 0], DONE), 4),
        // It has, and speaks of the old pods.
        (deployment(2, 2, [1, 0, 0], DONE), 5),
        // The old pod is available, the new one is not.
        (deployment(2, 2, [2, 1, 1], ROLLING), 5),
    ] {
        let told = pass(&mut catalog, &[deployment, slice()]);
        assert_eq!(
            brief(&told, "Available"),
            ("True", "DeploymentAvailable", Some(told_of))
        );
        assert_eq!(
            brief(&told, "Ready"),
            ("False", "UpdatingDeployment", Some(5))
        );
    }
    let held_up = [
        deployment(2, 2, [2, 1, 1], ROLLING),
        slice(),
        waiting("ImagePullBackOff"),
    ];
    let told = pass(&mut catalog, &held_up);
    assert_eq!(brief(&told, "Available").0, "True", "old pods serve");
    let ready = told.iter().find(|one| one.type_ == "Ready").unwrap();
    assert!(ready.message.contains("its own words"), "{ready:?}");
    let told = pass(&mut catalog, &[deployment(2, 2, [1, 1, 0], DONE), slice()]);
    for type_ in ["Available", "Ready"] {
        let (status, _, generation) = brief(&told, type_);
        assert_eq!((status, generation), ("True", Some(5)), "{type_}");
    }
}

#[test]
fn a_catalog_that_starts_is_no_error_and_one_that_cannot_is() {
    let mut catalog = catalog();
    let starting = deployment(1, 1, [1, 1, 1], ROLLING);
    for (documents, reason, words) in [
        (vec![], "DeploymentUnavailable", "ContainerCreating"),
        (
            vec![starting.clone(), waiting("ContainerCreating")],
            "DeploymentUnavailable",
            "ContainerCreating",
        ),
        (
            vec![starting.clone(), waiting("ImagePullBackOff")],
            "ConfigurationError",
            "container catalog waiting: its own words",
        ),
    ] {
        let told = pass(&mut catalog, &documents);
        let available = told.iter().find(|one| one.type_ == "Available").unwrap();
        assert_eq!(
            (available.status.as_str(), available.reason.as_str()),
            ("False", reason)
        );
        assert!(available.message.contains(words), "{available:?}");
        assert_eq!(brief(&told, "Ready"), ("False", reason, Some(4)));
    }
}
