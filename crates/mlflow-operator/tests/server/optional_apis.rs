//! What the cluster offers may come later, and go.

use cluster::{Platform, StandIn};
use resources::kind::{DEPLOYMENT, SERVICE_MONITOR};
use serde_json::json;

use crate::harness::{template, world};

#[tokio::test]
async fn a_monitor_is_made_when_its_api_appears() {
    let world = world(Platform::Kubernetes).await;
    world.mlflow("mlflow", &json!({})).await;
    world.ready("mlflow").await;
    world
        .cluster
        .install(StandIn::ServiceMonitor)
        .await
        .expect("the API");
    let monitor = world
        .until(SERVICE_MONITOR, "mlflow-metrics-monitor", |_| true)
        .await;
    let endpoint = &monitor.data["spec"]["endpoints"][0];
    assert_eq!(
        endpoint["tlsConfig"]["ca"]["configMap"]["name"],
        "mlflow-ca"
    );
    let has_metrics = |deployment: &kube::api::DynamicObject| {
        let args = template(deployment, "/spec/containers/0/args").to_string();
        args.contains("--expose-prometheus")
    };
    world.until(DEPLOYMENT, "mlflow", has_metrics).await;
    world.ready("mlflow").await;
    world
        .cluster
        .uninstall(StandIn::ServiceMonitor)
        .await
        .expect("the API goes");
    world
        .until(DEPLOYMENT, "mlflow", |deployment| !has_metrics(deployment))
        .await;
    world.ready("mlflow").await;
}
