//! A child of any kind is put back, and goes when nothing asks for it any more.

use cluster::{Platform, StandIn, eventually};
use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams};
use mlflow_operator::kinds::{CONSOLE_LINK, MLFLOW};
use operator_harness::SOON;
use resources::Kind;
use resources::kind::{
    CERTIFICATE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, CRON_JOB, DEPLOYMENT, HTTP_ROUTE,
    NETWORK_POLICY, POD_DISRUPTION_BUDGET, SECRET, SERVICE, SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use serde_json::{Value, json};

use crate::harness::{World, world};

/// Label that says which server an object is of.
const APP: &str = "app";

/// An object of this kind that the server with this uid has.
async fn child(world: &World, kind: Kind, owner: &str) -> DynamicObject {
    let is_child = |object: &DynamicObject| {
        let owners = object.owner_references();
        owners.iter().any(|one| one.uid == owner) && object.labels().contains_key(APP)
    };
    eventually(&format!("a {kind}"), SOON, || async {
        let all = world.api(kind).list(&ListParams::default()).await;
        let all = all.map_err(|error| error.to_string())?;
        let found = all.items.into_iter().find(is_child);
        found.ok_or_else(|| "there is none".to_owned())
    })
    .await
    .expect("a child")
}

/// As an operator of another version made it beside `like`.
fn left_over(kind: Kind, name: &str, like: &DynamicObject) -> Value {
    let mut object = like.data.clone();
    object["apiVersion"] = kind.api_version().into();
    object["kind"] = kind.kind.into();
    object["metadata"] = json!({"name": name, "labels": like.labels(),
        "ownerReferences": like.owner_references()});
    let members = object.as_object_mut().expect("an object");
    members.remove("status");
    if let Some(spec) = members.get_mut("spec").and_then(Value::as_object_mut) {
        spec.retain(|field, _| !field.starts_with("clusterIP"));
    }
    object
}

async fn are_kept(world: &World, mlflow: &str, kinds: &[Kind]) {
    let owner = world.api(MLFLOW).get(mlflow).await.expect("the resource");
    let owner = owner.uid().expect("a uid");
    for &kind in kinds {
        let child = child(world, kind, &owner).await;
        let name = child.name_any();
        let drifted = json!({"metadata": {"labels": {APP: "drifted"}}});
        world.edit(kind, &name, drifted).await;
        world
            .until(kind, &name, |now| now.labels()[APP] == child.labels()[APP])
            .await;
        let left = format!("{name}-left");
        world.apply(left_over(kind, &left, &child)).await;
        world.gone(kind, &left).await;
    }
    world.ready(mlflow).await;
}

#[tokio::test]
async fn children_of_every_kind_are_kept_on_kubernetes() {
    let world = world(Platform::Kubernetes).await;
    let fields = json!({
        "garbageCollection": {"schedule": "0 2 * * 0"},
        "podDisruptionBudget": {"maxUnavailable": 1},
    });
    world.mlflow("kept", &fields).await;
    world.ready("kept").await;
    let kinds = [
        SERVICE_ACCOUNT,
        CLUSTER_ROLE,
        CLUSTER_ROLE_BINDING,
        SERVICE,
        CONFIG_MAP,
        SECRET,
        NETWORK_POLICY,
        POD_DISRUPTION_BUDGET,
        DEPLOYMENT,
        CRON_JOB,
    ];
    are_kept(&world, "kept", &kinds).await;
}

#[tokio::test]
async fn children_of_optional_kinds_are_kept() {
    let world = world(Platform::OpenShift).await;
    let cluster = world.cluster;
    cluster
        .install(StandIn::Certificate)
        .await
        .expect("the API");
    // What cert-manager would make.
    world
        .apply(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "mlflow-tls-kept"},
            "stringData": {"tls.crt": "c", "tls.key": "k"}}),
        )
        .await;
    let issuer = json!({"certManager": {"issuerRef": {"name": "ca"}}});
    world.mlflow("kept", &json!({"tls": issuer})).await;
    world.ready("kept").await;
    let kinds = [HTTP_ROUTE, CONSOLE_LINK, SERVICE_MONITOR, CERTIFICATE];
    are_kept(&world, "kept", &kinds).await;
}
