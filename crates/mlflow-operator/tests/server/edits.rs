//! Every edit of a running server reaches its pods, and every change of what it refers to.

use cluster::Platform;
use mlflow_operator::kinds::MLFLOW;
use resources::kind::{CONFIG_MAP, CRON_JOB, DEPLOYMENT, POD_DISRUPTION_BUDGET, SERVICE_ACCOUNT};
use serde_json::{Value, json};

use crate::harness::{INPUTS_HASH, template, world};

fn secret(name: &str, values: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values})
}

#[tokio::test]
async fn what_a_server_refers_to_is_waited_for_and_rolls_its_pods_once() {
    let world = world(Platform::Kubernetes).await;
    let fields = json!({"backendStoreUri": null, "storage": null,
        "backendStoreUriFrom": {"name": "rotated", "key": "uri"},
        "artifactsDestination": "s3://bucket/artifacts",
        "caBundleConfigMap": {"name": "authorities"},
        "tls": {"secretName": "certificate"}});
    world.mlflow("mlflow", &fields).await;
    let missing = world.condition("mlflow", "Available", "False").await;
    assert_eq!(missing["reason"], "CABundleConfigMapError");
    let map = |text: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities"},
            "data": {"ca.crt": text}})
    };
    world.apply(map("one")).await;
    let missing = world.condition("mlflow", "StorageReady", "False").await;
    assert_eq!(missing["reason"], "SecretNotFound");
    let missing = world.condition("mlflow", "TLSReady", "False").await;
    assert_eq!(missing["reason"], "CertificateMissing");
    world
        .apply(secret(
            "rotated",
            &json!({"uri": "postgresql://one/m", "other": "x"}),
        ))
        .await;
    world
        .apply(secret(
            "certificate",
            &json!({"tls.crt": "one", "tls.key": "k"}),
        ))
        .await;
    world.ready("mlflow").await;
    let mut generation = world.generation().await;
    let first = world
        .api(DEPLOYMENT)
        .get("mlflow")
        .await
        .expect("a Deployment");
    assert!(
        template(&first, INPUTS_HASH).is_null(),
        "what was there first rolls nothing"
    );
    let mut hash = Value::Null;
    for document in [
        secret("rotated", &json!({"uri": "postgresql://two/m"})),
        map("two"),
        secret("certificate", &json!({"tls.crt": "two"})),
    ] {
        world.apply(&document).await;
        let changed = world
            .until(DEPLOYMENT, "mlflow", |d| template(d, INPUTS_HASH) != &hash)
            .await;
        hash = template(&changed, INPUTS_HASH).clone();
        world.ready("mlflow").await;
        let now = world.generation().await;
        assert_eq!(now, generation + 1, "one rollout: {document}");
        generation = now;
    }
    // A key that nobody reads, and a label.
    world.apply(secret("rotated", &json!({"other": "y"}))).await;
    let labelled = json!({"metadata": {"labels": {"a": "b"}}});
    world.edit(CONFIG_MAP, "authorities", labelled).await;
    operator_harness::at_rest(world.cluster, crate::harness::OPERATOR).await;
    assert_eq!(world.generation().await, generation);
    world.delete("mlflow").await;
    for (kind, name) in [
        (resources::kind::SECRET, "rotated"),
        (resources::kind::SECRET, "certificate"),
        (CONFIG_MAP, "authorities"),
    ] {
        let api = world.api(kind);
        api.delete(name, &kube::api::DeleteParams::default())
            .await
            .expect("deleted");
    }
}

#[tokio::test]
async fn the_platforms_authorities_are_used_when_they_appear() {
    let world = world(Platform::Kubernetes).await;
    world.mlflow("mlflow", &json!({})).await;
    world.ready("mlflow").await;
    world
        .apply(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "odh-trusted-ca-bundle"}, "data": {"ca-bundle.crt": "x"}}))
        .await;
    world
        .until(DEPLOYMENT, "mlflow", |deployment| {
            template(deployment, "/spec/volumes")
                .to_string()
                .contains("odh-trusted-ca-bundle")
        })
        .await;
    let api = world.api(CONFIG_MAP);
    let name = "odh-trusted-ca-bundle";
    api.delete(name, &kube::api::DeleteParams::default())
        .await
        .expect("deleted");
    world
        .until(DEPLOYMENT, "mlflow", |deployment| {
            !template(deployment, "/spec/volumes")
                .to_string()
                .contains(name)
        })
        .await;
    world.ready("mlflow").await;
}

#[tokio::test]
async fn what_is_not_asked_for_any_more_goes() {
    let world = world(Platform::Kubernetes).await;
    let fields = json!({
        "garbageCollection": {"schedule": "0 2 * * 0"},
        "traceArchival": {"enabled": true, "location": "s3://b", "retention": "1d"},
        "podDisruptionBudget": {"maxUnavailable": 1},
    });
    world.mlflow("mlflow", &fields).await;
    world.ready("mlflow").await;
    let made = [
        (CRON_JOB, "mlflow-gc"),
        (SERVICE_ACCOUNT, "mlflow-gc-sa"),
        (resources::kind::CLUSTER_ROLE, "mlflow-gc"),
        (resources::kind::CLUSTER_ROLE_BINDING, "mlflow-gc"),
        (CRON_JOB, "mlflow-trace-archival"),
        (SERVICE_ACCOUNT, "mlflow-trace-archival-sa"),
        (CONFIG_MAP, "mlflow-trace-archival-config"),
        (POD_DISRUPTION_BUDGET, "mlflow"),
    ];
    for (kind, name) in made {
        world.until(kind, name, |_| true).await;
    }
    world
        .edit_spec(
            "mlflow",
            json!({"garbageCollection": null, "traceArchival": null, "podDisruptionBudget": null,
                "serviceAccountName": "other-sa"}),
        )
        .await;
    for (kind, name) in made {
        world.gone(kind, name).await;
    }
    world.until(SERVICE_ACCOUNT, "other-sa", |_| true).await;
    world.gone(SERVICE_ACCOUNT, "mlflow-sa").await;
    world.ready("mlflow").await;
}

#[tokio::test]
async fn a_wrong_spec_is_told_and_nothing_is_taken_down() {
    let world = world(Platform::Kubernetes).await;
    world.mlflow("mlflow", &json!({})).await;
    world.ready("mlflow").await;
    let locked = json!([{"name": "MLFLOW_DISABLE_TELEMETRY", "value": "false"}]);
    world.edit_spec("mlflow", json!({ "env": locked })).await;
    let told = world.condition("mlflow", "Available", "False").await;
    assert_eq!(told["reason"], "InvalidSpec");
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains("MLFLOW_DISABLE_TELEMETRY"), "{message}");
    world.condition("mlflow", "Degraded", "True").await;
    world
        .api(DEPLOYMENT)
        .get("mlflow")
        .await
        .expect("it runs on");
    world
        .edit_spec("mlflow", json!({"env": null, "podLabels": {"app": "x"}}))
        .await;
    world.ready("mlflow").await;
    let warned = world.condition("mlflow", "SpecWarnings", "True").await;
    assert!(
        warned["message"]
            .as_str()
            .is_some_and(|text| text.contains("podLabels"))
    );
    let paused =
        json!({"metadata": {"annotations": {"mlflow.opendatahub.io/reconcile": "paused"}}});
    world.edit(MLFLOW, "mlflow", paused).await;
    world.condition("mlflow", "Paused", "True").await;
}
