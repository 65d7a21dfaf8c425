//! Kind MLflow.

pub mod chart;
pub mod error;
pub mod observe;
pub mod plan;
pub mod status;
pub mod validate;
pub mod validated;
pub mod values;

use api::mlflow::v1::{MLflow, MLflowStatus};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use resources::kind::{
    CERTIFICATE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, CRON_JOB, DEPLOYMENT, HTTP_ROUTE,
    JOB, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, POD, POD_DISRUPTION_BUDGET, SECRET, SERVICE,
    SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use resources::{Kind, Plan};
use runtime::component::{Attempt, Component, Identity, Note, Owner, Watched};
use runtime::inputs::Inputs;
use serde_json::Value;

use error::Error;
use observe::Observation;

use crate::config::Config;
use crate::kinds::CONSOLE_LINK;
use crate::migration;
use crate::module;
use crate::names::{self, APP, COMPONENT, INSTANCE};

/// What an installation of the operator is.
#[derive(Clone, Debug)]
pub struct Installation {
    /// What it sets.
    pub config: Config,
    /// Namespace of the objects of all MLflows.
    pub namespace: String,
}

/// The component that turns an MLflow into a running server.
#[derive(Clone, Debug)]
pub struct Server {
    /// The installation that it is part of.
    pub installation: Installation,
}

/// Label that every object carries.
const OURS: &str = "component=mlflow";

/// The same, and that of what migrates.
const OURS_AND_MIGRATIONS: &str = "component in (mlflow,mlflow-migration)";

const fn owned(kind: Kind) -> Watched {
    Watched::owned(kind, OURS)
}

const KINDS: &[Watched] = &[
    owned(SERVICE_ACCOUNT),
    owned(CLUSTER_ROLE),
    owned(CLUSTER_ROLE_BINDING),
    // All of them: they are inputs too.
    Watched::owned(SECRET, ""),
    Watched::owned(CONFIG_MAP, ""),
    // All of them: one that somebody prepared has no label.
    Watched::owned(PERSISTENT_VOLUME_CLAIM, "").keeping(&[
        "/metadata/annotations",
        "/spec",
        "/status",
    ]),
    owned(SERVICE),
    Watched::owned(NETWORK_POLICY, OURS_AND_MIGRATIONS),
    owned(POD_DISRUPTION_BUDGET),
    owned(DEPLOYMENT).keeping(&["/metadata/annotations", "/spec", "/status"]),
    owned(CRON_JOB),
    Watched::owned(JOB, migration::names::JOB).keeping(&["/metadata/annotations", "/status"]),
    owned(SERVICE_MONITOR).optional(),
    owned(HTTP_ROUTE).optional().keeping(&["/status"]),
    owned(CONSOLE_LINK).optional(),
    owned(CERTIFICATE).optional(),
    Watched::seen(POD, OURS_AND_MIGRATIONS).keeping(&["/spec/containers", "/status"]),
    module::WATCHED,
];

impl Component for Server {
    type Resource = MLflow;
    type Observation = Observation;
    type Status = MLflowStatus;
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "mlflow",
        reporter: "mlflow-controller",
        // That of the Go operator, which applies as well: what it set and we do not goes.
        field_manager: "mlflow-operator",
        predecessors: &["manager"],
        // All that it makes goes by its owner references, or stays because the resource says so.
        finalizer: "",
        pause_annotation: "mlflow.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    /// Data goes with its resource, by its owner reference, or stays. A migration is stopped by nobody
    /// but whoever decides about migrations.
    fn undeleted(&self) -> &[Kind] {
        &[PERSISTENT_VOLUME_CLAIM, JOB]
    }

    fn inputs_namespace(&self) -> Option<&str> {
        Some(&self.installation.namespace)
    }

    fn owner(&self, _: Kind, meta: &ObjectMeta, _: &Value) -> Option<Owner> {
        migration::names::owner(meta).or_else(|| owner(meta))
    }

    async fn observe<I: Inputs>(
        &self,
        resource: &MLflow,
        inputs: &I,
    ) -> Result<Observation, Error> {
        observe::observe(resource, &self.installation, inputs).await
    }

    fn plan(&self, resource: &MLflow, seen: &Observation) -> Result<Plan, Error> {
        plan::plan(&validate::validate(resource, seen, &self.installation)?)
    }

    fn status<I: Inputs>(
        &self,
        resource: &MLflow,
        attempt: &Attempt<'_, Self>,
        inputs: &I,
    ) -> MLflowStatus {
        status::status(self, resource, attempt, inputs)
    }

    fn events(&self, resource: &MLflow, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        status::events(resource, attempt)
    }

    fn due(&self, seen: &Observation) -> Option<Timestamp> {
        seen.due()
    }
}

/// Which MLflow an object belongs to, by its labels: what has no owner, and pods.
fn owner(meta: &ObjectMeta) -> Option<Owner> {
    let label = |key: &str| meta.labels.as_ref()?.get(key);
    let (key, value) = COMPONENT;
    let own = label(INSTANCE).or_else(|| label(APP))?;
    let name = names::resource_of(own)?;
    (label(key).map(String::as_str) == Some(value)).then(|| Owner {
        namespace: None,
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_say_whose_an_object_is() {
        let found = |labels: Value| {
            let meta = serde_json::from_value(json!({"name": "x", "labels": labels})).unwrap();
            owner(&meta).map(|owner| owner.name)
        };
        let mut labels = json!({"app": "mlflow-gc", "app.kubernetes.io/instance": "mlflow",
            "component": "mlflow"});
        assert_eq!(found(labels.clone()).as_deref(), Some("mlflow"));
        labels["app.kubernetes.io/instance"] = json!("mlflow-production");
        assert_eq!(found(labels.clone()).as_deref(), Some("production"));
        labels["component"] = json!("other");
        assert_eq!(found(labels), None);
    }
}
