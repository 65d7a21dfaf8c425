//! One cluster and one operator per platform, one namespace per test.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use cluster::{Cluster, Platform, api_of, told, until};
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use operator_harness::{Account, Operator, environment};
use resources::{Kind, Scope};
use runtime::operator::{Beside, Process};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use trustyai_operator::rbac::LEASE;
use trustyai_operator::service::TrustyAi;
use trustyai_operator::service::config::Config;

/// What happens by an event happens within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_mins(1);
/// The garbage collector notices a new CustomResourceDefinition within 30 s.
pub(crate) const COLLECTED: Duration = Duration::from_mins(2);

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

/// A test's view of one platform.
pub(crate) struct World {
    pub(crate) cluster: &'static Cluster,
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

/// Root of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Starts an operator as the account of `kubeconfig`.
pub(crate) fn start(kubeconfig: &Path) -> Operator {
    let process = Process {
        name: "trustyai-operator",
        version: "test",
        lease: LEASE,
    };
    let config = Config::from_lookup(environment(&[("POD_NAMESPACE", OPERATOR.0)]));
    // With the Lease, as installed.
    let lease = format!("--lease-namespace={}", OPERATOR.0);
    let args = operator_harness::args(kubeconfig, &["--leader-elect", &lease]);
    Operator::start(process, args, TrustyAi::new(config), Beside::default())
}

/// Installs the operator.
pub(crate) async fn install(cluster: &Cluster) -> PathBuf {
    let folder = root().join("config/trustyai-operator/default");
    operator_harness::install(cluster, &folder, OPERATOR).await
}

/// A cluster with the operator installed and not running, and the kubeconfig of its service
/// account.
pub(crate) async fn installed(platform: Platform) -> (&'static Cluster, &'static Path) {
    static KUBERNETES: OnceCell<PathBuf> = OnceCell::const_new();
    static OPENSHIFT: OnceCell<PathBuf> = OnceCell::const_new();
    let crd =
        root().join("config/trustyai-operator/crd/trustyai.opendatahub.io_trustyaiservices.yaml");
    let manifests = || std::fs::read_to_string(crd).expect("the definition");
    let cluster = cluster::shared_with(platform, manifests).expect("a cluster");
    let kubeconfig = match platform {
        Platform::Kubernetes => &KUBERNETES,
        Platform::OpenShift => &OPENSHIFT,
    };
    (cluster, kubeconfig.get_or_init(|| install(cluster)).await)
}

/// The platform with the shared operator, and a fresh namespace.
pub(crate) async fn world(platform: Platform, prefix: &str) -> World {
    static KUBERNETES: OnceLock<Operator> = OnceLock::new();
    static OPENSHIFT: OnceLock<Operator> = OnceLock::new();
    let (cluster, kubeconfig) = installed(platform).await;
    let operator = match platform {
        Platform::Kubernetes => &KUBERNETES,
        Platform::OpenShift => &OPENSHIFT,
    };
    operator.get_or_init(|| start(kubeconfig));
    World::on(cluster, prefix).await
}

impl World {
    /// A fresh namespace on a cluster.
    pub(crate) async fn on(cluster: &'static Cluster, prefix: &str) -> Self {
        Self {
            cluster,
            client: cluster.client().expect("a client"),
            namespace: cluster.namespace(prefix).await.expect("a namespace"),
        }
    }

    /// An `Api` in the test's namespace.
    pub(crate) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let namespace = (kind.scope == Scope::Namespaced).then_some(self.namespace.as_str());
        api_of(&self.client, namespace, kind)
    }

    /// Applies documents into the test's namespace.
    pub(crate) async fn apply(&self, document: &Value) {
        cluster::apply_yaml(&self.client, &self.namespace, &document.to_string())
            .await
            .expect("applied");
    }

    /// A service with this spec.
    pub(crate) async fn service(&self, name: &str, spec: &Value) {
        self.apply(
            &json!({"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
                "metadata": {"name": name}, "spec": spec}),
        )
        .await;
    }

    /// Merges a patch into an object.
    pub(crate) async fn edit(&self, kind: Kind, name: &str, patch: Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("edited");
    }

    /// Waits until a condition of the service has this status in its newest generation.
    pub(crate) async fn condition(&self, name: &str, condition: &str, status: &str) -> Value {
        let api = self.api(TRUSTYAI);
        let limit = Duration::from_mins(2);
        let service = told(&api, name, limit, (condition, status)).await;
        let service = service.expect("the condition");
        cluster::conditions(&service.data)
            .find(|one| one["type"] == condition)
            .cloned()
            .expect("the condition")
    }

    /// Waits until the service is Ready.
    pub(crate) async fn ready(&self, name: &str) -> DynamicObject {
        self.condition(name, "Ready", "True").await;
        self.api(TRUSTYAI).get(name).await.expect("the service")
    }

    /// Waits until an object of the test's namespace fulfils `holds`.
    pub(crate) async fn until(
        &self,
        kind: Kind,
        name: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let api = self.api(kind);
        let found = until(&api, name, SOON, |object| object.is_some_and(&holds)).await;
        found.expect("the object as expected").expect("an object")
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
