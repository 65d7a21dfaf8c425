//! Kind MLflowOperator: the platform's switch of this operator, and what the platform tells it.

pub mod error;
pub mod gate;
pub mod release;
pub mod rights;
pub mod status;

use api::mlflow::operator::{MLflowOperator, MLflowOperatorStatus};
use kube::core::ObjectMeta;
use resources::kind::CONFIG_MAP;
use resources::{Kind, Plan};
use runtime::component::{Attempt, Component, Identity, Note, Owner, Watched};
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;

use crate::kinds::MLFLOW;
use error::Error;

/// Kind MLflowOperator.
pub const MLFLOW_OPERATOR: Kind = Kind::cluster(
    "components.platform.opendatahub.io",
    "v1alpha1",
    "MLflowOperator",
    "mlflowoperators",
);

/// The name of the only MLflowOperator.
pub const SINGLETON: &str = "default-mlflowoperator";

/// ConfigMap in which the platform says which version of it is installed.
pub const PLATFORM_CONFIG: &str = "odh-mlflowoperator-config";

/// How the loop over MLflows follows it. The platform may not have it.
pub const WATCHED: Watched = Watched::seen(MLFLOW_OPERATOR, "").optional();

/// The platform's MLflowOperator, which the loop over MLflows reads for [`gate::gate`] and
/// [`Config::effective`](crate::config::Config::effective).
///
/// # Errors
/// It could not be read.
pub async fn read<I: Inputs>(inputs: &I) -> Result<Option<MLflowOperator>, InputError> {
    let found = inputs.get(MLFLOW_OPERATOR, SINGLETON).await?;
    Ok(found.and_then(|found| serde_json::from_value(Value::clone(&found)).ok()))
}

/// The component that answers the platform. It makes nothing.
#[derive(Clone, Debug)]
pub struct Module {
    /// Namespace of [`PLATFORM_CONFIG`].
    pub namespace: String,
    /// Version of MLflow that this operator runs: `3.14.0`.
    pub mlflow_version: &'static str,
}

/// What the platform's ConfigMap says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Version of the platform, if it says one.
    pub platform_version: Option<String>,
}

const KINDS: &[Watched] = &[
    Watched::seen(MLFLOW, "").keeping(&[]),
    Watched::seen(CONFIG_MAP, "").keeping(&["/data/platformVersion"]),
];

impl Component for Module {
    type Resource = MLflowOperator;
    type Observation = Observation;
    type Status = MLflowOperatorStatus;
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "mlflowoperator",
        reporter: "mlflowoperator-controller",
        field_manager: "mlflow-operator",
        predecessors: &[],
        finalizer: "mlflow.opendatahub.io/mlflow-operator-protection",
        pause_annotation: "components.platform.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    fn only_named(&self, kind: Kind) -> &'static [&'static str] {
        if kind == CONFIG_MAP {
            &[PLATFORM_CONFIG]
        } else {
            &[]
        }
    }

    /// Whatever is watched matters to the only one.
    fn owner(&self, _: Kind, _: &ObjectMeta, _: &Value) -> Option<Owner> {
        Some(Owner {
            namespace: None,
            name: SINGLETON.to_owned(),
        })
    }

    async fn observe<I: Inputs>(
        &self,
        _: &MLflowOperator,
        inputs: &I,
    ) -> Result<Observation, Error> {
        let config = inputs.child(CONFIG_MAP, Some(&self.namespace), PLATFORM_CONFIG);
        Ok(Observation {
            platform_version: release::platform_version(config.as_ref(), &self.namespace)?,
        })
    }

    fn plan(&self, _: &MLflowOperator, _: &Observation) -> Result<Plan, Error> {
        Ok(Plan::default())
    }

    /// What the platform took away while MLflows run would run on with nobody looking after it.
    fn stays<I: Inputs>(&self, _: &MLflowOperator, inputs: &I) -> bool {
        !inputs.children(MLFLOW).is_empty()
    }

    fn status<I: Inputs>(
        &self,
        resource: &MLflowOperator,
        attempt: &Attempt<'_, Self>,
        inputs: &I,
    ) -> MLflowOperatorStatus {
        let mlflows = inputs.children(MLFLOW).len();
        status::status(resource, attempt, mlflows, self.mlflow_version)
    }

    fn events(&self, resource: &MLflowOperator, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        status::events(resource, attempt)
    }
}
