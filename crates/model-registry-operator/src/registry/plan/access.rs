//! Who the registry's pods are, and who may use the registry.

use api::modelregistry::v1beta1::AccessRole;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding, Subject};
use kube::core::{DynamicObject, ObjectMeta};
use resources::kind::{GROUP, ROLE, ROLE_BINDING, SERVICE_ACCOUNT};
use resources::meta::pairs;
use resources::{Plan, PlanError, Planned, rbac};
use serde_json::json;

use super::metadata::{called, clusterwide, derived, identity, own};
use crate::registry::access::Grantee;
use crate::registry::validate::{ByMethod, Derived, Validated};

/// Label of bindings that a dashboard shows as those of a project.
const PROJECT_LABEL: &str = "opendatahub.io/rb-project-subject";

pub(super) fn identities(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let account = ServiceAccount {
        metadata: own(registry),
        ..ServiceAccount::default()
    };
    plan.push(Planned::new(SERVICE_ACCOUNT, &account)?);
    plan.push(Planned::new(ROLE, &user_role(registry))?);
    if registry.platform.groups {
        plan.push(group(registry)?);
    }
    plan.push(Planned::new(ROLE_BINDING, &users(registry))?);
    for grantee in &registry.access {
        if let Some(binding) = grant(registry, grantee) {
            plan.push(Planned::new(ROLE_BINDING, &binding)?);
        }
    }
    if let Some(by_method) = registry
        .proxy
        .as_ref()
        .and_then(|proxy| proxy.by_method.as_ref())
    {
        plan.push(Planned::new(ROLE, &api_role(registry, by_method))?);
        plan.push(Planned::new(ROLE, &viewer_role(registry, by_method))?);
        plan.push(Planned::new(ROLE_BINDING, &mirror(registry, by_method))?);
    }
    Ok(())
}

fn rule(registry: &Validated, resource: &str, verbs: &[&str]) -> PolicyRule {
    rbac::rule(resource, vec![registry.name.as_str().to_owned()], verbs)
}

fn role(registry: &Validated, name: &Derived, texts: &[String; 2], rules: Vec<PolicyRule>) -> Role {
    let [display, description] = texts;
    rbac::role(derived(registry, name), [display, description], rules)
}

/// Exactly two rules: who hands out this Role must hold all of it, and clients that do so hold
/// these two.
fn user_role(registry: &Validated) -> Role {
    let name = registry.name.as_str();
    let rules = vec![
        rule(registry, "services", &["get"]),
        rule(registry, "endpoints", &["get"]),
    ];
    let texts = [
        format!("Registry User {name}"),
        format!("Can access Model Registry {name}"),
    ];
    role(registry, &registry.user_role, &texts, rules)
}

/// The subresource does not exist: granting it gives nothing else.
fn api_role(registry: &Validated, by_method: &ByMethod) -> Role {
    let name = registry.name.as_str();
    let rules = vec![rule(
        registry,
        "services/api",
        &["get", "create", "update", "patch", "delete"],
    )];
    let texts = [
        format!("Registry API {name}"),
        format!("Can read and write the contents of Model Registry {name}"),
    ];
    role(registry, &by_method.api, &texts, rules)
}

/// Also finds the registry, as users do.
fn viewer_role(registry: &Validated, by_method: &ByMethod) -> Role {
    let name = registry.name.as_str();
    let rules = vec![
        rule(registry, "services/api", &["get"]),
        rule(registry, "services", &["get"]),
        rule(registry, "endpoints", &["get"]),
    ];
    let texts = [
        format!("Registry Viewer {name}"),
        format!("Can read the contents of Model Registry {name}"),
    ];
    role(registry, &by_method.viewer, &texts, rules)
}

fn users_group(registry: &Validated) -> Subject {
    rbac::group(registry.users.object.as_str())
}

fn binding(metadata: ObjectMeta, role: &Derived, subjects: Vec<Subject>) -> RoleBinding {
    rbac::binding(metadata, role.object.as_str(), subjects)
}

/// On every platform: the group may come from any identity provider.
fn users(registry: &Validated) -> RoleBinding {
    binding(
        derived(registry, &registry.users),
        &registry.user_role,
        vec![users_group(registry)],
    )
}

/// Somebody whom the resource lets in. `None` where the proxy cannot tell readers from others,
/// which the resource was refused for.
fn grant(registry: &Validated, grantee: &Grantee) -> Option<RoleBinding> {
    let role = match grantee.role {
        AccessRole::User => &registry.user_role,
        AccessRole::Viewer => &registry.proxy.as_ref()?.by_method.as_ref()?.viewer,
    };
    let mut metadata = called(registry, grantee.binding.as_str());
    if grantee.is_namespace() {
        let labels = metadata.labels.get_or_insert_default();
        labels.extend(pairs([(PROJECT_LABEL, "true")]));
    }
    Some(binding(metadata, role, vec![grantee.subject.clone()]))
}

/// Whoever may use the registry may use it by every method: the group of users, those whom the
/// resource names, and those whom people let in.
fn mirror(registry: &Validated, by_method: &ByMethod) -> RoleBinding {
    let named = registry
        .access
        .iter()
        .filter(|grantee| grantee.role == AccessRole::User)
        .map(|grantee| grantee.subject.clone());
    let mut subjects = vec![users_group(registry)];
    for subject in named.chain(by_method.users.iter().cloned()) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    binding(derived(registry, &by_method.api), &by_method.api, subjects)
}

/// Without members: those are an administrator's. A Group that is already there serves as it is.
fn group(registry: &Validated) -> Result<Planned, PlanError> {
    let group = DynamicObject {
        types: None,
        metadata: clusterwide(registry, &registry.users),
        data: json!({}),
    };
    Ok(Planned::new(GROUP, &group)?
        .identified_by(identity(registry))
        .use_foreign())
}
