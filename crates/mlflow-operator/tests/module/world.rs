//! One cluster and one operator. There is one MLflow, one MLflowOperator and one Auth in a cluster, so
//! tests take turns.

use std::path::PathBuf;
use std::sync::OnceLock;

use cluster::{Cluster, Platform, StandIn, api_of, until};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use mlflow_operator::PROCESS;
use mlflow_operator::access;
use mlflow_operator::config::Config;
use mlflow_operator::kinds::MLFLOW;
use mlflow_operator::module::{self, MLFLOW_OPERATOR};
use mlflow_operator::server::{Installation, Server};
use operator_harness::{Account, Operator, SOON, environment, root};
use resources::Kind;
use resources::kind::{AUTH, ROLE_BINDING};
use runtime::operator::Beside;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard, OnceCell};

/// Namespace and name of the operator's service account, as the manifests have them.
pub(crate) const OPERATOR: Account = mlflow_operator::rbac::ACCOUNT;

/// A test's view of the cluster, for as long as it is its turn.
pub(crate) struct World {
    pub(crate) cluster: &'static Cluster,
    pub(crate) client: Client,
    _turn: MutexGuard<'static, ()>,
}

/// Installs the operator as Open Data Hub has it. Its Deployment does nothing here.
pub(crate) async fn install(cluster: &Cluster) -> PathBuf {
    let folder = root().join("config/mlflow-operator/overlays/odh");
    operator_harness::install(cluster, &folder, OPERATOR).await
}

/// Runs the operator as the account of `kubeconfig`.
pub(crate) fn run(kubeconfig: &std::path::Path) -> Operator {
    let config = Config::from_lookup(environment(&[
        ("MLFLOW_IMAGE", "mlflow"),
        ("ENABLE_NAMESPACE_RBAC", "true"),
        ("ENABLE_MLFLOW_OPERATOR_MODULE_CONTROLLER", "true"),
    ]));
    let config = config.expect("a config");
    let beside = Beside {
        loops: mlflow_operator::loops::beside(&config, OPERATOR.0),
        ..Beside::default()
    };
    let installation = Installation {
        config,
        namespace: OPERATOR.0.to_owned(),
    };
    // Without the Lease, whose renewals are the only requests at rest.
    let within = format!("--watch-namespaces={}", OPERATOR.0);
    let args = operator_harness::args(kubeconfig, &[&within]);
    Operator::start(PROCESS, args, Server { installation }, beside)
}

/// The cluster with the operator, when it is this test's turn. Nothing of another test is left.
pub(crate) async fn world() -> World {
    static TURN: Mutex<()> = Mutex::const_new(());
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    static STARTED: OnceLock<Operator> = OnceLock::new();
    let turn = TURN.lock().await;
    // Known to the garbage collector from the first second.
    let owner = || serde_json::to_string(&api::mlflow()).expect("a definition");
    let cluster = cluster::shared_with(Platform::Kubernetes, owner).expect("a cluster");
    let kubeconfig = INSTALLED.get_or_init(|| install(cluster)).await;
    STARTED.get_or_init(|| run(kubeconfig));
    let world = World {
        cluster,
        client: cluster.client().expect("a client"),
        _turn: turn,
    };
    world.delete(MLFLOW, "mlflow").await;
    world.delete(MLFLOW_OPERATOR, module::SINGLETON).await;
    world
}

impl World {
    /// `Api` of what is in no namespace.
    pub(crate) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        api_of(&self.client, None, kind)
    }

    /// `Api` of what is in a namespace.
    pub(crate) fn within(&self, namespace: &str, kind: Kind) -> Api<DynamicObject> {
        api_of(&self.client, Some(namespace), kind)
    }

    /// Applies a document.
    pub(crate) async fn apply(&self, document: &Value) {
        cluster::apply_yaml(&self.client, OPERATOR.0, &document.to_string())
            .await
            .expect("applied");
    }

    /// The only MLflow.
    pub(crate) async fn mlflow(&self) {
        self.apply(
            &json!({"apiVersion": "mlflow.opendatahub.io/v1", "kind": "MLflow",
            "metadata": {"name": "mlflow"}, "spec": {"serveArtifacts": true, "storage": {},
                "backendStoreUri": "sqlite:////mlflow/mlflow.db"}}),
        )
        .await;
    }

    /// The platform's groups, whose API is there from now on.
    pub(crate) async fn groups(&self, allowed: &[&str], admins: &[&str]) {
        self.cluster.install(StandIn::Auth).await.expect("Auth");
        self.apply(
            &json!({"apiVersion": "services.platform.opendatahub.io/v1alpha1",
            "kind": "Auth", "metadata": {"name": "auth"},
            "spec": {"allowedGroups": allowed, "adminGroups": admins}}),
        )
        .await;
    }

    /// A fresh namespace with this label, if any.
    pub(crate) async fn namespace(&self, prefix: &str, label: Option<&str>) -> String {
        let name = self.cluster.namespace(prefix).await.expect("a namespace");
        self.label(&name, label).await;
        name
    }

    /// Labels a namespace with the name of an MLflow, or takes the label away.
    pub(crate) async fn label(&self, namespace: &str, value: Option<&str>) {
        let patch = json!({"metadata": {"labels": {access::WORKSPACE_LABEL: value}}});
        self.api(resources::kind::NAMESPACE)
            .patch(namespace, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("labelled");
    }

    /// Merges a patch into an object in no namespace.
    pub(crate) async fn edit(&self, kind: Kind, name: &str, patch: Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("edited");
    }

    /// Deletes an object in no namespace, if it is there, and waits until it is gone.
    pub(crate) async fn delete(&self, kind: Kind, name: &str) {
        let api = self.api(kind);
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => return,
            Err(error) => panic!("{kind} {name}: {error}"),
        }
        until(&api, name, SOON, |object| object.is_none())
            .await
            .expect("gone");
    }

    /// The Auth goes, if its API is there.
    pub(crate) async fn no_groups(&self) {
        self.delete(AUTH, "auth").await;
    }

    /// Waits until a binding is as `holds` says; `None` is one that is not there.
    pub(crate) async fn binding(
        &self,
        namespace: &str,
        name: &str,
        holds: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Option<DynamicObject> {
        let api = self.within(namespace, ROLE_BINDING);
        let found = until(&api, name, SOON, holds).await;
        found.unwrap_or_else(|error| panic!("{namespace}/{name}: {error}"))
    }
}

/// The groups that a binding is for.
pub(crate) fn subjects(binding: Option<&DynamicObject>) -> Vec<&str> {
    let subjects = binding.and_then(|binding| binding.data["subjects"].as_array());
    let names = subjects.into_iter().flatten();
    names
        .filter_map(|subject| subject["name"].as_str())
        .collect()
}
