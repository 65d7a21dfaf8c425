//! What an older installation has stored.

use cluster::{Platform, eventually};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use model_registry_operator::registry::webhook;
use serde_json::json;

use crate::bench::{Bench, NEW, OLD, SOON, mysql};

const MIGRATE: &[(&str, &str)] = &[
    ("STORAGE_MIGRATION_SOURCE_VERSION", "v1alpha1"),
    ("STORAGE_MIGRATION_TARGET_VERSION", "v1beta1"),
];

async fn stored_versions(bench: &Bench) -> Vec<String> {
    let api: Api<CustomResourceDefinition> = Api::all(bench.client.clone());
    let found = api
        .get(webhook::DEFINITION_NAME)
        .await
        .expect("the definition");
    found
        .status
        .and_then(|status| status.stored_versions)
        .unwrap_or_default()
}

/// Waits for the condition as people do, and returns its message.
async fn told(bench: &Bench, status: &str) -> String {
    let definition = format!("crd/{}", webhook::DEFINITION_NAME);
    let condition = format!("--for=condition=StorageMigrated={status}");
    let kubectl = async |args: &[&str]| bench.cluster.kubectl(args).await.expect("kubectl");
    kubectl(&["wait", &definition, &condition, "--timeout=60s"]).await;
    let message = "jsonpath={.status.conditions[?(@.type==\"StorageMigrated\")].message}";
    kubectl(&["get", &definition, "-o", message]).await
}

/// A cluster that stores v1alpha1, with resources in it.
async fn older(namespace: &str, count: usize) -> Bench {
    let bench = Bench::bare(Platform::Kubernetes).await;
    let definition = api::v1alpha1();
    let mut definition = serde_json::to_value(definition).expect("JSON");
    definition["spec"]["versions"][0]["storage"] = true.into();
    cluster::apply_yaml(&bench.client, "default", &definition.to_string())
        .await
        .expect("the definition");
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    cluster::apply_yaml(&bench.client, "default", &space.to_string())
        .await
        .expect("a namespace");
    let mut spec = mysql();
    spec["grpc"] = json!({});
    spec["istio"] = json!({"authProvider": "p"});
    eventually("the first resource", SOON, || async {
        bench
            .create(OLD, namespace, "r0", &spec)
            .await
            .map_err(|error| error.to_string())
    })
    .await
    .expect("served");
    for number in 1..count {
        bench
            .create(OLD, namespace, &format!("r{number}"), &spec)
            .await
            .expect("created");
    }
    bench
}

#[tokio::test]
async fn the_old_version_leaves_the_store_by_the_overlay_with_webhooks() {
    // More than one page.
    let mut bench = older("old", 130).await;
    bench.install("overlays/webhook").await;
    assert_eq!(stored_versions(&bench).await, [OLD, NEW]);
    let operator = bench.operator(&["--leader-elect"], MIGRATE);
    eventually("the migration", SOON * 4, || async {
        let stored = stored_versions(&bench).await;
        if stored == [NEW] {
            Ok(())
        } else {
            Err(format!("{stored:?}"))
        }
    })
    .await
    .expect("migrated");
    assert!(told(&bench, "True").await.contains("stored in v1beta1"));
    let stored = bench
        .registries(NEW, "old")
        .get("r129")
        .await
        .expect("readable");
    assert_eq!(stored.data["spec"]["istio"]["authProvider"], "p");
    let seen = bench
        .registries(OLD, "old")
        .get("r7")
        .await
        .expect("readable");
    assert_eq!(seen.data["spec"]["istio"]["authProvider"], "p");
    operator.stop();

    // Without the old version in the store, the definition may lose it.
    let definitions: Api<CustomResourceDefinition> = Api::all(bench.client.clone());
    let patch: json_patch::Patch = serde_json::from_value(json!([
        {"op": "remove", "path": "/spec/versions/1"}, {"op": "remove", "path": "/spec/conversion"},
    ]))
    .expect("a patch");
    definitions
        .patch(
            webhook::DEFINITION_NAME,
            &PatchParams::default(),
            &Patch::<()>::Json(patch),
        )
        .await
        .expect("v1alpha1 goes");
    let still = bench
        .registries(NEW, "old")
        .get("r129")
        .await
        .expect("readable");
    assert_eq!(
        still.data["spec"]["istio"]["authProvider"], "p",
        "it really was rewritten"
    );
}

#[tokio::test]
async fn the_default_overlay_reads_what_is_stored_without_loss() {
    let mut bench = older("old", 1).await;
    bench.install("default").await;
    let operator = bench.operator(&[], &[]);
    eventually("a status", SOON, || async {
        let found = bench
            .registries(NEW, "old")
            .get("r0")
            .await
            .map_err(|error| error.to_string())?;
        let spec = &found.data["spec"];
        if spec["istio"]["authProvider"] == "p" && found.data["status"]["conditions"].is_array() {
            Ok(())
        } else {
            Err(found.data.to_string())
        }
    })
    .await
    .expect("read, and written");
    assert!(
        bench.registries(OLD, "old").get("r0").await.is_err(),
        "v1alpha1 is not served"
    );
    operator.stop();
}

#[tokio::test]
async fn a_migration_that_cannot_go_on_says_so_and_ends_when_it_can() {
    let mut bench = older("old", 2).await;
    bench.install("overlays/webhook").await;
    // A policy of somebody else refuses one of the resources.
    let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "frozen"}, "spec": {"failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{"apiGroups": ["modelregistry.opendatahub.io"],
                "apiVersions": ["*"], "operations": ["UPDATE"], "resources": ["modelregistries"]}]},
            "validations": [{"expression": "object.metadata.name != 'r1'", "message": "r1 is frozen"}]}});
    let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "frozen"}, "spec": {"policyName": "frozen", "validationActions": ["Deny"]}});
    for object in [policy, binding] {
        cluster::apply_yaml(&bench.client, "default", &object.to_string())
            .await
            .expect("a policy");
    }
    let operator = bench.operator(&["--leader-elect"], MIGRATE);
    eventually("what keeps it from going on", SOON * 2, || async {
        let message = told(&bench, "False").await;
        if message.contains("old/r1") && message.contains("r1 is frozen") {
            Ok(())
        } else {
            Err(message)
        }
    })
    .await
    .expect("told");
    bench
        .cluster
        .kubectl(&["delete", "validatingadmissionpolicybinding", "frozen"])
        .await
        .expect("unfrozen");
    told(&bench, "True").await;
    assert_eq!(stored_versions(&bench).await, [NEW]);
    operator.stop();
}
