//! What other programs, and tests that break things on purpose, do to a registry.

use cluster::{Platform, eventually};
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use operator_harness::{COLLECTED, SOON};
use resources::kind::{DEPLOYMENT, SERVICE};
use serde_json::json;

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, behind_proxy, postgres, start, world};

const FINALIZER: &str = "modelregistry.opendatahub.io/finalizer";

#[tokio::test]
async fn a_field_that_nobody_knows_reaches_nothing() {
    let name = "unknown-field";
    let world = world(Platform::Kubernetes, name).await;
    world.registry(name, postgres()).await;
    let before = world.available(name).await;
    let deployment = world.until(DEPLOYMENT, name, |_| true).await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"chaosInjected": "true", "spec": {"chaosInjected": "true"}}),
        )
        .await;
    let after = world.available(name).await;
    assert_eq!(after.data["spec"], before.data["spec"]);
    let now = world.until(DEPLOYMENT, name, |_| true).await;
    assert_eq!(now.resource_version(), deployment.resource_version());
}

/// The default overlay has no webhooks: what they would have refused, the status says.
#[tokio::test]
async fn a_registry_that_admission_has_not_seen_is_told_what_is_wrong() {
    let name = "unseen";
    let world = world(Platform::OpenShift, name).await;
    world.registry(name, json!({"rest": {}})).await;
    let told = world.condition(name, "Available", "False").await;
    assert_eq!(told["reason"], "InvalidSpec");
    let message = told["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("required one of `postgres` or `mysql` database"),
        "{message}"
    );
    let made = world.api(DEPLOYMENT).get_opt(name).await;
    assert!(made.expect("an answer").is_none(), "no half of a registry");
    // And where defaults alone were missing, they are used.
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"postgres": {"generateDeployment": true}}}),
        )
        .await;
    world.available(name).await;
    world
        .condition(name, "KubeRBACProxyAvailable", "True")
        .await;
}

/// Somebody else's finalizer holds the resource, and nothing else.
#[tokio::test]
async fn a_finalizer_of_somebody_else_holds_the_resource_alone() {
    let name = "held";
    let world = world(Platform::Kubernetes, name).await;
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    let registries = world.api(MODEL_REGISTRY);
    let held = json!({"metadata": {"finalizers": [FINALIZER, "example.test/held"]}});
    world.edit(MODEL_REGISTRY, name, held).await;
    registries
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    // Ours is done with its part, and goes by itself.
    world
        .until(MODEL_REGISTRY, name, |registry| {
            registry.finalizers() == ["example.test/held"]
        })
        .await;
    let free = json!({"metadata": {"finalizers": null}});
    registries
        .patch(name, &PatchParams::default(), &Patch::Merge(free))
        .await
        .expect("freed");
    cluster::gone(&registries, name, SOON).await.expect("gone");
    for kind in [DEPLOYMENT, SERVICE] {
        cluster::gone(&world.api(kind), name, COLLECTED)
            .await
            .expect("gone with it");
    }
}

/// Rights that are taken are missed, and rights that are given back are used, without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_that_come_back_are_used() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let taken = own.cluster.expect_refusals(&[cluster::ANY_RIGHT]);
    taken.expect("noted");
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("revoked").await);
    world.registry("before", postgres()).await;
    world.available("before").await;

    let bindings: Api<ClusterRoleBinding> = Api::all(world.client.clone());
    let binding = "model-registry-operator-manager-rolebinding";
    let mut saved = bindings.get(binding).await.expect("the binding");
    bindings
        .delete(binding, &DeleteParams::default())
        .await
        .expect("taken");
    world
        .edit(
            MODEL_REGISTRY,
            "before",
            json!({"spec": {"rest": {"port": 8099}}}),
        )
        .await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let deployment = world.until(DEPLOYMENT, "before", |_| true).await;
    assert!(!deployment.data.to_string().contains("--port=8099"));

    saved.metadata.resource_version = None;
    saved.metadata.uid = None;
    bindings
        .create(&PostParams::default(), &saved)
        .await
        .expect("given back");
    eventually("the edit reaches the pods", COLLECTED, || async {
        let found = world.api(DEPLOYMENT).get("before").await;
        let found = found.map_err(|error| error.to_string())?;
        found
            .data
            .to_string()
            .contains("--port=8099")
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    })
    .await
    .expect("used");
    world.available("before").await;
    operator.stop();
}
