//! The operator on the clusters of these tests, and what they ask of it.
//!
//! MLflows are in no namespace and their objects are in one, so tests take turns.

use std::ops::Deref;
use std::path::Path;

use cluster::Platform;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, DynamicObject};
use mlflow_operator::PROCESS;
use mlflow_operator::config::Config;
use mlflow_operator::kinds::MLFLOW;
use mlflow_operator::rbac::ACCOUNT;
use mlflow_operator::server::{Installation as Place, Server};
use operator_harness::{Account, Installation, Operator, environment};
use resources::Kind;
use resources::kind::DEPLOYMENT;
use runtime::operator::Beside;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// Namespace and name of the operator's service account, as the manifests have them.
pub(crate) const OPERATOR: Account = ACCOUNT;

/// Hash of what pods read, in their template, once it is another one than at first.
pub(crate) const INPUTS_HASH: &str = "/metadata/annotations/mlflow.opendatahub.io~1inputs-hash";

/// What these tests install.
const INSTALLATION: Installation = Installation {
    folder: "config/mlflow-operator/default",
    definition: "config/mlflow-operator/crd/mlflow.opendatahub.io_mlflows.yaml",
    account: OPERATOR,
    kind: MLFLOW,
};

/// A test's view of one platform, for as long as it is its turn.
pub(crate) struct World {
    world: operator_harness::World,
    _turn: MutexGuard<'static, ()>,
}

impl Deref for World {
    type Target = operator_harness::World;

    fn deref(&self) -> &Self::Target {
        &self.world
    }
}

/// Starts an operator as the account of `kubeconfig`. With the Lease on OpenShift, as installed; on
/// Kubernetes without it, as its renewals are all that is asked for at rest.
fn start(platform: Platform, kubeconfig: &Path) -> Operator {
    let config = Config::from_lookup(environment(&[
        ("MLFLOW_IMAGE", "quay.io/opendatahub/mlflow:odh-stable"),
        ("MLFLOW_URL", "https://gw.example.test"),
    ]));
    let installation = Place {
        config: config.expect("a config"),
        namespace: OPERATOR.0.to_owned(),
    };
    let lease = format!("--lease-namespace={}", OPERATOR.0);
    let within = format!("--watch-namespaces={}", OPERATOR.0);
    let mut flags = vec![lease.as_str(), &within];
    if platform == Platform::OpenShift {
        flags.push("--leader-elect");
    }
    let args = operator_harness::args(kubeconfig, &flags);
    Operator::start(PROCESS, args, Server { installation }, Beside::default())
}

/// The platform with the shared operator, when it is this test's turn. No MLflow of another test is
/// left.
pub(crate) async fn world(platform: Platform) -> World {
    static TURN: Mutex<()> = Mutex::const_new(());
    let turn = TURN.lock().await;
    // The namespace of the operator, where everything is.
    let world = INSTALLATION
        .world(platform, "unused", |kubeconfig| start(platform, kubeconfig))
        .await;
    let world = World {
        world: operator_harness::World {
            namespace: OPERATOR.0.to_owned(),
            ..world
        },
        _turn: turn,
    };
    // Several MLflows are allowed, as by an overlay.
    world
        .apply(serde_json::to_string(&several()).expect("a definition"))
        .await;
    for left in world
        .api(MLFLOW)
        .list(&kube::api::ListParams::default())
        .await
        .expect("a list")
    {
        world
            .delete(left.metadata.name.as_deref().unwrap_or_default())
            .await;
    }
    world
}

impl World {
    /// An MLflow with these fields over [`files`]; null takes a field away.
    pub(crate) async fn mlflow(&self, name: &str, fields: &Value) {
        let mut spec = files();
        for (field, value) in fields.as_object().expect("fields") {
            spec[field] = value.clone();
        }
        let all = spec.as_object_mut().expect("an object");
        all.retain(|_, value| !value.is_null());
        self.resource(name, &spec).await;
    }

    /// Deletes an MLflow, and waits until nothing is left of it.
    pub(crate) async fn delete(&self, name: &str) {
        let params = DeleteParams::foreground();
        let deleted = self.api(MLFLOW).delete(name, &params).await;
        deleted.expect("deleted");
        self.gone(MLFLOW, name).await;
    }

    /// Generation of the Deployment of MLflow `mlflow`: each rollout is another one.
    pub(crate) async fn generation(&self) -> i64 {
        let deployment = self.api(DEPLOYMENT).get("mlflow").await;
        let metadata = deployment.expect("a Deployment").metadata;
        metadata.generation.unwrap_or_default()
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&self, kind: Kind, name: &str) {
        let api = self.api(kind);
        let gone = cluster::until(&api, name, operator_harness::COLLECTED, |object| {
            object.is_none()
        });
        gone.await.expect("gone");
    }

    /// Changes the spec of an MLflow.
    pub(crate) async fn edit_spec(&self, name: &str, spec: Value) {
        self.edit(MLFLOW, name, json!({ "spec": spec })).await;
    }
}

/// The definition without the rule that there is one MLflow.
fn several() -> CustomResourceDefinition {
    let mut crd = api::mlflow();
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut();
        let root = root.and_then(|schema| schema.open_api_v3_schema.as_mut());
        let rules = root.and_then(|root| root.x_kubernetes_validations.as_mut());
        rules.expect("rules").remove(0);
    }
    crd
}

/// A spec that needs nothing.
pub(crate) fn files() -> Value {
    json!({"backendStoreUri": "sqlite:////mlflow/mlflow.db", "serveArtifacts": true, "storage": {}})
}

/// A member of the template of a Deployment's pods.
pub(crate) fn template<'a>(deployment: &'a DynamicObject, pointer: &str) -> &'a Value {
    deployment
        .data
        .pointer(&format!("/spec/template{pointer}"))
        .unwrap_or(&Value::Null)
}
