//! One cluster and one operator. Each test has MLflows of its own, so the definition has no rule about
//! their name here.

use std::path::PathBuf;
use std::sync::OnceLock;

use cluster::{Cluster, Platform, api_of, conditions, eventually, until};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use mlflow_operator::PROCESS;
use mlflow_operator::config::Config;
use mlflow_operator::kinds::MLFLOW;
use mlflow_operator::rbac::{ACCOUNT, rights};
use mlflow_operator::server::{Installation, Server};
use operator_harness::{Operator, SOON, environment};
use resources::kind::{DEPLOYMENT, JOB, POD};
use resources::{Kind, Scope};
use runtime::operator::Beside;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// Namespace of everything.
pub(crate) const NAMESPACE: &str = ACCOUNT.0;
/// Annotation that asks for a migration.
pub(crate) const FORCE: &str = "mlflow.opendatahub.io/force-migrate";

/// An MLflow of a test.
pub(crate) struct Mlflow {
    pub(crate) client: Client,
    pub(crate) name: String,
}

/// The definition without its rule about the name.
fn definition() -> String {
    let mut definition = serde_json::to_value(api::mlflow()).expect("a definition");
    let schema = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    let rules = schema["x-kubernetes-validations"].as_array_mut();
    let rules = rules.expect("rules");
    let before = rules.len();
    rules.retain(|rule| rule["rule"] != "self.metadata.name == 'mlflow'");
    assert_eq!(
        rules.len() + 1,
        before,
        "the rule about the name: {rules:?}"
    );
    definition.to_string()
}

async fn install(cluster: &Cluster) -> PathBuf {
    let (namespace, name) = ACCOUNT;
    let kubectl = async |args: &[&str]| cluster.kubectl(args).await.expect("kubectl");
    kubectl(&["create", "namespace", namespace]).await;
    kubectl(&["create", "serviceaccount", name, "-n", namespace]).await;
    let client = cluster.client().expect("a client");
    let account = format!("{namespace}:{name}");
    for (index, role) in rights().roles.iter().enumerate() {
        let name = format!("{name}-{index}");
        let manifest = role.manifest("").expect("a role");
        let mut role: Value =
            serde_json::to_value(cluster::objects(&manifest).expect("a role").remove(0))
                .expect("a role");
        role["metadata"]["name"] = json!(name);
        let kind = role["kind"].as_str().expect("a kind").to_lowercase();
        cluster::apply_yaml(&client, namespace, &role.to_string())
            .await
            .expect("the role");
        let (binding, role) = (format!("{kind}binding"), format!("--{kind}={name}"));
        let subject = format!("--serviceaccount={account}");
        kubectl(&["create", &binding, &name, &role, &subject, "-n", namespace]).await;
    }
    cluster
        .service_account_kubeconfig(namespace, name)
        .await
        .expect("a kubeconfig")
}

fn start(kubeconfig: &std::path::Path) -> Operator {
    let config = Config::from_lookup(environment(&[("MLFLOW_IMAGE", "registry.test/mlflow:1")]));
    let installation = Installation {
        config: config.expect("a config"),
        namespace: NAMESPACE.to_owned(),
    };
    // Without the Lease, whose renewals are the only requests at rest.
    let within = format!("--watch-namespaces={NAMESPACE}");
    let args = operator_harness::args(kubeconfig, &[&within]);
    Operator::start(PROCESS, args, Server { installation }, Beside::default())
}

/// The cluster with the operator.
async fn site() -> Client {
    static INSTALLED: OnceCell<PathBuf> = OnceCell::const_new();
    static STARTED: OnceLock<Operator> = OnceLock::new();
    let cluster = cluster::shared_with(Platform::Kubernetes, definition).expect("a cluster");
    let kubeconfig = INSTALLED.get_or_init(|| install(cluster)).await;
    STARTED.get_or_init(|| start(kubeconfig));
    cluster.client().expect("a client")
}

/// A new MLflow, with this added to its spec.
pub(crate) async fn mlflow(name: &str, more: Value) -> Mlflow {
    let client = site().await;
    let mut spec = json!({"backendStoreUri": "postgresql://u:secret@db/x", "serveArtifacts": true,
        "artifactsDestination": "s3://bucket/a", "nodeSelector": {"kubelet": "the-test"}});
    let more = more.as_object().expect("an object").clone();
    spec.as_object_mut().expect("an object").extend(more);
    let document = json!({"apiVersion": MLFLOW.api_version(), "kind": MLFLOW.kind,
        "metadata": {"name": name}, "spec": spec});
    cluster::apply_yaml(&client, NAMESPACE, &document.to_string())
        .await
        .expect("applied");
    Mlflow {
        client,
        name: name.to_owned(),
    }
}

/// An MLflow whose server runs.
pub(crate) async fn running(name: &str, more: Value) -> Mlflow {
    let mlflow = mlflow(name, more).await;
    let job = mlflow.job("mg", 1);
    mlflow.end(&job, 0, "").await;
    mlflow.serve().await;
    mlflow.succeeded(1).await;
    mlflow
}

impl Mlflow {
    pub(crate) fn api(&self, kind: Kind) -> Api<DynamicObject> {
        let namespace = (kind.scope == Scope::Namespaced).then_some(NAMESPACE);
        api_of(&self.client, namespace, kind)
    }

    /// Name of the Deployment.
    pub(crate) fn server(&self) -> String {
        format!("mlflow-{}", self.name)
    }

    /// Name of the Job of a generation: `mg` or `pc`.
    pub(crate) fn job(&self, infix: &str, generation: i64) -> String {
        format!("{}-{infix}-3140-g{generation}", self.server())
    }

    /// Waits until an object fulfils `holds`; `None` is one that is not there.
    pub(crate) async fn until(
        &self,
        kind: Kind,
        name: &str,
        holds: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Option<DynamicObject> {
        let found = until(&self.api(kind), name, SOON, holds).await;
        found.unwrap_or_else(|error| panic!("{kind} {name}: {error}"))
    }

    pub(crate) async fn patch(&self, kind: Kind, name: &str, patch: Value) {
        self.api(kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("patched");
    }

    pub(crate) async fn patch_status(&self, kind: Kind, name: &str, status: Value) {
        let patch = Patch::Merge(json!({ "status": status }));
        self.api(kind)
            .patch_status(name, &PatchParams::default(), &patch)
            .await
            .expect("patched");
    }

    /// Asks for a migration, or takes the request back.
    pub(crate) async fn force(&self, value: Option<&str>) {
        let patch = json!({"metadata": {"annotations": {FORCE: value}}});
        self.patch(MLFLOW, &self.name, patch).await;
    }

    pub(crate) async fn edit(&self, spec: Value) {
        self.patch(MLFLOW, &self.name, json!({ "spec": spec }))
            .await;
    }

    /// Waits until a condition has this status and reason, and returns it.
    pub(crate) async fn told(&self, type_: &str, status: &str, reason: &str) -> Value {
        let is = |one: &&Value| {
            one["type"] == type_ && one["status"] == status && one["reason"] == reason
        };
        let found = self
            .until(MLFLOW, &self.name, |object| {
                object.is_some_and(|object| conditions(&object.data).any(|one| is(&one)))
            })
            .await
            .expect("the resource");
        conditions(&found.data).find(is).cloned().expect("told")
    }

    /// Waits until the migration of this generation is recorded, and the server is available.
    pub(crate) async fn succeeded(&self, generation: i64) -> DynamicObject {
        let migration = self.told("Migration", "True", "MigrationSucceeded").await;
        assert_eq!(migration["observedGeneration"], generation);
        let message = format!("Migration for generation {generation} completed successfully");
        assert_eq!(migration["message"], message);
        let available = |object: &DynamicObject| {
            conditions(&object.data)
                .any(|one| one["type"] == "Available" && one["status"] == "True")
        };
        self.until(MLFLOW, &self.name, |object| object.is_some_and(available))
            .await
            .expect("the resource")
    }

    /// Waits until these are all events of the resource's migrations, in this order: type and reason.
    pub(crate) async fn events(&self, expected: &[(&str, &str)]) {
        // Those of a resource that is in no namespace.
        let api: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let what = format!("events of {}", self.name);
        eventually(&what, SOON, || async {
            let all = api.list(&ListParams::default()).await;
            let mut all = all.map_err(|error| error.to_string())?.items;
            all.retain(|event| {
                let is_ours = |regarding: &ObjectReference| {
                    regarding.kind.as_deref() == Some(MLFLOW.kind)
                        && regarding.name.as_deref() == Some(&self.name)
                };
                event.action.as_deref() == Some("Migrate")
                    && event.regarding.as_ref().is_some_and(is_ours)
            });
            all.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            let told = all
                .iter()
                .map(|event| (text(&event.type_), text(&event.reason)));
            let told: Vec<_> = told.collect();
            let told: Vec<_> = told.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
            if told == expected {
                Ok(())
            } else {
                Err(format!("{told:?}, not {expected:?}"))
            }
        })
        .await
        .expect("events");
    }

    /// Waits until the Deployment asks for so many pods.
    pub(crate) async fn scaled(&self, replicas: i64) {
        let is = |object: &DynamicObject| object.data["spec"]["replicas"] == replicas;
        self.until(DEPLOYMENT, &self.server(), |found| found.is_some_and(is))
            .await;
    }

    /// Pods that the Deployment asks for now; `None` without a Deployment.
    pub(crate) async fn replicas(&self) -> Option<i64> {
        let found = self.api(DEPLOYMENT).get_opt(&self.server()).await;
        let found = found.expect("an answer")?;
        found.data["spec"]["replicas"].as_i64()
    }

    async fn pods(&self, selector: &str) -> Vec<DynamicObject> {
        let list = ListParams::default().labels(selector);
        self.api(POD).list(&list).await.expect("pods").items
    }

    /// Ends the pod of a Job with this code, as a kubelet would. Meanwhile the server is as `replicas`
    /// says.
    pub(crate) async fn end(&self, job: &str, code: i32, message: &str) {
        let selector = format!("job-name={job}");
        let is_open = |pod: &DynamicObject| {
            let phase = pod.data["status"]["phase"].as_str();
            pod.metadata.deletion_timestamp.is_none() && phase == Some("Pending")
        };
        let pod = eventually(&format!("a pod of {job}"), SOON, || async {
            let pods = self.pods(&selector).await;
            pods.into_iter()
                .find(is_open)
                .ok_or_else(|| "none".to_owned())
        })
        .await
        .expect("a pod");
        let now = jiff::Timestamp::now().to_string();
        let reason = match code {
            0 => "Completed",
            137 => "OOMKilled",
            _ => "Error",
        };
        let ended = json!({"exitCode": code, "reason": reason, "message": message,
            "startedAt": now, "finishedAt": now});
        let phase = if code == 0 { "Succeeded" } else { "Failed" };
        let status = json!({"phase": phase, "containerStatuses": [{"name": "db-migrate",
            "image": "i", "imageID": "i", "ready": false, "restartCount": 0,
            "state": {"terminated": ended}}]});
        self.patch_status(POD, &pod.name_any(), status).await;
    }

    /// Lets a Job fail at its first failed pod, which a real one does after more, and longer and
    /// longer waits.
    pub(crate) async fn impatient(&self, job: &str) {
        self.until(JOB, job, |job| job.is_some()).await;
        self.patch(JOB, job, json!({"spec": {"backoffLimit": 0}}))
            .await;
    }

    /// Makes all pods of the server ready as soon as there are as many as the Deployment asks for.
    pub(crate) async fn serve(&self) {
        let selector = format!("app={}", self.server());
        eventually("a server that is ready", SOON, || async {
            let pods = self.pods(&selector).await;
            for pod in &pods {
                let now = jiff::Timestamp::now().to_string();
                let status = json!({"phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
                    "containerStatuses": [{"name": "mlflow", "image": "i", "imageID": "i",
                        "ready": true, "restartCount": 0, "state": {"running": {"startedAt": now}}}]});
                if pod.data["status"]["phase"] == "Pending" {
                    self.patch_status(POD, &pod.name_any(), status).await;
                }
            }
            let found = self.api(DEPLOYMENT).get(&self.server()).await;
            let found = found.map_err(|error| error.to_string())?;
            let wanted = found.data["spec"]["replicas"].as_i64();
            let ready = found.data["status"]["readyReplicas"].as_i64();
            if wanted > Some(0) && wanted == ready {
                Ok(())
            } else {
                Err(format!("{ready:?} of {wanted:?}"))
            }
        })
        .await
        .expect("ready");
    }

    /// What `status.version` is.
    pub(crate) async fn version(&self) -> Option<String> {
        let found = self
            .api(MLFLOW)
            .get(&self.name)
            .await
            .expect("the resource");
        found.data["status"]["version"].as_str().map(str::to_owned)
    }
}
