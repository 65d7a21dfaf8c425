//! One cluster and one operator per platform, one namespace per test.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use clap::Parser;
use cluster::{Cluster, Platform, eventually};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::ApiResource,
};
use model_registry_operator::registry::{Registry, config::Config};
use runtime::{args::OperatorArgs, client::Gate, operator, shutdown::Shutdown};
use serde_json::{Value, json};
use tokio::sync::{Notify, OnceCell};

/// What happens by an event happens within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(30);
/// The garbage collector notices a new CustomResourceDefinition within 30 s.
pub(crate) const COLLECTED: Duration = Duration::from_secs(90);

/// Namespace and name of the operator's service account, as the manifests have them.
pub(crate) const OPERATOR: (&str, &str) = (
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

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    args: OperatorArgs,
}

/// An operator in a thread of its own, which ends when it is asked to.
pub(crate) struct Operator {
    shutdown: Shutdown,
    killed: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Operator {
    /// Starts an operator as its service account.
    pub(crate) fn start(
        kubeconfig: &Path,
        env: &[(&str, &str)],
        flags: &[&str],
        gate: Option<Gate>,
    ) -> Self {
        let env: BTreeMap<String, String> = env
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let config = Config::from_lookup(|name| env.get(name).cloned()).expect("an environment");
        let mut words = vec![
            "operator".to_owned(),
            format!("--kubeconfig={}", kubeconfig.display()),
            "--health-probe-bind-address=0".to_owned(),
        ];
        if !flags
            .iter()
            .any(|flag| flag.starts_with("--metrics-bind-address="))
        {
            words.push("--metrics-bind-address=0".to_owned());
        }
        words.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let args = Flags::parse_from(words).args;
        let shutdown = Shutdown::new();
        let until = shutdown.clone();
        let killed = Arc::new(Notify::new());
        let end = Arc::clone(&killed);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let process = operator::Process {
                name: "model-registry-operator",
                version: "test",
                lease: "85f368d1.opendatahub.io",
            };
            runtime.block_on(async {
                tokio::select! {
                    ended = operator::run_until(process, &args, Registry { config }, gate, until) => ended.expect("the operator runs"),
                    () = end.notified() => {}
                }
            });
            // Whatever still runs ends where it stands.
            runtime.shutdown_background();
        });
        Self {
            shutdown,
            killed,
            thread: Some(thread),
        }
    }

    /// What ends the operator at once when it is notified, wherever it stands.
    pub(crate) fn killer(&self) -> Arc<Notify> {
        Arc::clone(&self.killed)
    }

    /// Ends at once, wherever it stands.
    pub(crate) fn kill(mut self) {
        self.killed.notify_one();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the operator does not panic");
        }
    }

    /// Stops in order.
    pub(crate) fn stop(mut self) {
        self.shutdown.request();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the operator does not panic");
        }
    }
}

/// Installs the operator as `kubectl apply -k` does. Its Deployment runs simulated pods, which
/// do nothing: the test runs the program.
pub(crate) async fn install(cluster: &Cluster) -> PathBuf {
    let folder = root().join("config/model-registry-operator/default");
    let folder = folder.to_str().expect("a path");
    cluster
        .kubectl(&["apply", "--server-side", "-k", folder])
        .await
        .expect("the manifests");
    let (namespace, name) = OPERATOR;
    cluster
        .service_account_kubeconfig(namespace, name)
        .await
        .expect("a kubeconfig")
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
    operator.get_or_init(|| Operator::start(kubeconfig, &[], &[], None));
    World {
        cluster,
        client: cluster.client().expect("a client"),
        namespace: cluster.namespace(prefix).await.expect("a namespace"),
    }
}

/// An `Api` for any kind.
pub(crate) fn api(
    client: &Client,
    namespace: Option<&str>,
    kind: resources::Kind,
) -> Api<DynamicObject> {
    let resource = ApiResource {
        group: kind.group.into(),
        version: kind.version.into(),
        api_version: kind.api_version(),
        kind: kind.kind.into(),
        plural: kind.plural.into(),
    };
    match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
        None => Api::all_with(client.clone(), &resource),
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
        api(&self.client, namespace, kind)
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
        eventually(
            &format!("{name} {condition}={status}"),
            Duration::from_mins(1),
            || async {
                let object = api.get(name).await.map_err(|error| error.to_string())?;
                let found = conditions(&object.data)
                    .find(|c| c["type"] == condition)
                    .cloned();
                match found {
                    Some(found)
                        if found["status"] == status
                            && found["observedGeneration"] == json!(object.metadata.generation) =>
                    {
                        Ok(found)
                    }
                    _ => Err(object.data["status"].to_string()),
                }
            },
        )
        .await
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
        eventually(&format!("{kind} {name}"), SOON, || async {
            let object = api.get(name).await.map_err(|error| error.to_string())?;
            if holds(&object) {
                Ok(object)
            } else {
                Err(format!("{object:?}"))
            }
        })
        .await
        .expect("the object as expected")
    }
}

/// Conditions of a resource.
pub(crate) fn conditions(data: &Value) -> impl Iterator<Item = &Value> {
    data.pointer("/status/conditions")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
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
