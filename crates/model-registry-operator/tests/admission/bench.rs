//! A cluster whose API server calls an operator in this process.
//!
//! The API server reaches a Service by its address in the cluster, which nothing serves here: an
//! ExternalName leads it to this machine, at the port that the configurations name.

use std::{path::PathBuf, sync::Arc, time::Duration};

use cluster::{Cluster, Options, Platform, api_of, eventually};
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use model_registry_operator::{
    PROCESS,
    migration::Migration,
    registry::{Registry, config::Config, webhook},
};
use operator_harness::{Operator, environment, free_ports};
use runtime::{
    Capabilities,
    admission::{self, Surroundings},
    args::{OperatorArgs, webhooks_enabled},
    metrics::Metrics,
    operator::Beside,
    serve::Health,
    shutdown::Shutdown,
    tls::TlsProfile,
    tls_profile::TlsProfiles,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// What happens by an event happens within this time, on a busy machine too.
pub(crate) const SOON: Duration = Duration::from_secs(30);

pub(crate) const NAMESPACE: &str = "model-registry-operator-system";
pub(crate) const ACCOUNT: &str = "model-registry-operator-controller-manager";

pub(crate) const OLD: &str = "v1alpha1";
pub(crate) const NEW: &str = "v1beta1";

/// Where the API server is told how webhooks are reached: kind and name of the object, and the path in
/// it.
pub(crate) const CLIENT_CONFIGS: [(&str, &str, &str); 3] = [
    (
        "mutatingwebhookconfiguration",
        webhook::MUTATING_CONFIGURATION,
        "/webhooks/0/clientConfig",
    ),
    (
        "validatingwebhookconfiguration",
        webhook::VALIDATING_CONFIGURATION,
        "/webhooks/0/clientConfig",
    ),
    (
        "crd",
        webhook::DEFINITION_NAME,
        "/spec/conversion/webhook/clientConfig",
    ),
];

/// A cluster of its own, and the port that its API server calls.
pub(crate) struct Bench {
    pub(crate) cluster: Cluster,
    pub(crate) client: Client,
    pub(crate) port: u16,
    probes: u16,
    kubeconfig: PathBuf,
}

fn folder(name: &str) -> String {
    format!(
        "{}/../../config/model-registry-operator/{name}",
        env!("CARGO_MANIFEST_DIR")
    )
}

impl Bench {
    /// A cluster with nothing installed.
    pub(crate) async fn bare(platform: Platform) -> Self {
        let options = Options {
            platform,
            ..Options::default()
        };
        // It blocks until the cluster is ready.
        let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options));
        let cluster = cluster.await.expect("no panic").expect("a cluster");
        let [port, probes] = free_ports();
        Self {
            client: cluster.client().expect("a client"),
            port,
            probes,
            kubeconfig: PathBuf::new(),
            cluster,
        }
    }

    /// A cluster with the overlay `name` applied.
    pub(crate) async fn installed(platform: Platform, name: &str) -> Self {
        let mut bench = Self::bare(platform).await;
        bench.install(name).await;
        bench
    }

    /// Applies an overlay as `kubectl apply -k` does, and leads the API server to this process.
    pub(crate) async fn install(&mut self, name: &str) {
        let folder = folder(name);
        self.cluster
            .kubectl(&["apply", "--server-side", "--force-conflicts", "-k", &folder])
            .await
            .expect("the manifests");
        let kubeconfig = self
            .cluster
            .service_account_kubeconfig(NAMESPACE, ACCOUNT)
            .await;
        self.kubeconfig = kubeconfig.expect("a kubeconfig");
        if name != "overlays/webhook" {
            // The programs of these tests serve webhooks all the same, and look for their
            // configurations.
            let lists = [
                "list mutatingwebhookconfigurations.admissionregistration.k8s.io",
                "list validatingwebhookconfigurations.admissionregistration.k8s.io",
            ];
            self.cluster.expect_refusals(&lists).expect("noted");
            return;
        }
        let service = format!("service/{}", webhook::SERVICE);
        let kubectl = async |args: &[&str]| self.cluster.kubectl(args).await.expect("kubectl");
        kubectl(&["delete", "-n", NAMESPACE, &service]).await;
        kubectl(&[
            "create",
            "-n",
            NAMESPACE,
            "service",
            "externalname",
            webhook::SERVICE,
            "--external-name=localhost",
        ])
        .await;
        let port = |path: &str| {
            json!([{"op": "replace", "path": format!("{path}/service/port"), "value": self.port}])
                .to_string()
        };
        for (kind, name, path) in CLIENT_CONFIGS {
            // As the operator itself, which gives away what it owns: or the port would be a stump
            // that nobody has in a real cluster.
            let manager = "--field-manager=model-registry-operator";
            kubectl(&[
                "patch",
                kind,
                name,
                "--type=json",
                manager,
                "-p",
                &port(path),
            ])
            .await;
        }
    }

    fn args(&self, port: u16, more: &[&str]) -> OperatorArgs {
        let probes = format!("--health-probe-bind-address=127.0.0.1:{}", self.probes);
        let webhooks = format!("--webhook-bind-address=127.0.0.1:{port}");
        let flags = [&[probes.as_str(), &webhooks], more].concat();
        operator_harness::args(&self.kubeconfig, &flags)
    }

    /// The program as `main` puts it together.
    pub(crate) fn operator(&self, flags: &[&str], env: &[(&str, &str)]) -> Operator {
        let args = self.args(self.port, flags);
        let lookup = environment(env);
        let config = Config::from_lookup(&lookup).expect("an environment");
        let webhooks = webhook::webhooks(config.clone());
        let served = webhooks_enabled(lookup("ENABLE_WEBHOOKS").as_deref());
        let migration = Migration::from_lookup(&lookup).map(Migration::chore);
        let beside = Beside::serving(webhooks, served, Some(NAMESPACE.to_owned()), migration);
        Operator::start(PROCESS, args, Registry { config }, beside)
    }

    /// The webhooks alone, on a port of their own and by this clock.
    pub(crate) async fn webhooks(
        &self,
        port: u16,
        clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        shutdown: &Shutdown,
    ) {
        let args = self.args(port, &[]);
        let config = runtime::client::config(Some(&self.kubeconfig))
            .await
            .expect("a config");
        let metrics = Metrics::new("test").expect("metrics");
        let client =
            runtime::client::build(config, "model-registry-operator/test", metrics.clone());
        let (_, capabilities) = tokio::sync::watch::channel(Arc::new(Capabilities::default()));
        let around = Surroundings {
            client: client.expect("a client"),
            namespace: NAMESPACE.to_owned(),
            capabilities,
            known: Arc::new(|_| Vec::new()),
            profiles: TlsProfiles::fixed(TlsProfile::default()),
            metrics,
            health: Health::default(),
            shutdown: shutdown.clone(),
            clock,
        };
        let config = Config::from_lookup(|_| None).expect("an environment");
        admission::start(webhook::webhooks(config), &args, around)
            .await
            .expect("served");
    }

    /// What the kubelet is told.
    pub(crate) async fn ready(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.probes)).await else {
            return false;
        };
        let ask = b"GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(ask).await.expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        answer.starts_with("HTTP/1.1 200")
    }

    /// Registries in one version.
    pub(crate) fn registries(&self, version: &str, namespace: &str) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk("modelregistry.opendatahub.io", version, "ModelRegistry");
        let kind = ApiResource::from_gvk_with_plural(&kind, "modelregistries");
        api_of(&self.client, Some(namespace), kind)
    }

    /// Creates a registry.
    pub(crate) async fn create(
        &self,
        version: &str,
        namespace: &str,
        name: &str,
        spec: &Value,
    ) -> kube::Result<DynamicObject> {
        let api = self.registries(version, namespace);
        let object = json!({"apiVersion": format!("modelregistry.opendatahub.io/{version}"), "kind": "ModelRegistry",
            "metadata": {"name": name}, "spec": spec});
        let object = serde_json::from_value(object).expect("an object");
        api.create(&kube::api::PostParams::default(), &object).await
    }

    /// Merges a patch into a registry.
    pub(crate) async fn edit(
        &self,
        version: &str,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> kube::Result<DynamicObject> {
        let api = self.registries(version, namespace);
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
    }

    /// What kubectl prints of a registry in one version, by this JSON path.
    pub(crate) async fn read(
        &self,
        version: &str,
        namespace: &str,
        name: &str,
        path: &str,
    ) -> String {
        let resource = format!("modelregistries.{version}.modelregistry.opendatahub.io");
        let path = format!("jsonpath={{{path}}}");
        let args = ["get", "-n", namespace, &resource, name, "-o", &path];
        self.cluster.kubectl(&args).await.expect("kubectl")
    }

    /// The caBundle of validation, PEM.
    pub(crate) async fn bundle(&self) -> Option<String> {
        let api: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let found = api
            .get(webhook::VALIDATING_CONFIGURATION)
            .await
            .expect("the configuration");
        let client = found.webhooks?.into_iter().next()?.client_config;
        Some(String::from_utf8(client.ca_bundle?.0).expect("PEM"))
    }

    /// Waits until the API server trusts the operator and gets its answers.
    pub(crate) async fn answering(&self) {
        let namespace = self.cluster.namespace("probe").await.expect("a namespace");
        eventually("an answer of the webhooks", SOON, || async {
            let error = self
                .create(OLD, &namespace, "probe", &json!({"rest": {}, "grpc": {}}))
                .await;
            let text = error
                .err()
                .map_or_else(|| "created".to_owned(), |error| error.to_string());
            if text.contains("required one of `postgres` or `mysql`") {
                Ok(())
            } else {
                Err(text)
            }
        })
        .await
        .expect("answers");
    }
}

/// A spec that needs nothing.
pub(crate) fn mysql() -> Value {
    json!({"rest": {}, "mysql": {"host": "db.example.test", "username": "u", "database": "d",
        "passwordSecret": {"name": "db", "key": "password"}}})
}

/// The sentence of a refusal.
pub(crate) fn sentence(result: kube::Result<DynamicObject>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        other => panic!("not refused: {other:?}"),
    }
}
