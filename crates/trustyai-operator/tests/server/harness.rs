//! The operator on the clusters of these tests, and what they ask of it.

use std::ops::Deref;
use std::path::Path;

use cluster::Platform;
use kube::api::DynamicObject;
use operator_harness::{Account, Installation, Operator, environment};
use resources::Kind;
use runtime::operator::Beside;
use serde_json::{Value, json};
use trustyai_operator::PROCESS;
use trustyai_operator::service::TrustyAi;
use trustyai_operator::service::config::Config;

pub(crate) use operator_harness::{COLLECTED, SOON, root};

/// Namespace and name of the operator's service account, as the manifests have them.
pub(crate) const OPERATOR: Account = (
    "trustyai-service-operator-system",
    "trustyai-service-operator-controller-manager",
);

/// Kind TrustyAIService.
pub(crate) const TRUSTYAI: Kind = Kind::namespaced(
    "trustyai.opendatahub.io",
    "v1",
    "TrustyAIService",
    "trustyaiservices",
);

/// What these tests install.
pub(crate) const INSTALLATION: Installation = Installation {
    folder: "config/trustyai-operator/default",
    definition: "config/trustyai-operator/crd/trustyai.opendatahub.io_trustyaiservices.yaml",
    account: OPERATOR,
    kind: TRUSTYAI,
};

/// A test's view of one platform.
pub(crate) struct World(pub(crate) operator_harness::World);

impl Deref for World {
    type Target = operator_harness::World;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Starts an operator as the account of `kubeconfig`, which serves no webhooks.
pub(crate) fn start(kubeconfig: &Path) -> Operator {
    run(kubeconfig, &[], Beside::default())
}

/// Starts an operator as the account of `kubeconfig`.
pub(crate) fn run(kubeconfig: &Path, flags: &[&str], beside: Beside) -> Operator {
    let config = Config::from_lookup(environment(&[("POD_NAMESPACE", OPERATOR.0)]));
    // With the Lease, as installed.
    let lease = format!("--lease-namespace={}", OPERATOR.0);
    let flags = [&["--leader-elect", &lease], flags].concat();
    let args = operator_harness::args(kubeconfig, &flags);
    Operator::start(PROCESS, args, TrustyAi::new(config), beside)
}

/// The platform with the shared operator, and a fresh namespace.
pub(crate) async fn world(platform: Platform, prefix: &str) -> World {
    World(INSTALLATION.world(platform, prefix, start).await)
}

impl World {
    /// A service with this spec.
    pub(crate) async fn service(&self, name: &str, spec: &Value) {
        self.resource(name, spec).await;
    }
}

/// A spec that needs nothing.
pub(crate) fn files() -> Value {
    json!({"storage": {"format": "PVC", "folder": "/inputs", "size": "1Gi"},
        "data": {"filename": "data.csv", "format": "CSV"}, "metrics": {"schedule": "5s"}})
}

/// A spec that needs the Secret of [`credentials`].
pub(crate) fn database() -> Value {
    json!({"storage": {"format": "DATABASE", "databaseConfigurations": "db"},
        "metrics": {"schedule": "5s"}})
}

/// The Secret of a database with this password.
pub(crate) fn credentials(password: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {
        "databaseKind": "mariadb", "databaseUsername": "u", "databasePassword": password,
        "databaseService": "mariadb", "databasePort": "3306", "databaseName": "d"}})
}

/// A member of the template of a Deployment's pods.
pub(crate) fn template<'a>(deployment: &'a DynamicObject, pointer: &str) -> &'a Value {
    deployment
        .data
        .pointer(&format!("/spec/template{pointer}"))
        .unwrap_or(&Value::Null)
}

/// The value of a variable of the service's container.
pub(crate) fn variable<'a>(deployment: &'a DynamicObject, name: &str) -> &'a Value {
    let env = template(deployment, "/spec/containers/0/env").as_array();
    let mut all = env.into_iter().flatten();
    all.find(|variable| variable["name"] == name)
        .map_or(&Value::Null, |variable| &variable["value"])
}
