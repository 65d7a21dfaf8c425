//! The operator on the clusters of these tests, and what they ask of it.

use std::{ops::Deref, path::Path};

use cluster::Platform;
use model_registry_operator::PROCESS;
use model_registry_operator::registry::{Registry, config::Config};
use operator_harness::{Account, Installation, Operator, environment};
use resources::Kind;
use runtime::operator::Beside;
use serde_json::{Value, json};

/// Namespace and name of the operator's service account, as the manifests have them.
pub(crate) const OPERATOR: Account = (
    "model-registry-operator-system",
    "model-registry-operator-controller-manager",
);

/// Kind ModelRegistry.
pub(crate) const MODEL_REGISTRY: Kind = Kind::namespaced(
    "modelregistry.opendatahub.io",
    "v1beta1",
    "ModelRegistry",
    "modelregistries",
);

/// What these tests install.
pub(crate) const INSTALLATION: Installation = Installation {
    folder: "config/model-registry-operator/default",
    definition: "config/model-registry-operator/crd/modelregistry.opendatahub.io_modelregistries.yaml",
    account: OPERATOR,
    kind: MODEL_REGISTRY,
};

/// A test's view of one platform.
pub(crate) struct World(pub(crate) operator_harness::World);

impl Deref for World {
    type Target = operator_harness::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Starts an operator as the account of `kubeconfig`.
pub(crate) fn start(kubeconfig: &Path, env: &[(&str, &str)], flags: &[&str]) -> Operator {
    let config = Config::from_lookup(environment(env)).expect("an environment");
    let args = operator_harness::args(kubeconfig, flags);
    Operator::start(PROCESS, args, Registry { config }, Beside::default())
}

/// The platform with the shared operator, and a fresh namespace.
pub(crate) async fn world(platform: Platform, prefix: &str) -> World {
    let started = |kubeconfig: &Path| start(kubeconfig, &[], &[]);
    World(INSTALLATION.world(platform, prefix, started).await)
}

impl World {
    /// A registry with this spec, and a Secret `db` with key `password`.
    pub(crate) async fn registry(&self, name: &str, spec: Value) {
        self.apply(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"},
            "stringData": {"password": "secret-value"}}),
        )
        .await;
        self.resource(name, &spec).await;
    }
}

/// A spec that needs nothing but the Secret of [`World::registry`].
pub(crate) fn postgres() -> Value {
    json!({"rest": {}, "postgres": {"host": "db.example.test", "database": "registry", "username": "user",
        "passwordSecret": {"name": "db", "key": "password"}}})
}

/// [`postgres`] behind the proxy.
pub(crate) fn behind_proxy() -> Value {
    let mut spec = postgres();
    spec["kubeRBACProxy"] = json!({});
    spec
}
