//! Kind AIHub: subcommand `aihub`. It deploys the operators of the other two kinds, and the catalog.

pub mod config;
pub mod deployed;
pub mod error;
pub mod names;
pub mod observe;
pub mod plan;
pub mod rbac;
pub mod status;

use api::aihub::v1alpha1::{AIHub as Resource, AIHubStatus};
use kube::core::ObjectMeta;
use resources::kind::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEFINITION, DEPLOYMENT, MUTATING_WEBHOOKS,
    NAMESPACE, NETWORK_POLICY, ROLE, ROLE_BINDING, SERVICE, SERVICE_ACCOUNT, VALIDATING_WEBHOOKS,
};
use resources::{Kind, Plan};
use runtime::component::{Attempt, Component, Identity, Note, Owner, Watched};
use runtime::inputs::Inputs;
use serde_json::Value;

use config::Config;
use error::Error;
use observe::Observation;

/// Kind Catalog.
pub const CATALOG: Kind =
    Kind::namespaced("aihub.opendatahub.io", "v1alpha1", "Catalog", "catalogs");

/// What OpenShift's console and `oc process` make objects of.
pub const TEMPLATE: Kind = Kind::namespaced("template.openshift.io", "v1", "Template", "templates");

/// The component that turns an AIHub into running operators.
#[derive(Clone, Debug)]
pub struct Hub {
    /// What the installation sets.
    pub config: Config,
}

/// Objects of the hub and definitions carry this label, with different values.
const OURS: &str = names::PART_OF;

/// By an annotation somebody keeps an object to themselves.
const fn owned(kind: Kind) -> Watched {
    Watched::owned(kind, OURS).keeping(&["/metadata/annotations"])
}

const KINDS: &[Watched] = &[
    // Made where it is missing, and nobody's: data in it stays.
    Watched::owned(NAMESPACE, ""),
    owned(DEFINITION),
    owned(SERVICE_ACCOUNT),
    owned(ROLE),
    owned(ROLE_BINDING),
    owned(CLUSTER_ROLE),
    owned(CLUSTER_ROLE_BINDING),
    owned(SERVICE),
    owned(DEPLOYMENT).keeping(&[
        "/metadata/annotations",
        "/metadata/resourceVersion",
        "/spec",
        "/status",
    ]),
    owned(NETWORK_POLICY),
    owned(MUTATING_WEBHOOKS),
    owned(VALIDATING_WEBHOOKS),
    // Its definition is deployed by the hub.
    owned(CATALOG).optional(),
    // OpenShift has them.
    owned(TEMPLATE).optional(),
    Watched::seen(CONFIG_MAP, "").keeping(&["/data"]),
];

impl Component for Hub {
    type Resource = Resource;
    type Observation = Observation;
    type Status = AIHubStatus;
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "aihub",
        reporter: "aihub-controller",
        // That of the Go operator, which applies as well.
        field_manager: "aihub",
        // That of the Go operator for definitions.
        predecessors: &["platform.opendatahub.io"],
        finalizer: "aihub.opendatahub.io/finalizer",
        pause_annotation: "components.platform.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    fn undeleted(&self) -> &[Kind] {
        &[NAMESPACE, DEFINITION, CLUSTER_ROLE]
    }

    fn only_named(&self, kind: Kind) -> &'static [&'static str] {
        if kind == CONFIG_MAP {
            &[names::PLATFORM_CONFIG]
        } else {
            &[]
        }
    }

    fn owner(&self, kind: Kind, meta: &ObjectMeta, _: &Value) -> Option<Owner> {
        owner(kind, meta)
    }

    async fn observe<I: Inputs>(
        &self,
        resource: &Resource,
        inputs: &I,
    ) -> Result<Observation, Error> {
        Ok(observe::observe(resource, inputs).await?)
    }

    fn plan(&self, resource: &Resource, observation: &Observation) -> Result<Plan, Error> {
        plan::plan(resource, observation, &self.config)
    }

    async fn parting<I: Inputs>(
        &self,
        resource: &Resource,
        inputs: &I,
    ) -> Result<Option<Plan>, Error> {
        let seen = observe::observe(resource, inputs).await?;
        plan::parting(resource, &seen, &self.config).map(Some)
    }

    fn status<I: Inputs>(
        &self,
        resource: &Resource,
        attempt: &Attempt<'_, Self>,
        _: &I,
    ) -> AIHubStatus {
        status::status(resource, attempt)
    }

    fn events(&self, _: &Resource, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        status::events(attempt)
    }
}

/// Whether an object is the hub's, by its labels. There is one hub.
fn owner(kind: Kind, meta: &ObjectMeta) -> Option<Owner> {
    let label = meta.labels.as_ref().and_then(|all| all.get(names::PART_OF));
    let belongs = match kind {
        NAMESPACE => false,
        // Its watch shows only those of one name.
        CONFIG_MAP => true,
        DEFINITION => meta.name.as_deref().is_some_and(deployed::defines),
        _ => label.is_some_and(|part_of| part_of == names::HUB),
    };
    belongs.then(|| Owner {
        namespace: None,
        name: names::RESOURCE.to_owned(),
    })
}
