//! Kind Catalog: subcommand `catalog`.

pub mod config;
pub mod error;
pub mod names;
pub mod observe;
pub mod plan;
pub mod rbac;
pub mod sources;
pub mod status;
pub mod webhook;

use api::catalog::v1alpha1::{Catalog as Resource, CatalogStatus};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use resources::kind::{
    AUTH, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, ENDPOINT_SLICE, HTTP_ROUTE, INGRESS_CONFIG,
    NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, POD, REFERENCE_GRANT, ROLE, ROLE_BINDING, ROUTE,
    SECRET, SERVICE, SERVICE_ACCOUNT,
};
use resources::{Kind, Plan};
use runtime::component::{Attempt, Component, Identity, Note, Owner, Watched};
use runtime::inputs::Inputs;
use serde_json::Value;

use crate::registry::names::{NAMESPACE_LABEL, REFERENCE_GRANT as GRANT};
use config::Config;
use error::Error;
use observe::Observation;

/// The component that turns a Catalog into a running catalog.
#[derive(Clone, Debug)]
pub struct Catalog {
    /// What the installation sets.
    pub config: Config,
}

/// Labels that every object of ours carries.
const OURS: &str =
    "app.kubernetes.io/created-by=model-registry-operator,app.kubernetes.io/part-of=model-catalog";

const fn owned(kind: Kind) -> Watched {
    Watched::owned(kind, OURS)
}

/// Label of what was made by this operator, registries' objects included.
const MADE_HERE: &str = "app.kubernetes.io/created-by=model-registry-operator";

const KINDS: &[Watched] = &[
    Watched::seen(INGRESS_CONFIG, "").optional(),
    Watched::seen(AUTH, "").optional(),
    owned(SERVICE_ACCOUNT),
    // All of them: keys to sources carry one label, and a prepared Secret may carry none.
    Watched::owned(SECRET, "").keeping(&["/type"]),
    // All of them: the user's own carry no label of ours.
    Watched::owned(CONFIG_MAP, "").keeping(&["/data/sources.yaml"]),
    // Nobody makes one any more: the one of an earlier time goes.
    Watched::seen(PERSISTENT_VOLUME_CLAIM, MADE_HERE),
    owned(SERVICE),
    owned(DEPLOYMENT).keeping(&["/spec", "/status"]),
    owned(NETWORK_POLICY),
    owned(ROLE),
    owned(ROLE_BINDING),
    owned(CLUSTER_ROLE_BINDING),
    owned(ROUTE).optional(),
    owned(HTTP_ROUTE).optional(),
    // Shared with registries, and labelled like theirs.
    Watched::owned(REFERENCE_GRANT, MADE_HERE).optional(),
    Watched::seen(POD, "component=model-catalog").keeping(&["/spec/containers", "/status"]),
    Watched::seen(ENDPOINT_SLICE, "component=model-catalog").keeping(&["/endpoints", "/ports"]),
];

impl Component for Catalog {
    type Resource = Resource;
    type Observation = Observation;
    type Status = CatalogStatus;
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "catalog",
        reporter: "catalog-controller",
        field_manager: "model-registry-operator",
        predecessors: &["manager"],
        finalizer: "catalog.aihub.opendatahub.io/finalizer",
        pause_annotation: "aihub.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    fn owner(&self, kind: Kind, meta: &ObjectMeta, _: &Value) -> Option<Owner> {
        owner(kind, meta)
    }

    async fn observe<I: Inputs>(
        &self,
        resource: &Resource,
        inputs: &I,
    ) -> Result<Observation, Error> {
        observe::observe(resource, &self.config, inputs).await
    }

    fn plan(&self, resource: &Resource, observation: &Observation) -> Result<Plan, Error> {
        plan::plan(resource, observation, &self.config)
    }

    fn status<I: Inputs>(
        &self,
        resource: &Resource,
        attempt: &Attempt<'_, Self>,
        inputs: &I,
    ) -> CatalogStatus {
        status::status(resource, attempt, inputs)
    }

    fn events(&self, _: &Resource, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        status::events(attempt)
    }

    fn due(&self, observation: &Observation) -> Option<Timestamp> {
        observation.due()
    }
}

/// Which Catalog an object belongs to, by its labels. A namespace has one that counts.
fn owner(kind: Kind, meta: &ObjectMeta) -> Option<Owner> {
    let label = |key: &str| {
        let labels = meta.labels.as_ref()?;
        labels.get(key).map(String::as_str)
    };
    let ours = label("app") == Some(names::CATALOG);
    let belongs = match kind {
        CONFIG_MAP => ours || label(names::SOURCE_LABEL) == Some("true"),
        SECRET => ours || label(names::COMPONENT_LABEL) == Some(names::CATALOG),
        PERSISTENT_VOLUME_CLAIM => meta.name.as_deref() == Some(names::POSTGRES),
        REFERENCE_GRANT => meta.name.as_deref() == Some(GRANT),
        _ => ours,
    };
    // What is outside of the Catalog's namespace says where that is, if it was made by us.
    let namespace = match kind {
        HTTP_ROUTE | CLUSTER_ROLE_BINDING => label(NAMESPACE_LABEL).map(str::to_owned),
        _ => meta.namespace.clone(),
    };
    belongs.then(|| Owner {
        namespace,
        name: names::RESOURCE.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(kind: Kind, meta: &Value) -> Option<String> {
        let meta = serde_json::from_value(meta.clone()).unwrap();
        let owner = owner(kind, &meta)?;
        Some(owner.namespace.unwrap_or("anywhere".to_owned()))
    }

    #[test]
    fn labels_say_whose_an_object_is() {
        let meta = |labels: Value| json!({"name": "x", "namespace": "ns", "labels": labels});
        let ours = meta(json!({"app": "model-catalog"}));
        let here = Some("ns".to_owned());
        assert_eq!(found(DEPLOYMENT, &ours), here);
        assert_eq!(found(CLUSTER_ROLE_BINDING, &ours), Some("anywhere".into()));
        let source = meta(json!({"opendatahub.io/catalog-source": "true"}));
        assert_eq!(found(CONFIG_MAP, &source), here);
        assert_eq!(found(SECRET, &source), None);
        let key = meta(json!({"app.kubernetes.io/component": "model-catalog"}));
        assert_eq!(found(SECRET, &key), here);
        assert_eq!(found(CONFIG_MAP, &key), None);
        assert_eq!(found(DEPLOYMENT, &meta(json!({"app": "other"}))), None);
    }
}
