//! A cluster of its own with the hub's overlay installed, and the programs of its pods running here.

use std::path::PathBuf;
use std::time::Duration;

use cluster::{Cluster, Platform, api_of, eventually, told, until};
use kube::api::{DynamicObject, ListParams};
use kube::{Api, Client, ResourceExt};
use model_registry_operator::PROCESS;
use model_registry_operator::aihub::{Hub, config::Config};
use model_registry_operator::catalog::{self, Catalog};
use operator_harness::{
    Account, Installation, Operator, SOON, args, environment, free_ports, lead_to,
};
pub(crate) use operator_harness::{COLLECTED, root};
use resources::Kind;
use resources::kind::DEPLOYMENT;
use runtime::operator::Beside;
use serde_json::Value;

pub(crate) const ACCOUNT: Account = ("aihub-operator-system", "aihub-controller-manager");
pub(crate) const HUB: Kind = Kind::cluster(
    "components.platform.opendatahub.io",
    "v1alpha1",
    "AIHub",
    "aihubs",
);
/// Namespaces of the sample.
pub(crate) const APPLICATION: &str = "opendatahub";
pub(crate) const INSTANCES: &str = "odh-model-registries";
const LEFT_ALONE: &str = "opendatahub.io/managed=false";

pub(crate) struct World {
    pub(crate) cluster: Cluster,
    client: Client,
    kubeconfig: PathBuf,
    hub: Option<Operator>,
}

const INSTALLATION: Installation = Installation {
    folder: "config/model-registry-operator/overlays/aihub",
    definition: "config/model-registry-operator/overlays/aihub/components.platform.opendatahub.io_aihubs.yaml",
    account: ACCOUNT,
    kind: HUB,
};

impl World {
    pub(crate) async fn start(platform: Platform) -> Self {
        let cluster = INSTALLATION.start(platform).await;
        let kubeconfig = INSTALLATION.install(&cluster).await;
        let mut world = Self {
            client: cluster.client().unwrap(),
            cluster,
            kubeconfig,
            hub: None,
        };
        world.run();
        world
    }

    /// Starts the hub's operator, as its service account.
    pub(crate) fn run(&mut self) {
        let env = [
            (
                "RELATED_IMAGE_ODH_MODEL_REGISTRY_OPERATOR_IMAGE",
                "example.test/operator:1",
            ),
            (
                "RELATED_IMAGE_ODH_MODEL_REGISTRY_JOB_ASYNC_UPLOAD_IMAGE",
                "example.test/upload:1",
            ),
        ];
        let config = Config::from_lookup(environment(&env)).unwrap();
        let (args, beside) = (args(&self.kubeconfig, &[]), Beside::default());
        self.hub = Some(Operator::start(PROCESS, args, Hub { config }, beside));
    }

    pub(crate) fn stop(&mut self) {
        if let Some(hub) = self.hub.take() {
            hub.stop();
        }
    }

    /// Runs what the pods of the deployed catalog operator run: with their environment, as their
    /// service account.
    pub(crate) async fn catalog_operator(&self) -> Operator {
        let name = "catalog-controller-manager";
        let deployment = self
            .until(DEPLOYMENT, Some(APPLICATION), name, |live| live.is_some())
            .await
            .unwrap();
        let (service, configuration) = (catalog::webhook::SERVICE, catalog::webhook::CONFIGURATION);
        // The hub would lead the API server back to the pods, which only seem to run.
        for (kind, name) in [
            ("service", service),
            ("validatingwebhookconfiguration", configuration),
        ] {
            eventually(name, SOON, || async {
                let annotate = ["annotate", "-n", APPLICATION, kind, name, LEFT_ALONE];
                self.cluster
                    .kubectl(&annotate)
                    .await
                    .map_err(|error| error.to_string())
            })
            .await
            .unwrap();
        }
        let [port] = free_ports();
        let configuration = ("validatingwebhookconfiguration", configuration);
        lead_to(&self.cluster, port, (APPLICATION, service), configuration).await;
        let env = &deployment.data["spec"]["template"]["spec"]["containers"][0]["env"];
        let lookup = |name: &str| {
            let found = env
                .as_array()?
                .iter()
                .find(|variable| variable["name"] == name)?;
            found["value"].as_str().map(str::to_owned)
        };
        let config = catalog::config::Config::from_lookup(lookup).unwrap();
        let account = self.cluster.service_account_kubeconfig(APPLICATION, name);
        let address = format!("--webhook-bind-address=127.0.0.1:{port}");
        let args = args(&account.await.unwrap(), &[&address]);
        let beside = Beside {
            webhooks: Some(catalog::webhook::webhooks(config.clone())),
            ..Beside::default()
        };
        Operator::start(PROCESS, args, Catalog { config }, beside)
    }

    pub(crate) fn api(&self, kind: Kind, namespace: Option<&str>) -> Api<DynamicObject> {
        api_of(&self.client, namespace, kind)
    }

    pub(crate) async fn sample(&self) {
        let folder = root().join("samples/model-registry/aihub");
        let folder = folder.to_str().unwrap();
        self.cluster
            .kubectl(&["apply", "-k", folder])
            .await
            .unwrap();
    }

    /// Waits for a condition of the hub's newest generation, and returns the whole status.
    pub(crate) async fn condition(&self, type_: &str, status: &str) -> Value {
        let api = self.api(HUB, None);
        let limit = Duration::from_mins(1);
        let hub = told(&api, "default-aihub", limit, (type_, status)).await;
        hub.unwrap().data["status"].take()
    }

    /// Waits for a warning about the hub that says this.
    pub(crate) async fn event(&self, text: &str) {
        let events = Api::<k8s_openapi::api::events::v1::Event>::all(self.client.clone());
        eventually(&format!("an event with {text}"), SOON, || async {
            let all = events.list(&ListParams::default()).await;
            let all = all.map_err(|error| error.to_string())?;
            let found = all.iter().any(|event| {
                event.type_.as_deref() == Some("Warning")
                    && event
                        .regarding
                        .as_ref()
                        .is_some_and(|hub| hub.kind.as_deref() == Some(HUB.kind))
                    && event
                        .note
                        .as_deref()
                        .is_some_and(|note| note.contains(text))
            });
            found
                .then_some(())
                .ok_or_else(|| format!("{} others", all.items.len()))
        })
        .await
        .unwrap();
    }

    pub(crate) async fn until(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
        holds: impl Fn(Option<&DynamicObject>) -> bool,
    ) -> Option<DynamicObject> {
        let api = self.api(kind, namespace);
        until(&api, name, COLLECTED, holds).await.unwrap()
    }

    /// Kind, name and version of everything that is labelled as the hub's.
    pub(crate) async fn deployed(&self, kinds: &[Kind]) -> Vec<(Kind, DynamicObject)> {
        let labelled = ListParams::default().labels("platform.opendatahub.io/part-of=aihub");
        let mut found = Vec::new();
        for &kind in kinds {
            let list = self.api(kind, None).list(&labelled).await.unwrap();
            found.extend(list.items.into_iter().map(|object| (kind, object)));
        }
        found.sort_by_key(|(kind, object)| (*kind, object.name_any()));
        found
    }
}
