//! Who may see and change what MLflow keeps for a namespace: the platform's groups, in each Namespace
//! that carries a label with the name of an MLflow.
//!
//! This is a loop of its own over MLflows: an MLflow that cannot be planned keeps nobody from losing
//! access. The bindings belong to the MLflow and go with it.

pub mod error;
pub mod groups;
pub mod plan;
pub mod rights;

use api::mlflow::v1::MLflow;
use kube::core::ObjectMeta;
use resources::kind::{AUTH, NAMESPACE, ROLE_BINDING};
use resources::{Kind, Plan, meta};
use runtime::component::{Attempt, Component, Identity, Note, Owner, Watched};
use runtime::inputs::Inputs;
use serde_json::Value;

use error::Error;
use groups::Groups;

/// Label of a Namespace: the name of the MLflow that the platform's groups use in it.
pub const WORKSPACE_LABEL: &str = "opendatahub.io/global-mlflow-workspace";

/// RoleBinding for those who may see.
pub const VIEW: &str = "odh-group-mlflow-view";
/// RoleBinding for those who may change.
pub const EDIT: &str = "odh-group-mlflow-edit";

/// Name of the only Auth, which lists the platform's groups.
const PLATFORM_AUTH: &str = "auth";

/// The component that binds the platform's groups.
#[derive(Clone, Debug)]
pub struct Access {
    /// What the names of the ClusterRoles begin with: `mlflow-operator-`.
    pub role_prefix: String,
}

/// What the bindings depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// Namespaces with the label, but for those that are going.
    pub namespaces: Vec<String>,
    /// The platform's groups; `None` without an Auth.
    pub groups: Option<Groups>,
    /// Namespace and name of bindings of ours that are for another role by now. A binding cannot
    /// change its role: it goes, and is made again.
    pub outdated: Vec<(String, String)>,
}

const KINDS: &[Watched] = &[
    Watched::seen(NAMESPACE, WORKSPACE_LABEL).keeping(&[]),
    Watched::seen(AUTH, "").optional(),
    Watched::owned(ROLE_BINDING, "").keeping(&["/roleRef"]),
];

impl Component for Access {
    type Resource = MLflow;
    type Observation = Observation;
    type Status = ();
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "mlflow-access",
        reporter: "mlflow-access-controller",
        field_manager: "mlflow-operator",
        predecessors: &[],
        finalizer: "",
        pause_annotation: "mlflow.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    fn only_named(&self, kind: Kind) -> &'static [&'static str] {
        match kind {
            AUTH => &[PLATFORM_AUTH],
            ROLE_BINDING => &[VIEW, EDIT],
            _ => &[],
        }
    }

    fn owner(&self, kind: Kind, meta: &ObjectMeta, _: &Value) -> Option<Owner> {
        if kind != NAMESPACE {
            return None;
        }
        let name = meta.labels.as_ref()?.get(WORKSPACE_LABEL)?.clone();
        (!name.is_empty()).then_some(Owner {
            namespace: None,
            name,
        })
    }

    async fn observe<I: Inputs>(&self, _: &MLflow, inputs: &I) -> Result<Observation, Error> {
        let auth = inputs.get(AUTH, PLATFORM_AUTH).await?;
        let groups = auth.map(|auth| Groups::of(&auth)).transpose()?;
        let namespaces = inputs.children(NAMESPACE);
        let namespaces = namespaces.iter().map(meta::of);
        let bindings = inputs.children(ROLE_BINDING);
        let outdated = bindings.iter().filter(|live| !plan::is_current(live, self));
        let address = |live: &Value| {
            let meta = meta::of(live);
            Some((meta.namespace?, meta.name?))
        };
        Ok(Observation {
            namespaces: namespaces
                .filter(|meta| meta.deletion_timestamp.is_none())
                .filter_map(|meta| meta.name)
                .collect(),
            groups,
            outdated: outdated.filter_map(address).collect(),
        })
    }

    fn plan(&self, mlflow: &MLflow, seen: &Observation) -> Result<Plan, Error> {
        plan::plan(mlflow, seen, self)
    }

    fn status<I: Inputs>(&self, _: &MLflow, _: &Attempt<'_, Self>, _: &I) {}

    fn events(&self, _: &MLflow, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        let theirs = "somebody else; remove it, and the operator makes its own";
        let bad = attempt.undone(|_, _| true, theirs);
        attempt.warning(bad.map(|bad| bad.message), "NamespaceAccessFailed")
    }
}
