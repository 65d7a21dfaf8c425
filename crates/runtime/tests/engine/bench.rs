//! One test's part of a cluster, and the operator that runs in it.

use std::{sync::Arc, time::Duration};

use cluster::{Cluster, Platform, eventually};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, CustomResourceExt, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use runtime::{
    Capabilities,
    engine::{self, Reach, Surroundings},
    events::Recorder,
    metrics::Metrics,
    permissions::Permissions,
    shutdown::Shutdown,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::gadget::{Gadget, GadgetSpec, Gadgets};

pub(crate) const SOON: Duration = Duration::from_secs(20);
/// The garbage collector notices a new CustomResourceDefinition within 30 s.
pub(crate) const COLLECTED: Duration = Duration::from_secs(70);

/// One test's part of the cluster, with an operator that looks only there.
pub(crate) struct Bench {
    pub(crate) cluster: &'static Cluster,
    pub(crate) admin: Client,
    pub(crate) namespace: String,
}

/// An operator that runs until it is dropped.
pub(crate) struct Running {
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.request();
        self.task.await.expect("the operator does not panic");
    }
}

impl Bench {
    pub(crate) async fn new(name: &str) -> Self {
        // Given at the start, the kind is known to the garbage collector at once.
        let crd = || serde_json::to_string(&Gadget::crd()).expect("a CRD");
        let cluster = cluster::shared_with(Platform::Kubernetes, crd).expect("a cluster");
        let admin = cluster.client().expect("a client");
        let namespace = cluster.namespace(name).await.expect("a namespace");
        let account =
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "operator"}});
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
            "metadata": {"name": format!("operator-{namespace}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}],
        });
        for object in [account, binding] {
            cluster::apply_yaml(&admin, &namespace, &object.to_string())
                .await
                .expect("rights");
        }
        Self {
            cluster,
            admin,
            namespace,
        }
    }

    pub(crate) async fn run(&self) -> Running {
        self.run_with(Permissions::unknown()).await
    }

    pub(crate) async fn run_with(&self, permissions: Permissions) -> Running {
        let config = self
            .cluster
            .config_for_service_account(&self.namespace, "operator")
            .await
            .expect("a token");
        let metrics = Metrics::new("test").expect("metrics");
        let client = runtime::client::build(config, "gadget-operator/test", metrics.clone())
            .expect("a client");
        let shutdown = Shutdown::new();
        let (_, capabilities) = tokio::sync::watch::channel(Arc::new(Capabilities::default()));
        let running = engine::start(
            Gadgets,
            Surroundings {
                events: Recorder::new(client.clone(), "gadget-controller", "test"),
                client,
                capabilities,
                permissions: Arc::new(permissions),
                metrics,
                reach: Reach::Namespaces(vec![self.namespace.clone()]),
                concurrency: 16,
                shutdown: shutdown.clone(),
            },
        );
        Running {
            shutdown,
            task: tokio::spawn(running.lead()),
        }
    }

    pub(crate) fn api<K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>>(
        &self,
    ) -> Api<K> {
        Api::namespaced(self.admin.clone(), &self.namespace)
    }

    pub(crate) async fn gadget(&self, name: &str, spec: GadgetSpec) -> Gadget {
        self.api()
            .create(&PostParams::default(), &Gadget::new(name, spec))
            .await
            .expect("a gadget")
    }

    /// Waits until the resource's status speaks of its newest generation and `holds`.
    pub(crate) async fn settled(&self, name: &str, holds: impl Fn(&Gadget) -> bool) -> Gadget {
        let api = self.api::<Gadget>();
        eventually(&format!("gadget {name} settled"), SOON, || async {
            let gadget = api.get(name).await.map_err(|e| e.to_string())?;
            let seen = gadget.status.as_ref().and_then(|s| s.observed_generation);
            if seen == gadget.metadata.generation && holds(&gadget) {
                Ok(gadget)
            } else {
                Err(format!("{:?}", gadget.status))
            }
        })
        .await
        .expect("settled")
    }

    pub(crate) async fn config(&self, name: &str, holds: impl Fn(&ConfigMap) -> bool) -> ConfigMap {
        let api = self.api::<ConfigMap>();
        eventually(&format!("ConfigMap {name}"), SOON, || async {
            let config = api.get(name).await.map_err(|e| e.to_string())?;
            if holds(&config) {
                Ok(config)
            } else {
                Err(format!("{config:?}"))
            }
        })
        .await
        .expect("the ConfigMap")
    }

    pub(crate) async fn edit(&self, name: &str, spec: Value) {
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.api::<Gadget>()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .expect("an edit");
    }

    /// The operator's requests since `mark`, without watches, as `verb resource code`.
    pub(crate) async fn requests(&self, mark: u64) -> Vec<String> {
        let log = self.cluster.audit_since(mark).await.expect("the audit log");
        log.by_service_account(&self.namespace, "operator")
            .into_iter()
            .filter(|r| r.verb != "watch" && r.resource != "events")
            .map(|r| {
                let subresource = if r.subresource.is_empty() {
                    String::new()
                } else {
                    format!("/{}", r.subresource)
                };
                format!("{} {}{subresource} {}", r.verb, r.resource, r.code)
            })
            .collect()
    }
}

/// Name and version of each object.
pub(crate) async fn all_versions<K>(api: &Api<K>) -> Vec<String>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let list = api.list(&ListParams::default()).await.expect("a list");
    let version = |object: &K| object.resource_version().unwrap_or_default();
    list.iter()
        .map(|object| format!("{} {}", object.name_any(), version(object)))
        .collect()
}

pub(crate) fn value(config: &ConfigMap) -> Option<&str> {
    config.data.as_ref()?.get("value").map(String::as_str)
}

pub(crate) fn spec(value: &str) -> GadgetSpec {
    GadgetSpec {
        value: value.into(),
        ..GadgetSpec::default()
    }
}
