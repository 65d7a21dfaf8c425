//! The control plane and the simulated pods.

use std::time::Duration;

use cluster::{Platform, apply_yaml, available, shared};

const LIMIT: Duration = Duration::from_secs(20);

fn deployment(name: &str, pod: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{selector: {{matchLabels: {{app: {name}}}}}, \
         template: {{metadata: {{labels: {{app: {name}}}}}, spec: {pod}}}}}}}"
    )
}

#[tokio::test]
async fn a_deployment_becomes_available() {
    let cluster = shared(Platform::Kubernetes).unwrap();
    let namespace = cluster.namespace("plain").await.unwrap();
    let client = cluster.client().unwrap();
    apply_yaml(
        &client,
        &namespace,
        &deployment("a", "{containers: [{name: main, image: i}]}"),
    )
    .await
    .unwrap();
    available(&client, &namespace, "a", LIMIT).await.unwrap();
}
