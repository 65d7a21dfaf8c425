//! One cluster and one operator per platform, one namespace per test.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use cluster::{Cluster, Platform, api_of, conditions, told, until};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
};
use model_registry_operator::registry::{Registry, config::Config};
use operator_harness::{Account, Operator, environment};
use runtime::operator::{self, Beside};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// What happens by an event happens within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The garbage collector notices a new CustomResourceDefinition within 30 s.
pub(crate) const COLLECTED: Duration = Duration::from_secs(90);

/// Namespace and name of the operator's service account, as the manifests have them.
pub(crate) const OPERATOR: Account = (
    "model-registry-operator-system",
    "model-registry-operator-controller-manager",
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
pub(crate) fn start(kubeconfig: &Path, env: &[(&str, &str)], flags: &[&str]) -> Operator {
    let process = operator::Process {
        name: "model-registry-operator",
        version: "test",
        lease: "85f368d1.opendatahub.io",
    };
    let config = Config::from_lookup(environment(env)).expect("an environment");
    let args = operator_harness::args(kubeconfig, flags);
    Operator::start(process, args, Registry { config }, Beside::default())
}

/// Installs the operator.
pub(crate) async fn install(cluster: &Cluster) -> PathBuf {
    let folder = root().join("config/model-registry-operator/default");
    operator_harness::install(cluster, &folder, OPERATOR).await
}

/// A cluster with the operator installed and not running, and the kubeconfig of its service
/// account.
pub(crate) async fn installed(platform: Platform) -> (&'static Cluster, &'static Path) {
    static KUBERNETES: OnceCell<PathBuf> = OnceCell::const_new();
    static OPENSHIFT: OnceCell<PathBuf> = OnceCell::const_new();
    let crd = root().join(
        "config/model-registry-operator/crd/modelregistry.opendatahub.io_modelregistries.yaml",
    );
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
    operator.get_or_init(|| start(kubeconfig, &[], &[]));
    World {
        cluster,
        client: cluster.client().expect("a client"),
        namespace: cluster.namespace(prefix).await.expect("a namespace"),
    }
}

/// Kind ModelRegistry.
pub(crate) const MODEL_REGISTRY: resources::Kind = resources::Kind::namespaced(
    "modelregistry.opendatahub.io",
    "v1beta1",
    "ModelRegistry",
    "modelregistries",
);

impl World {
    /// An `Api` in the test's namespace.
    pub(crate) fn api(&self, kind: resources::Kind) -> Api<DynamicObject> {
        let namespace =
            (kind.scope == resources::Scope::Namespaced).then_some(self.namespace.as_str());
        api_of(&self.client, namespace, kind)
    }

    /// Applies documents into the test's namespace.
    pub(crate) async fn apply(&self, yaml: &str) {
        cluster::apply_yaml(&self.client, &self.namespace, yaml)
            .await
            .expect("applied");
    }

    /// A registry with this spec, and a Secret `db` with key `password`.
    pub(crate) async fn registry(&self, name: &str, spec: Value) {
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "secret-value"}}).to_string()).await;
        self.apply(
            &json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
            "metadata": {"name": name}, "spec": spec})
            .to_string(),
        )
        .await;
    }

    /// Merges a patch into the registry.
    pub(crate) async fn edit(&self, name: &str, patch: Value) {
        self.api(MODEL_REGISTRY)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("edited");
    }

    /// Waits until a condition of the registry has this status in its newest generation.
    pub(crate) async fn condition(&self, name: &str, condition: &str, status: &str) -> Value {
        let api = self.api(MODEL_REGISTRY);
        let told = told(&api, name, Duration::from_mins(1), (condition, status)).await;
        let registry = told.expect("the condition");
        let mut all = conditions(&registry.data);
        all.find(|one| one["type"] == condition)
            .cloned()
            .expect("the condition")
    }

    /// Waits until the registry is Available.
    pub(crate) async fn available(&self, name: &str) -> DynamicObject {
        self.condition(name, "Available", "True").await;
        self.api(MODEL_REGISTRY)
            .get(name)
            .await
            .expect("the registry")
    }

    /// Waits until an object of the test's namespace fulfils `holds`.
    pub(crate) async fn until(
        &self,
        kind: resources::Kind,
        name: &str,
        holds: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let api = self.api(kind);
        let found = until(&api, name, SOON, |object| object.is_some_and(&holds)).await;
        found.expect("the object as expected").expect("an object")
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
