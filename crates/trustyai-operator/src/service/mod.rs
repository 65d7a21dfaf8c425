//! Kind TrustyAIService.

pub mod config;
pub mod error;
pub mod monitoring;
pub mod names;
pub mod observe;
pub mod plan;
pub mod status;
pub mod validate;
pub mod validated;
pub mod webhook;

use api::trustyai::v1::{TrustyAIService, TrustyAIServiceStatus};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use resources::kind::{
    BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_ALPHA, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT,
    DESTINATION_RULE, ENDPOINT_SLICE, HTTP_ROUTE, INGRESS, PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM, POD, POD_DISRUPTION_BUDGET, ROUTE, SECRET, SERVICE, SERVICE_ACCOUNT,
    SERVICE_MONITOR, VIRTUAL_SERVICE,
};
use resources::{Edit, Kind, Plan};
use runtime::component::{Attempt, Component, Identity, Landmark, Note, Owner, Watched, Which};
use runtime::inputs::Inputs;
use serde_json::{Value, json};

use config::Config;
use error::Error;
use observe::Observation;
use validated::Validated;

use crate::wiring::logger::INFERENCE_SERVICE;
use crate::wiring::sink::Sink;
use crate::wiring::{self, PREDECESSORS};

/// The component that turns a TrustyAIService into a running service.
#[derive(Clone, Debug)]
pub struct TrustyAi {
    config: Config,
    landmarks: [Landmark; 4],
}

impl TrustyAi {
    /// The component of an installation.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let settings = Landmark {
            kind: CONFIG_MAP,
            which: Which::Named(config.config_map),
            with: None,
            kept: &["/data"],
        };
        let [servers, controller, kserve] = wiring::LANDMARKS;
        Self {
            config,
            landmarks: [settings, servers, controller, kserve],
        }
    }
}

/// Label that every object of a service carries.
const OURS: &str = "app.kubernetes.io/part-of=trustyai";

const fn owned(kind: Kind) -> Watched {
    Watched::owned(kind, OURS)
}

const KINDS: &[Watched] = &[
    owned(SERVICE_ACCOUNT),
    owned(CLUSTER_ROLE_BINDING),
    // All of them: they are inputs too.
    Watched::owned(SECRET, ""),
    Watched::owned(CONFIG_MAP, ""),
    // All of them: a service may use somebody else's, and the Go operator gave its own no label.
    Watched::owned(PERSISTENT_VOLUME_CLAIM, "").keeping(&[
        "/metadata/annotations",
        "/spec",
        "/status",
    ]),
    Watched::seen(PERSISTENT_VOLUME, ""),
    owned(SERVICE),
    owned(DEPLOYMENT).keeping(&["/metadata/annotations", "/spec", "/status"]),
    owned(POD_DISRUPTION_BUDGET),
    // The Go operator gave its own no other label.
    Watched::owned(SERVICE_MONITOR, "modelmesh-service=modelmesh-serving").optional(),
    owned(ROUTE).optional().keeping(&["/spec/host", "/status"]),
    owned(HTTP_ROUTE).optional().keeping(&["/status"]),
    owned(BACKEND_TLS_POLICY).optional().keeping(&["/status"]),
    owned(BACKEND_TLS_POLICY_ALPHA)
        .optional()
        .keeping(&["/status"]),
    owned(INGRESS),
    owned(DESTINATION_RULE).optional(),
    owned(VIRTUAL_SERVICE).optional(),
    wiring::WATCHED,
    Watched::seen(POD, OURS).keeping(&["/spec/containers", "/status"]),
    Watched::seen(ENDPOINT_SLICE, OURS).keeping(&["/endpoints", "/ports"]),
];

/// What was read for a service, and what its objects are made of.
#[derive(Clone, Debug)]
pub struct Observed {
    /// What was read.
    pub seen: Observation,
    /// What the objects are made of, or everything that is wrong with the resource.
    pub validated: Result<Validated, Vec<String>>,
}

impl Component for TrustyAi {
    type Resource = TrustyAIService;
    type Observation = Observed;
    type Status = TrustyAIServiceStatus;
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "trustyaiservice",
        reporter: "trustyai-service-operator",
        field_manager: "trustyai-operator",
        predecessors: PREDECESSORS,
        finalizer: "trustyai.opendatahub.io/finalizer",
        pause_annotation: "trustyai.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    /// Data goes with its resource, by its owner reference, or stays.
    fn undeleted(&self) -> &[Kind] {
        &[PERSISTENT_VOLUME_CLAIM]
    }

    /// Loggers of models.
    fn shared(&self) -> &[Kind] {
        &[INFERENCE_SERVICE]
    }

    fn landmarks(&self) -> &[Landmark] {
        &self.landmarks
    }

    fn owner(&self, kind: Kind, meta: &ObjectMeta, _: &Value) -> Option<Owner> {
        wiring::owner(kind, meta).or_else(|| owner(kind, meta))
    }

    async fn observe<I: Inputs>(
        &self,
        resource: &TrustyAIService,
        inputs: &I,
    ) -> Result<Observed, Error> {
        let seen = observe::observe(resource, &self.config, inputs).await?;
        let validated = validate::validate(resource, &seen, &self.config);
        Ok(Observed { seen, validated })
    }

    fn plan(&self, _: &TrustyAIService, observed: &Observed) -> Result<Plan, Error> {
        match &observed.validated {
            Ok(validated) => Ok(plan::plan(validated)?),
            Err(problems) => Err(Error::Invalid(problems.clone())),
        }
    }

    async fn undo<I: Inputs>(
        &self,
        resource: &TrustyAIService,
        inputs: &I,
    ) -> Result<Vec<Edit>, Error> {
        // What was set is taken back, whether the service answers or not.
        let seen = wiring::observe(resource, None, inputs).await?;
        Ok(wiring::undo(&Sink::of(resource), &seen))
    }

    fn status<I: Inputs>(
        &self,
        resource: &TrustyAIService,
        attempt: &Attempt<'_, Self>,
        inputs: &I,
    ) -> TrustyAIServiceStatus {
        status::status(resource, attempt, inputs)
    }

    fn events(&self, _: &TrustyAIService, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        status::events(attempt)
    }

    fn passing_spec(&self) -> Option<Value> {
        Some(json!({"storage": {"format": "DATABASE"}, "metrics": {"schedule": "5s"}}))
    }

    fn due(&self, observed: &Observed) -> Option<Timestamp> {
        observed.seen.due()
    }
}

/// Which service an object belongs to, by its labels.
fn owner(kind: Kind, meta: &ObjectMeta) -> Option<Owner> {
    let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
    let (key, value) = names::PART_OF;
    if label(key).as_deref() != Some(value) {
        return None;
    }
    // What is in no namespace says where its service is, if it was made by us.
    let namespace = match kind {
        CLUSTER_ROLE_BINDING => label(names::NAMESPACE_LABEL),
        _ => meta.namespace.clone(),
    };
    Some(Owner {
        namespace,
        name: label(names::INSTANCE_LABEL)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_whose_an_object_is() {
        let found = |kind, labels: Value| {
            let meta = json!({"name": "x", "namespace": "ns", "labels": labels});
            let meta = serde_json::from_value(meta).unwrap();
            owner(kind, &meta).map(|owner| (owner.namespace, owner.name))
        };
        let mut labels = json!({"app.kubernetes.io/part-of": "trustyai",
            "app.kubernetes.io/instance": "tas"});
        let here = Some((Some("ns".to_owned()), "tas".to_owned()));
        assert_eq!(found(DEPLOYMENT, labels.clone()), here);
        assert_eq!(
            found(CLUSTER_ROLE_BINDING, labels.clone()),
            Some((None, "tas".to_owned()))
        );
        labels["trustyai.opendatahub.io/namespace"] = "there".into();
        let there = Some((Some("there".to_owned()), "tas".to_owned()));
        assert_eq!(found(CLUSTER_ROLE_BINDING, labels.clone()), there);
        labels["app.kubernetes.io/part-of"] = "other".into();
        assert_eq!(found(DEPLOYMENT, labels), None);
    }
}
