//! An operator's process against a real API server: Lease, discovery, rights, metrics, events.

#![cfg(test)]

mod discovery;
mod events;
mod lease;
mod metrics;
mod rights;

use std::time::Duration;

use cluster::{Cluster, Platform};
use kube::{Client, Config};
use runtime::metrics::Metrics;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

fn cluster() -> &'static Cluster {
    cluster::shared(Platform::Kubernetes).expect("a cluster")
}

/// A service account in a namespace of its own.
struct Account {
    namespace: String,
    config: Config,
}

impl Account {
    /// With these rules of a ClusterRole in the whole cluster.
    async fn new(prefix: &str, rules: Value) -> Self {
        let cluster = cluster();
        let namespace = cluster.namespace(prefix).await.expect("a namespace");
        let name = format!("process-{namespace}");
        let objects = [
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}}),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                "metadata": {"name": name}, "rules": rules,
            }),
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}],
            }),
        ];
        let admin = cluster.client().expect("a client");
        for object in objects {
            cluster::apply_yaml(&admin, &namespace, &object.to_string())
                .await
                .expect("rights");
        }
        let config = cluster
            .config_for_service_account(&namespace, "operator")
            .await;
        Self {
            namespace,
            config: config.expect("a token"),
        }
    }

    fn client(&self, metrics: &Metrics) -> Client {
        runtime::client::build(self.config.clone(), "process-test/1", metrics.clone())
            .expect("a client")
    }
}

fn numbers() -> Metrics {
    Metrics::new("test").expect("metrics")
}
