//! What people are told about the wiring.

use conditions::{ConditionType, Status, Wanted, condition_type, reason};
use resources::kind::{CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, VIRTUAL_SERVICE};
use runtime::component::Note;
use runtime::{Outcome, Target};

use super::logger::{INFERENCE_SERVICE, Step};
use super::mode::{self, Mode};
use super::plan::SERVICE_CA_KEY;
use super::{Authority, ServerStep, ServingConfig, Wiring, modelmesh, serving_config};

/// Whether there is any InferenceService in the namespace.
pub const PRESENT: ConditionType = condition_type!("InferenceServicesPresent");
/// True while an older service of the namespace has all models. Only there then.
pub const CONFLICT: ConditionType = condition_type!("WiringConflict");
/// Whether ModelMesh runs in the namespace, and is well.
pub const MODEL_MESH: ConditionType = condition_type!("ModelMeshReady");
/// Whether all models send what they answer. Only there where there are models.
pub const WIRED: ConditionType = condition_type!("ModelsWired");

/// So many sentences are said; the rest is counted.
const SENTENCES: usize = 5;

impl Wiring {
    /// Conditions of the wiring, after `outcome`. None of them makes a service unready.
    #[must_use]
    pub fn conditions(&self, outcome: &Outcome) -> Vec<Wanted> {
        let mut wanted = vec![self.present(), self.model_mesh()];
        wanted.extend(self.conflict());
        wanted.extend(self.models_wired(outcome));
        wanted
    }

    /// Events about what a pass wired, and about what it must not.
    #[must_use]
    pub fn events(&self, outcome: &Outcome) -> Vec<Note> {
        let updated = |kind, name: &str| {
            let mut updated = outcome.updated.iter();
            updated.any(|target| target.kind == kind && target.name == name)
        };
        let mut notes = Vec::new();
        let configured = |message: &str| Note {
            warning: false,
            reason: "InferenceServiceConfigured",
            action: "Wire",
            message: message.to_owned(),
        };
        let is_wired = |step: &Step| matches!(step, Step::Share(_) | Step::Wire(_));
        let mut models = self.models.iter().filter(|model| is_wired(&model.step));
        if models.any(|model| updated(INFERENCE_SERVICE, &model.name)) {
            notes.push(configured("KServe InferenceService configured"));
        }
        let by_env = self.servers.iter().any(|server| {
            matches!(server.step, ServerStep::Wire(_)) && updated(DEPLOYMENT, &server.name)
        });
        let by_config = matches!(
            self.config,
            Some(ServingConfig::Make | ServingConfig::Wire(_))
        ) && outcome.changed();
        if by_env || by_config {
            notes.push(configured("ModelMesh InferenceService configured"));
        }
        notes.extend(self.conflict().map(|conflict| Note {
            warning: true,
            reason: "WiringConflict",
            action: "Wire",
            message: conflict.message,
        }));
        notes
    }

    /// Whether an object is there for models: without it the service is there all the same.
    #[must_use]
    pub fn concerns(&self, target: &Target) -> bool {
        match target.kind {
            INFERENCE_SERVICE | DESTINATION_RULE | VIRTUAL_SERVICE => true,
            CONFIG_MAP => [serving_config::NAME, &self.trust.ca_bundle].contains(&&*target.name),
            DEPLOYMENT => self.servers.iter().any(|server| server.name == target.name),
            _ => false,
        }
    }

    fn present(&self) -> Wanted {
        if self.models.is_empty() {
            let reason = reason!("InferenceServicesNotFound");
            return Wanted::new(
                PRESENT,
                Status::False,
                reason,
                "InferenceServices not found",
            );
        }
        let reason = reason!("InferenceServicesFound");
        Wanted::new(PRESENT, Status::True, reason, "InferenceServices found")
    }

    fn conflict(&self) -> Option<Wanted> {
        let older = self.conflict.as_ref()?;
        let message = format!(
            "TrustyAIService {older} of this namespace is older, and all models send what they \
             answer there; delete one of the two"
        );
        Some(Wanted::new(
            CONFLICT,
            Status::True,
            reason!("OlderService"),
            message,
        ))
    }

    fn model_mesh(&self) -> Wanted {
        if self.servers.is_empty() && self.controller.is_none() {
            return Wanted::new(
                MODEL_MESH,
                Status::Unknown,
                reason!("ModelMeshNotPresent"),
                "ModelMesh does not run in this namespace.",
            );
        }
        let servers = self.servers.iter().filter(|server| !server.ready);
        let controller = self.controller.filter(|ready| !ready);
        let down = servers.map(|server| server.name.as_str());
        let down: Vec<_> = down
            .chain(controller.map(|_| modelmesh::CONTROLLER))
            .collect();
        if down.is_empty() {
            return Wanted::new(
                MODEL_MESH,
                Status::True,
                reason!("ModelMeshHealthy"),
                "ModelMesh is running and healthy.",
            );
        }
        let message = format!(
            "Deployments of ModelMesh have not all of their pods ready: {}; look at these pods",
            down.join(", ")
        );
        Wanted::new(
            MODEL_MESH,
            Status::False,
            reason!("ModelMeshNotHealthy"),
            message,
        )
    }

    fn models_wired(&self, outcome: &Outcome) -> Option<Wanted> {
        let has_models =
            !(self.models.is_empty() && self.servers.is_empty() && self.config.is_none());
        if self.conflict.is_some() || !has_models {
            return None;
        }
        let failed = outcome.failed.iter();
        let failed = failed.filter(|failed| self.concerns(&failed.target));
        let failed = failed.map(|failed| format!("{}: {}", failed.target, failed.message));
        let contested = outcome.contested.iter();
        let contested = contested.filter(|target| target.kind == INFERENCE_SERVICE);
        let contested = contested.map(|target| kept(&target.name, ""));
        let sentences: Vec<String> = failed
            .chain(contested)
            .chain(self.not_wired())
            .chain(self.untrusted())
            .collect();
        if sentences.is_empty() {
            let message = "all models send what they answer";
            return Some(Wanted::new(
                WIRED,
                Status::True,
                reason!("AllWired"),
                message,
            ));
        }
        let more = sentences.len().saturating_sub(SENTENCES);
        let mut message: Vec<_> = sentences.into_iter().take(SENTENCES).collect();
        if more > 0 {
            message.push(format!("and {more} more"));
        }
        let reason = if self.waits() {
            reason!("ServiceNotReachable")
        } else {
            reason!("NotAllWired")
        };
        Some(Wanted::new(
            WIRED,
            Status::False,
            reason,
            message.join("; "),
        ))
    }

    /// Whether anything is wired once the service answers.
    fn waits(&self) -> bool {
        self.models.iter().any(|model| model.step == Step::Later)
            || self
                .servers
                .iter()
                .any(|server| server.step == ServerStep::Later)
            || self.config == Some(ServingConfig::Later)
    }

    /// Why models do not send here.
    fn not_wired(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.waits() {
            sentences.push("models are told where to send once the service is ready".to_owned());
        }
        for model in &self.models {
            let name = &model.name;
            match (&model.step, model.mode) {
                (Step::Foreign(url), _) => sentences.push(kept(name, url)),
                (Step::Nothing, None) => sentences.push(format!(
                    "InferenceService {name} says no deployment mode that is known, and KServe's \
                     ConfigMap no default; set its annotation {}",
                    mode::ANNOTATION
                )),
                (Step::Nothing, Some(Mode::Knative)) if !self.asked.knative => {
                    sentences.push(format!(
                        "InferenceService {name} runs with Knative, which this installation leaves \
                         out; set kServeServerless: enabled in the operator's ConfigMap"
                    ));
                }
                _ => {}
            }
        }
        for server in &self.servers {
            if let ServerStep::Unfit(unfit) = &server.step {
                sentences.push(format!("Deployment {}: {unfit}", server.name));
            }
        }
        if let Some(ServingConfig::Unfit(unfit)) = &self.config {
            let name = serving_config::NAME;
            sentences.push(format!("config.yaml of ConfigMap {name}: {unfit}"));
        }
        sentences
    }

    /// Why loggers cannot verify the service. They warn in their own logs only, and send nothing.
    fn untrusted(&self) -> Option<String> {
        let trust = &self.trust;
        if trust.ca_bundle.is_empty() || trust.tls_skip_verify || !self.wired().any(|(_, tls)| tls)
        {
            return None;
        }
        match self.asked.authority {
            Authority::ServiceCa if trust.file() != SERVICE_CA_KEY => Some(format!(
                "loggers of KServe read {}, and the service CA writes {SERVICE_CA_KEY}; set \
                 logger.caCertFile in ConfigMap {} to that",
                trust.file(),
                mode::CONFIG
            )),
            Authority::Unknown => Some(format!(
                "loggers of KServe verify the service by {} of ConfigMap {}; put the authority of \
                 its certificate there",
                trust.file(),
                trust.ca_bundle
            )),
            Authority::ServiceCa | Authority::Own(_) => None,
        }
    }
}

fn kept(name: &str, url: &str) -> String {
    let logger = if url.is_empty() {
        "its own logger".to_owned()
    } else {
        format!("its own logger {url}")
    };
    format!(
        "InferenceService {name} keeps {logger}; remove it, or set spec.kserve.existingLoggers: \
         Replace"
    )
}
