//! How models send what they answer to a service.
//!
//! [`observe`] looks at the models of the namespace, [`Wiring::of`] says what each of them needs,
//! without a client, and [`undo`] what takes everything back. Shares and edits go into the plan and
//! are the runtime's from there.

pub mod logger;
pub mod mode;
pub mod modelmesh;
mod observe;
mod plan;
pub mod processors;
pub mod serving_config;
pub mod sink;
mod told;

use api::trustyai::v1::{LoggerPolicy, ModelMeshMethod};
use resources::{Edit, Kind};
use serde_json::Value;

use logger::Step;
use mode::Mode;
use sink::Sink;

pub use observe::{LANDMARKS, Seen, WATCHED, observe, owner};
pub use told::{CONFLICT, MODEL_MESH, PRESENT, WIRED};

/// Managers of fields that the Go operator set.
pub const PREDECESSORS: &[&str] = &["manager"];

/// What the service asks for, and what it can give.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Whom models send to.
    pub sink: Sink,
    /// How ModelMesh is told.
    pub method: ModelMeshMethod,
    /// What becomes of loggers that somebody else set.
    pub loggers: LoggerPolicy,
    /// Models that run with Knative are wired, too: a setting of the installation.
    pub knative: bool,
    /// Who signed the certificate of the service.
    pub authority: Authority,
}

/// Who signed the certificate that loggers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authority {
    /// OpenShift's service CA, which fills a ConfigMap that asks for it.
    ServiceCa,
    /// The operator: certificates of its authorities, as PEM.
    Own(String),
    /// Whoever made the Secret.
    Unknown,
}

/// What becomes of every model.
#[derive(Clone, Debug, PartialEq)]
pub struct Wiring {
    asked: Asked,
    /// How loggers verify whom they send to.
    trust: mode::Trust,
    /// APIs of Istio that the cluster has.
    mesh: Vec<Kind>,
    /// Whether ModelMesh's controller is ready, where it runs in the namespace.
    controller: Option<bool>,
    models: Vec<Model>,
    servers: Vec<Server>,
    config: Option<ServingConfig>,
    /// The older service that has them all.
    conflict: Option<String>,
}

/// An InferenceService.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    name: String,
    mode: Option<Mode>,
    /// It asks for a sidecar of Istio.
    in_mesh: bool,
    step: Step,
}

/// A Deployment of ModelMesh.
#[derive(Clone, Debug, PartialEq)]
struct Server {
    name: String,
    ready: bool,
    step: ServerStep,
}

#[derive(Clone, Debug, PartialEq)]
enum ServerStep {
    Wired,
    Wire(Edit),
    Unwire(Edit),
    Later,
    Unfit(modelmesh::Unfit),
    Nothing,
}

/// ModelMesh's ConfigMap.
#[derive(Clone, Debug, PartialEq)]
enum ServingConfig {
    Wired,
    Make,
    Wire(Edit),
    Unwire(Edit),
    Later,
    Unfit(processors::Unfit),
}

impl Wiring {
    /// What becomes of every model that was seen.
    #[must_use]
    pub fn of(asked: Asked, seen: &Seen) -> Self {
        let conflict = seen.older.clone();
        let method = match asked.method {
            _ if conflict.is_some() => ModelMeshMethod::None,
            ModelMeshMethod::Auto if seen.controller.is_some() => ModelMeshMethod::ConfigMap,
            ModelMeshMethod::Auto => ModelMeshMethod::Env,
            chosen => chosen,
        };
        let models = seen.inference_services.iter();
        let models = models
            .map(|object| Model::of(object, &asked, seen))
            .collect();
        let by_env = method == ModelMeshMethod::Env;
        let servers = seen.servers.iter();
        let servers = servers.map(|object| Server::of(object, &asked.sink, seen.reachable, by_env));
        let by_config = method == ModelMeshMethod::ConfigMap;
        Self {
            trust: seen.config.logger.clone(),
            mesh: seen.mesh.clone(),
            controller: seen.controller.as_deref().map(is_ready),
            models,
            servers: servers.collect(),
            config: ServingConfig::of(seen, &asked.sink, by_config),
            conflict,
            asked,
        }
    }

    /// Models of KServe that send here, or will after this plan, by whether they use TLS.
    fn wired(&self) -> impl Iterator<Item = (&Model, bool)> {
        let wired = self
            .models
            .iter()
            .filter(|model| matches!(model.step, Step::Wired | Step::Share(_) | Step::Wire(_)));
        wired.map(|model| (model, model.mode == Some(Mode::Standard)))
    }
}

/// What takes back all that is not a share, when the service goes.
#[must_use]
pub fn undo(sink: &Sink, seen: &Seen) -> Vec<Edit> {
    let loggers = seen.inference_services.iter();
    let loggers = loggers.filter_map(|object| logger::undo(object, sink));
    let servers = seen.servers.iter();
    let servers = servers.filter_map(|object| modelmesh::undo(object, sink));
    let config = seen.serving_config.as_deref();
    let config = config.and_then(|config| serving_config::undo(config, sink));
    loggers.chain(servers).chain(config).collect()
}

impl Model {
    fn of(object: &Value, asked: &Asked, seen: &Seen) -> Self {
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let mode = Mode::of(object, &seen.config);
        let tls = match mode {
            _ if seen.older.is_some() => None,
            Some(Mode::Standard) => Some(true),
            Some(Mode::Knative) if asked.knative => Some(false),
            Some(Mode::Knative | Mode::ModelMesh) | None => None,
        };
        let wish = logger::Wish {
            sink: &asked.sink,
            tls,
            reachable: seen.reachable,
            policy: asked.loggers,
            neighbours: &seen.neighbours,
        };
        Self {
            name: text("/metadata/name").unwrap_or_default().to_owned(),
            mode,
            in_mesh: text("/metadata/annotations/sidecar.istio.io~1inject") == Some("true"),
            step: logger::step(object, wish),
        }
    }
}

impl Server {
    fn of(object: &Value, sink: &Sink, reachable: bool, told: bool) -> Self {
        let step = if told {
            match modelmesh::step(object, sink) {
                Ok(None) => ServerStep::Wired,
                Ok(Some(edit)) if reachable => ServerStep::Wire(edit),
                Ok(Some(_)) => ServerStep::Later,
                Err(unfit) => ServerStep::Unfit(unfit),
            }
        } else {
            let edit = modelmesh::undo(object, sink);
            edit.map_or(ServerStep::Nothing, ServerStep::Unwire)
        };
        Self {
            name: observe::name(object).to_owned(),
            ready: is_ready(object),
            step,
        }
    }
}

/// Whether all pods of a Deployment are ready. One that is scaled to zero is.
fn is_ready(deployment: &Value) -> bool {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64);
    let ready = number("/status/readyReplicas").unwrap_or_default();
    ready >= number("/spec/replicas").unwrap_or(1)
}

impl ServingConfig {
    fn of(seen: &Seen, sink: &Sink, told: bool) -> Option<Self> {
        let config = seen.serving_config.as_deref();
        if !told {
            return serving_config::undo(config?, sink).map(Self::Unwire);
        }
        let Some(config) = config else {
            return Some(if seen.reachable {
                Self::Make
            } else {
                Self::Later
            });
        };
        Some(match serving_config::step(config, sink) {
            Ok(None) => Self::Wired,
            Ok(Some(edit)) if seen.reachable => Self::Wire(edit),
            Ok(Some(_)) => Self::Later,
            Err(unfit) => Self::Unfit(unfit),
        })
    }
}

#[cfg(test)]
mod tests;
