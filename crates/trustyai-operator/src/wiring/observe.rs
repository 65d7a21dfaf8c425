//! The models of a namespace, and the other services in it.

use std::sync::Arc;

use api::trustyai::v1::TrustyAIService;
use kube::{ResourceExt, core::ObjectMeta};
use resources::Kind;
use resources::kind::{CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, VIRTUAL_SERVICE};
use runtime::component::{Detail, Landmark, Owner, Watched, Which};
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;

use super::logger::INFERENCE_SERVICE;
use super::sink::Sink;
use super::{mode, modelmesh, serving_config};

/// InferenceServices, of which little is kept.
pub const WATCHED: Watched = Watched {
    kind: INFERENCE_SERVICE,
    selector: "",
    detail: Detail::Fields(&[
        "/metadata/annotations",
        "/spec/predictor/logger",
        "/status/deploymentMode",
    ]),
    owned: false,
    optional: true,
};

/// ModelMesh's Deployments and its controller, and KServe's configuration. Nobody asks for them in a
/// cluster without InferenceServices.
pub const LANDMARKS: [Landmark; 3] = [
    Landmark {
        kind: DEPLOYMENT,
        which: Which::Labelled(modelmesh::LABEL.0),
        with: Some(INFERENCE_SERVICE),
        kept: &[
            "/spec/replicas",
            "/spec/template/spec/containers",
            "/spec/template/spec/volumes",
            "/status/readyReplicas",
        ],
    },
    Landmark {
        kind: DEPLOYMENT,
        which: Which::Named(modelmesh::CONTROLLER),
        with: Some(INFERENCE_SERVICE),
        kept: &["/spec/replicas", "/status/readyReplicas"],
    },
    Landmark {
        kind: CONFIG_MAP,
        which: Which::Named(mode::CONFIG),
        with: Some(INFERENCE_SERVICE),
        kept: &["/data/deploy", "/data/logger"],
    },
];

/// Whom an InferenceService matters to: every service of its namespace.
#[must_use]
pub fn owner(kind: Kind, meta: &ObjectMeta) -> Option<Owner> {
    let namespace = meta.namespace.clone().filter(|_| kind == INFERENCE_SERVICE);
    namespace.map(Owner::everyone_in)
}

/// The models of a namespace, and the other services in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The service answers. Nothing is wired before, and what is wired stays.
    pub reachable: bool,
    /// The oldest of the other services, if it is older than this one.
    pub older: Option<String>,
    /// The other services.
    pub neighbours: Vec<Sink>,
    /// What is watched of each InferenceService that is there to stay.
    pub inference_services: Vec<Value>,
    /// What KServe's ConfigMap says.
    pub config: mode::Config,
    /// What is kept of each Deployment of ModelMesh.
    pub servers: Vec<Arc<Value>>,
    /// The same of the Deployment of ModelMesh's controller, where that is in the namespace.
    pub controller: Option<Arc<Value>>,
    /// ModelMesh's ConfigMap.
    pub serving_config: Option<Arc<Value>>,
    /// APIs of Istio that the cluster has.
    pub mesh: Vec<Kind>,
}

/// Looks at the models in the namespace of `resource`, whose Deployment is `own`.
pub async fn observe<I: Inputs>(
    resource: &TrustyAIService,
    own: Option<&Value>,
    inputs: &I,
) -> Result<Seen, InputError> {
    let namespace = resource.namespace().unwrap_or_default();
    let capabilities = inputs.capabilities();
    let mut neighbours = inputs.neighbours();
    let age = |meta: &ObjectMeta| (meta.creation_timestamp.clone(), meta.uid.clone());
    neighbours.sort_by_key(age);
    let own_age = age(&resource.metadata);
    let older = neighbours.first();
    // Without a creation time the resource is not in a cluster: then every other is older.
    let older = older.filter(|other| own_age.0.is_none() || age(other) < own_age);
    let sink = |meta: &ObjectMeta| Sink {
        name: meta.name.clone().unwrap_or_default(),
        namespace: namespace.clone(),
    };
    let mut inference_services = inputs.children(INFERENCE_SERVICE);
    inference_services.retain(|object| object.pointer("/metadata/deletionTimestamp").is_none());
    let deployments = inputs.landmarks(DEPLOYMENT).into_iter();
    let deployments = deployments.filter(|meta| meta.namespace.as_ref() == Some(&namespace));
    let mut servers = Vec::new();
    let mut controller = None;
    for meta in deployments {
        let name = meta.name.clone().unwrap_or_default();
        let kept = inputs.landmark(DEPLOYMENT, &namespace, &name);
        let (key, value) = modelmesh::LABEL;
        let label = meta.labels.as_ref().and_then(|labels| labels.get(key));
        if name == modelmesh::CONTROLLER {
            controller = kept;
        } else if label.is_some_and(|label| label == value) {
            servers.extend(kept);
        }
    }
    Ok(Seen {
        reachable: own.is_some_and(answers),
        older: older.map(|meta| sink(meta).name),
        neighbours: neighbours.iter().map(sink).collect(),
        inference_services,
        config: config(inputs),
        servers,
        controller,
        serving_config: inputs.get(CONFIG_MAP, serving_config::NAME).await?,
        mesh: [DESTINATION_RULE, VIRTUAL_SERVICE]
            .into_iter()
            .filter(|kind| capabilities.has(*kind))
            .collect(),
    })
}

/// Whether a pod of the Deployment is ready.
fn answers(deployment: &Value) -> bool {
    let ready = deployment
        .pointer("/status/readyReplicas")
        .and_then(Value::as_i64);
    ready.unwrap_or_default() > 0
}

/// What KServe's ConfigMap says, wherever KServe runs. There is one in a cluster; of a second one,
/// left over from another installation, the first by namespace counts.
fn config<I: Inputs>(inputs: &I) -> mode::Config {
    let maps = inputs.landmarks(CONFIG_MAP).into_iter();
    let maps = maps.filter(|meta| meta.name.as_deref() == Some(mode::CONFIG));
    let namespace = maps.filter_map(|meta| meta.namespace).min();
    let map = namespace.and_then(|ns| inputs.landmark(CONFIG_MAP, &ns, mode::CONFIG));
    map.map_or_else(mode::Config::default, |map| mode::Config::of(&map))
}

pub(super) fn name(object: &Value) -> &str {
    let name = object.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}
