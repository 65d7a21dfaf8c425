//! The objects that a hub becomes. Pure: the same resource and observation give the same.

use api::aihub::v1alpha1::AIHub;
use api::catalog::v1alpha1::Catalog;
use api::codegen::whole_numbers;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{EnvVar, Namespace, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding, Subject};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use kube::core::{DynamicObject, ObjectMeta};
use resources::kind::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, DEFINITION, DEPLOYMENT, MUTATING_WEBHOOKS, NAMESPACE,
    NETWORK_POLICY, ROLE, ROLE_BINDING, SERVICE, SERVICE_ACCOUNT, VALIDATING_WEBHOOKS,
};
use resources::meta::{namespaced, owner, pairs};
use resources::{Adoption, Kind, Plan, PlanError, Planned, Precondition, Scope};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::config::Config;
use super::deployed::{self, text};
use super::error::Error;
use super::observe::{Home, Observation};
use super::{CATALOG, TEMPLATE, names};
use crate::catalog::names::RESOURCE as CATALOG_NAME;

/// Label that says how an object was installed by hand.
const BY_HAND: &str = "app.kubernetes.io/managed-by";

/// Everything that a plan is made of.
#[derive(Clone, Copy)]
struct View<'a> {
    hub: &'a AIHub,
    /// Namespace of the operators.
    namespace: &'a str,
    /// Namespace of registries and the catalog.
    instances: &'a str,
    owner: Option<&'a OwnerReference>,
    seen: &'a Observation,
    config: &'a Config,
    /// The hub is being deleted.
    parting: bool,
}

/// The objects that `hub` becomes.
pub fn plan(hub: &AIHub, seen: &Observation, config: &Config) -> Result<Plan, Error> {
    let spec = &hub.spec;
    for (home, name, field) in [
        (
            seen.application,
            &spec.application_namespace,
            "applicationNamespace",
        ),
        (
            seen.instances,
            &spec.instances_namespace,
            "instancesNamespace",
        ),
    ] {
        if home == Home::Leaving {
            return Err(Error::Leaving(name.clone(), field));
        }
    }
    Ok(objects(hub, seen, config, false)?)
}

/// What there must be until the last of the hub's objects with a finalizer of its own, the Catalog,
/// is gone: its operator. What stays then is what would be in the way of those who write
/// registries without the operators: nothing converts them any more.
pub fn parting(hub: &AIHub, seen: &Observation, config: &Config) -> Result<Plan, Error> {
    Ok(objects(hub, seen, config, true)?)
}

fn objects(
    hub: &AIHub,
    seen: &Observation,
    config: &Config,
    parting: bool,
) -> Result<Plan, PlanError> {
    let owner = owner(hub);
    let view = View {
        hub,
        namespace: &hub.spec.application_namespace,
        instances: &hub.spec.instances_namespace,
        owner: owner.as_ref(),
        seen,
        config,
        parting,
    };
    let mut plan = Plan::default();
    if !parting {
        homes(view, &mut plan)?;
    }
    let documents = deployed::documents().map_err(|error| broken("manifests", "", error))?;
    for document in documents {
        let Some(object) = stamped(view, document)? else {
            continue;
        };
        let namespace = object.namespace.clone().unwrap_or_default();
        let key = (object.kind.kind, namespace.clone(), object.name.clone());
        // In a namespace that goes nothing can be made, and what is in it goes anyway.
        let lost = parting && !namespace.is_empty() && seen.application != Home::Live;
        if lost || seen.left_alone.contains(&key) {
            plan.keep(object.kind, &namespace, &object.name);
        } else {
            plan.push(object);
        }
    }
    if !parting {
        catalog(view, &mut plan)?;
    }
    Ok(plan)
}

/// Namespaces that are missing. They have no owner: what people put into them stays.
fn homes(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    let mut missing = Vec::new();
    if view.seen.application == Home::Missing {
        missing.push(view.namespace);
    }
    if view.seen.instances == Home::Missing && view.instances != view.namespace {
        missing.push(view.instances);
    }
    for name in missing {
        let namespace = Namespace {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                ..ObjectMeta::default()
            },
            ..Namespace::default()
        };
        plan.push(Planned::new(NAMESPACE, &namespace)?.use_foreign());
    }
    Ok(())
}

/// The Catalog, once its operator answers: without it the API server refuses one. What people write
/// in its spec is theirs.
fn catalog(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    let seen = view.seen;
    let works = |name| {
        let live = seen.live.get(name);
        live.is_some_and(|live| live.workload.down(None).is_none())
    };
    let ready = works(names::REGISTRY_OPERATOR) && works(names::CATALOG_OPERATOR);
    if !seen.serves_catalogs || !(ready || seen.has_catalog) {
        return Ok(());
    }
    let key = (
        CATALOG.kind,
        view.instances.to_owned(),
        CATALOG_NAME.to_owned(),
    );
    if seen.left_alone.contains(&key) {
        plan.keep(CATALOG, view.instances, CATALOG_NAME);
        return Ok(());
    }
    let labels = pairs([(names::PART_OF, names::HUB)]);
    let catalog = Catalog {
        metadata: namespaced(CATALOG_NAME, view.instances, labels, view.owner),
        ..Catalog::default()
    };
    // One that somebody made before is as good.
    plan.push(Planned::new(CATALOG, &catalog)?.use_foreign());
    Ok(())
}

fn broken(kind: &'static str, name: &str, error: &impl ToString) -> PlanError {
    PlanError::Content {
        kind,
        name: name.to_owned(),
        message: error.to_string(),
    }
}

/// A document as the object of this hub. `None` for what the hub makes by itself, and for what the
/// cluster does not know.
fn stamped(view: View<'_>, document: &Value) -> Result<Option<Planned>, PlanError> {
    let typed = match text(document, "/kind") {
        "Namespace" => return Ok(None),
        "Template" if !view.seen.serves_templates => return Ok(None),
        "Template" => stamp(view, TEMPLATE, document, template),
        "CustomResourceDefinition" => stamp(view, DEFINITION, document, definition),
        "ServiceAccount" => stamp(
            view,
            SERVICE_ACCOUNT,
            document,
            |_, _: &mut ServiceAccount| {},
        ),
        "Role" => stamp(view, ROLE, document, |_, _: &mut Role| {}),
        "ClusterRole" => stamp(view, CLUSTER_ROLE, document, |_, _: &mut ClusterRole| {}),
        "RoleBinding" => stamp(
            view,
            ROLE_BINDING,
            document,
            |view, binding: &mut RoleBinding| {
                subjects(view, binding.subjects.as_mut());
            },
        ),
        "ClusterRoleBinding" => stamp(
            view,
            CLUSTER_ROLE_BINDING,
            document,
            |view, binding: &mut ClusterRoleBinding| subjects(view, binding.subjects.as_mut()),
        ),
        "Service" => stamp(view, SERVICE, document, |_, _: &mut Service| {}),
        "NetworkPolicy" => stamp(
            view,
            NETWORK_POLICY,
            document,
            |_, _: &mut NetworkPolicy| {},
        ),
        "Deployment" => {
            let live = view.seen.live.get(text(document, "/metadata/name"));
            // What people adjusted is part of the plan: it must be what they adjusted last.
            let version = live.and_then(|live| live.version.clone());
            let read = version.map_or(Precondition::None, Precondition::Version);
            stamp(view, DEPLOYMENT, document, deployment).map(|planned| planned.only_if(read))
        }
        "MutatingWebhookConfiguration" => stamp(
            view,
            MUTATING_WEBHOOKS,
            document,
            |view, all: &mut MutatingWebhookConfiguration| {
                for webhook in all.webhooks.iter_mut().flatten() {
                    client(view, &mut webhook.client_config);
                }
            },
        ),
        "ValidatingWebhookConfiguration" => stamp(
            view,
            VALIDATING_WEBHOOKS,
            document,
            |view, all: &mut ValidatingWebhookConfiguration| {
                for webhook in all.webhooks.iter_mut().flatten() {
                    client(view, &mut webhook.client_config);
                }
            },
        ),
        other => Err(broken(
            "manifests",
            other,
            &"the hub does not know this kind",
        )),
    };
    typed.map(Some)
}

fn stamp<K: DeserializeOwned + Serialize + ResourceExt>(
    view: View<'_>,
    kind: Kind,
    document: &Value,
    change: impl FnOnce(View<'_>, &mut K),
) -> Result<Planned, PlanError> {
    let name = text(document, "/metadata/name");
    let mut object: K = serde_json::from_value(document.clone())
        .map_err(|error| broken(kind.kind, name, &error))?;
    let outlives = kind == DEFINITION;
    let part_of = if outlives {
        names::PLATFORM
    } else {
        names::HUB
    };
    let meta = object.meta_mut();
    if kind.scope == Scope::Namespaced {
        meta.namespace = Some(view.namespace.to_owned());
    }
    let labels = meta.labels.get_or_insert_default();
    labels.remove(BY_HAND);
    labels.insert(names::PART_OF.to_owned(), part_of.to_owned());
    let annotations = meta.annotations.get_or_insert_default();
    annotations.insert(names::INSTANCE_NAME.to_owned(), view.hub.name_any());
    if let Some(uid) = view.hub.uid() {
        annotations.insert(names::INSTANCE_UID.to_owned(), uid);
    }
    if !outlives {
        meta.owner_references = view.owner.map(|owner| vec![owner.clone()]);
    }
    change(view, &mut object);
    let mut planned = Planned::new(kind, &object)?.identified_by([(names::PART_OF, part_of)]);
    if !outlives {
        return Ok(planned.adopting(Adoption::Labelled));
    }
    whole_numbers(&mut planned.body);
    // A definition has one name, whoever installs it.
    Ok(planned.adopting(Adoption::Any))
}

fn subjects(view: View<'_>, subjects: Option<&mut Vec<Subject>>) {
    for subject in subjects.into_iter().flatten() {
        if subject.namespace.is_some() {
            subject.namespace = Some(view.namespace.to_owned());
        }
    }
}

fn client(view: View<'_>, client: &mut WebhookClientConfig) {
    if let Some(service) = &mut client.service {
        view.namespace.clone_into(&mut service.namespace);
    }
}

fn definition(view: View<'_>, definition: &mut CustomResourceDefinition) {
    let spec = &mut definition.spec;
    if view.parting && spec.conversion.take().is_some() {
        // As in an installation without webhooks.
        for version in &mut spec.versions {
            version.served = version.storage;
        }
    }
    let webhook = spec
        .conversion
        .as_mut()
        .and_then(|conversion| conversion.webhook.as_mut());
    let client = webhook.and_then(|webhook| webhook.client_config.as_mut());
    if let Some(service) = client.and_then(|client| client.service.as_mut()) {
        view.namespace.clone_into(&mut service.namespace);
    }
}

/// The image is the default of a parameter, as the Go operator has it: whoever processes the
/// Template may name another.
fn template(view: View<'_>, template: &mut DynamicObject) {
    let Some(image) = &view.config.upload_image else {
        return;
    };
    let parameters = template.data.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        if text(parameter, "/name") == names::UPLOAD_IMAGE {
            parameter["value"] = image.as_str().into();
        }
    }
}

fn deployment(view: View<'_>, deployment: &mut Deployment) {
    let live = view.seen.live.get(deployment.name_any().as_str());
    let Some(spec) = &mut deployment.spec else {
        return;
    };
    // As many as people want.
    spec.replicas = None;
    if let Some(live) = live.filter(|live| !live.selector.is_empty()) {
        let template = spec.template.metadata.get_or_insert_default();
        let labels = template.labels.get_or_insert_default();
        labels.extend(live.selector.clone());
        // It cannot change: an installation that was there before has its own.
        spec.selector.match_labels = Some(live.selector.clone());
    }
    let pod = spec.template.spec.iter_mut();
    let containers = pod.flat_map(|pod| &mut pod.containers);
    for container in containers.filter(|container| container.name == names::MANAGER) {
        if let Some(image) = &view.config.operator_image {
            container.image = Some(image.clone());
        }
        if let Some(resources) = live.and_then(|live| live.resources.clone()) {
            container.resources = Some(resources);
        }
        let env = container.env.get_or_insert_default();
        for (name, value) in &view.config.images {
            set(env, name, value);
        }
        set(env, "REGISTRIES_NAMESPACE", view.instances);
        let gateway = view.hub.spec.gateway.as_ref();
        let domain = gateway.and_then(|gateway| gateway.domain.as_deref());
        if let Some(domain) = domain.filter(|domain| !domain.is_empty()) {
            set(env, "GATEWAY_DOMAIN", domain);
            set(env, "HTTPROUTE_NAMESPACE", view.namespace);
        }
    }
}

fn set(env: &mut Vec<EnvVar>, name: &str, value: &str) {
    env.retain(|variable| variable.name != name);
    env.push(EnvVar {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        ..EnvVar::default()
    });
}
