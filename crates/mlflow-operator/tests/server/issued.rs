//! Certificates of cert-manager, which the test plays.

use cluster::{Platform, StandIn};
use kube::api::DeleteParams;
use resources::kind::{CERTIFICATE, DEPLOYMENT, SECRET};
use serde_json::{Value, json};

use crate::harness::{INPUTS_HASH, OPERATOR, World, template, world};

/// Writes the Secret of the Certificate, as cert-manager does.
async fn issue(world: &World, certificate: &str) {
    let annotations = json!({"cert-manager.io/certificate-name": "mlflow-tls"});
    world
        .apply(
            json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": "mlflow-tls", "annotations": annotations},
            "stringData": {"tls.crt": certificate, "tls.key": "key", "ca.crt": "authority"}}),
        )
        .await;
}

#[tokio::test]
async fn cert_manager_makes_the_certificate_and_renews_it_with_one_rollout() {
    let world = world(Platform::Kubernetes).await;
    let installed = world.cluster.install(StandIn::Certificate).await;
    installed.expect("the API");
    let issuer = json!({"name": "ca", "kind": "ClusterIssuer"});
    let tls = json!({"certManager": {"issuerRef": issuer}});
    world.mlflow("mlflow", &json!({ "tls": tls })).await;
    let certificate = world.until(CERTIFICATE, "mlflow-tls", |_| true).await;
    let spec = &certificate.data["spec"];
    assert_eq!(spec["secretName"], "mlflow-tls", "{spec}");
    assert_eq!(spec["issuerRef"], issuer, "{spec}");
    let hosts = spec["dnsNames"].to_string();
    assert!(hosts.contains(r#""mlflow.opendatahub.svc""#), "{hosts}");
    let missing = world.condition("mlflow", "TLSReady", "False").await;
    assert_eq!(missing["reason"], "CertificateMissing", "{missing}");
    let message = missing["message"].as_str().expect("a message");
    assert!(
        message.contains("cert-manager has not made Secret mlflow-tls"),
        "{message}"
    );
    world.condition("mlflow", "Available", "False").await;

    issue(&world, "one").await;
    world.ready("mlflow").await;
    world.condition("mlflow", "TLSReady", "True").await;
    let before = world.generation().await;
    let deployment = world.api(DEPLOYMENT).get("mlflow").await;
    let deployment = deployment.expect("a Deployment");
    let hash = template(&deployment, INPUTS_HASH);
    assert!(
        hash.is_null(),
        "the first certificate rolls nothing: {hash}"
    );

    issue(&world, "two").await;
    let is_new =
        |deployment: &kube::api::DynamicObject| template(deployment, INPUTS_HASH) != &Value::Null;
    world.until(DEPLOYMENT, "mlflow", is_new).await;
    world.ready("mlflow").await;
    operator_harness::at_rest(world.cluster, OPERATOR).await;
    assert_eq!(world.generation().await, before + 1, "one rollout");

    world.delete("mlflow").await;
    world.gone(CERTIFICATE, "mlflow-tls").await;
    // cert-manager leaves the Secret, and so do we.
    let secrets = world.api(SECRET);
    let left = secrets.delete("mlflow-tls", &DeleteParams::default()).await;
    left.expect("it was there");
}
