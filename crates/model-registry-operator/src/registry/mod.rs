//! Kind ModelRegistry.

pub mod access;
pub mod config;
pub mod defaults;
pub mod error;
pub mod names;
pub mod observe;
pub mod plan;
pub mod references;
pub mod status;
pub mod trouble;
pub mod validate;
pub mod validated;
pub mod values;
pub mod warning;
mod ways;
pub mod webhook;

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistryStatus};
use jiff::Timestamp;
use kube::core::ObjectMeta;
use resources::kind::{
    AUTH_CONFIG, AUTHORIZATION_POLICY, BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_ALPHA, CERTIFICATE,
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, ENDPOINT_SLICE, GROUP,
    HTTP_ROUTE, INGRESS, INGRESS_CONFIG, ISTIO_GATEWAY, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM,
    POD, POD_DISRUPTION_BUDGET, REFERENCE_GRANT, ROLE, ROLE_BINDING, ROUTE, SECRET, SERVICE,
    SERVICE_ACCOUNT, VIRTUAL_SERVICE,
};
use resources::{Kind, Plan};
use runtime::component::{Attempt, Component, Identity, Landmark, Note, Owner, Watched, Which};
use runtime::inputs::Inputs;
use serde_json::Value;

use config::Config;
use error::Error;
use observe::Observation;

/// The component that turns a ModelRegistry into a running registry.
#[derive(Clone, Debug)]
pub struct Registry {
    /// What the installation sets.
    pub config: Config,
}

/// Labels that every object of ours carries.
const OURS: &str =
    "app.kubernetes.io/created-by=model-registry-operator,app.kubernetes.io/part-of=model-registry";

const fn owned(kind: Kind) -> Watched {
    Watched::owned(kind, OURS)
}

const KINDS: &[Watched] = &[
    Watched::seen(INGRESS_CONFIG, "").optional(),
    owned(SERVICE_ACCOUNT),
    // All of them: they are inputs too, and the password that the Go operator made has no label.
    Watched::owned(SECRET, ""),
    Watched::owned(CONFIG_MAP, ""),
    owned(PERSISTENT_VOLUME_CLAIM).keeping(&["/metadata/annotations", "/spec", "/status"]),
    owned(SERVICE),
    owned(DEPLOYMENT).keeping(&["/metadata/annotations", "/spec", "/status"]),
    owned(NETWORK_POLICY),
    owned(ROLE),
    // Bindings that people make carry no label of ours: access by method mirrors them.
    Watched::owned(ROLE_BINDING, "").keeping(&["/roleRef", "/subjects"]),
    owned(CLUSTER_ROLE_BINDING),
    owned(POD_DISRUPTION_BUDGET),
    owned(GROUP).optional(),
    owned(ROUTE).optional().keeping(&["/spec/host", "/status"]),
    owned(HTTP_ROUTE).optional().keeping(&["/status"]),
    owned(REFERENCE_GRANT).optional(),
    owned(VIRTUAL_SERVICE).optional(),
    owned(DESTINATION_RULE).optional(),
    owned(ISTIO_GATEWAY).optional(),
    owned(AUTHORIZATION_POLICY).optional(),
    owned(AUTH_CONFIG).optional().keeping(&["/status"]),
    owned(BACKEND_TLS_POLICY).optional().keeping(&["/status"]),
    owned(BACKEND_TLS_POLICY_ALPHA)
        .optional()
        .keeping(&["/status"]),
    owned(INGRESS),
    owned(CERTIFICATE).optional().keeping(&["/status"]),
    Watched::seen(POD, "component=model-registry").keeping(&["/spec/containers", "/status"]),
    Watched::seen(ENDPOINT_SLICE, "component=model-registry").keeping(&["/endpoints", "/ports"]),
];

/// Routes to an ingress gateway are made beside its Service.
const LANDMARKS: &[Landmark] = &[Landmark {
    kind: SERVICE,
    which: Which::Labelled("istio"),
    with: Some(ISTIO_GATEWAY),
    kept: &[],
}];

impl Component for Registry {
    type Resource = ModelRegistry;
    type Observation = Observation;
    type Status = ModelRegistryStatus;
    type Error = Error;

    const IDENTITY: Identity = Identity {
        name: "modelregistry",
        reporter: "modelregistry-controller",
        field_manager: "model-registry-operator",
        predecessors: &["manager"],
        finalizer: "modelregistry.opendatahub.io/finalizer",
        pause_annotation: "modelregistry.opendatahub.io/reconcile",
    };

    fn kinds(&self) -> &[Watched] {
        KINDS
    }

    fn landmarks(&self) -> &[Landmark] {
        LANDMARKS
    }

    fn owner(&self, kind: Kind, meta: &ObjectMeta, part: &Value) -> Option<Owner> {
        owner(kind, meta, part)
    }

    async fn observe<I: Inputs>(
        &self,
        resource: &ModelRegistry,
        inputs: &I,
    ) -> Result<Observation, Error> {
        observe::observe(resource, &self.config, inputs).await
    }

    fn plan(&self, resource: &ModelRegistry, observation: &Observation) -> Result<Plan, Error> {
        let validated = validate::validate(resource, observation, &self.config)?;
        Ok(plan::plan(&validated)?)
    }

    fn status<I: Inputs>(
        &self,
        resource: &ModelRegistry,
        attempt: &Attempt<'_, Self>,
        inputs: &I,
    ) -> ModelRegistryStatus {
        status::status(self, resource, attempt, inputs)
    }

    fn events(&self, resource: &ModelRegistry, attempt: &Attempt<'_, Self>) -> Vec<Note> {
        status::events(resource, attempt)
    }

    fn farewell(&self, resource: &ModelRegistry) -> Option<Note> {
        Some(status::farewell(resource))
    }

    fn due(&self, observation: &Observation) -> Option<Timestamp> {
        observation.due()
    }
}

/// Which registry an object belongs to, by its labels; a binding of people also by the Role that
/// it gives.
fn owner(kind: Kind, meta: &ObjectMeta, part: &Value) -> Option<Owner> {
    if kind == ROLE_BINDING
        && let Some(name) = part
            .pointer("/roleRef/name")
            .and_then(Value::as_str)
            .and_then(|role| role.strip_prefix(names::USER_ROLE))
    {
        return Some(Owner {
            namespace: meta.namespace.clone(),
            name: name.to_owned(),
        });
    }
    let label = |key: &str| meta.labels.as_ref().and_then(|labels| labels.get(key));
    let app = label("app")?;
    let name = match label("component")?.as_str() {
        "model-registry" => app.as_str(),
        "model-registry-postgres" => app.strip_suffix(names::POSTGRES)?,
        _ => return None,
    };
    // What is outside of its registry's namespace says where that is, if it was made by us.
    let namespace = match kind {
        HTTP_ROUTE | CLUSTER_ROLE_BINDING | GROUP => label(names::NAMESPACE_LABEL).cloned(),
        ROUTE => label(names::GATEWAY_NAMESPACE_LABEL)
            .cloned()
            .or_else(|| meta.namespace.clone()),
        _ => meta.namespace.clone(),
    };
    Some(Owner {
        namespace,
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(kind: Kind, object: &Value) -> Option<(Option<String>, String)> {
        let meta = serde_json::from_value(object["metadata"].clone()).unwrap();
        owner(kind, &meta, object).map(|owner| (owner.namespace, owner.name))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "compared with what may be nothing"
    )]
    fn at(namespace: Option<&str>, name: &str) -> Option<(Option<String>, String)> {
        Some((namespace.map(Into::into), name.into()))
    }

    #[test]
    fn labels_say_whose_an_object_is() {
        let labels = |app: &str, component: &str| json!({"app": app, "component": component});
        let own = json!({"metadata": {"namespace": "ns", "labels": labels("a", "model-registry")}});
        assert_eq!(found(DEPLOYMENT, &own), at(Some("ns"), "a"));
        let database = json!({"metadata": {"namespace": "ns", "labels": labels("a-postgres", "model-registry-postgres")}});
        assert_eq!(found(SECRET, &database), at(Some("ns"), "a"));
        let catalog =
            json!({"metadata": {"namespace": "ns", "labels": labels("a", "model-catalog")}});
        assert_eq!(found(DEPLOYMENT, &catalog), None);
    }

    #[test]
    fn an_object_elsewhere_belongs_to_the_name_or_to_the_labelled_namespace() {
        let mut route = json!({"metadata": {"namespace": "gateways",
            "labels": {"app": "a", "component": "model-registry"}}});
        assert_eq!(found(HTTP_ROUTE, &route), at(None, "a"));
        route["metadata"]["labels"][names::NAMESPACE_LABEL] = "ns".into();
        assert_eq!(found(HTTP_ROUTE, &route), at(Some("ns"), "a"));
    }

    #[test]
    fn a_binding_without_labels_belongs_to_the_registry_of_its_role() {
        let binding =
            json!({"metadata": {"namespace": "ns"}, "roleRef": {"name": "registry-user-a"}});
        assert_eq!(found(ROLE_BINDING, &binding), at(Some("ns"), "a"));
        let other = json!({"metadata": {"namespace": "ns"}, "roleRef": {"name": "view"}});
        assert_eq!(found(ROLE_BINDING, &other), None);
    }
}
