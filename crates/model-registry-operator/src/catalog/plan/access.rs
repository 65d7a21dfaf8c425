//! Who the catalog's pods are, who may use it, and what its proxy needs.

use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{
    ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use resources::certificates::AUTHORITIES;
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT,
};
use resources::meta::{annotated, pairs};
use resources::proxy::{CONFIG_KEY, ResourceAttributes, config_file};
use resources::{Plan, PlanError, Planned};

use super::View;
use super::metadata::{MADE_BY_US, elsewhere, own, planned};
use crate::catalog::names;
use crate::registry::observe::Certificate;

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: &[&str] = &["get", "list", "watch"];
const EDIT: &[&str] = &["get", "list", "watch", "update", "patch"];

pub(super) fn access(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    let account = ServiceAccount {
        metadata: own(view, names::CATALOG),
        ..ServiceAccount::default()
    };
    plan.push(planned(SERVICE_ACCOUNT, &account)?);
    plan.push(planned(ROLE, &user_role(view))?);
    plan.push(planned(ROLE, &admin_role(view))?);
    let everybody = vec![group("system:authenticated")];
    let users = binding(view, names::AUTHENTICATED, names::CATALOG, everybody);
    plan.push(planned(ROLE_BINDING, &users)?);
    if !view.seen.admins.is_empty() {
        let groups = view.seen.admins.iter().map(|name| group(name)).collect();
        let admins = binding(view, names::ADMIN_BINDING, names::ADMIN, groups);
        plan.push(planned(ROLE_BINDING, &admins)?);
    }
    proxy(view, plan)
}

fn rule(resource: &str, objects: Vec<String>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: Some(objects),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

fn role(view: View<'_>, name: &str, texts: [&str; 2], rules: Vec<PolicyRule>) -> Role {
    let [display, description] = texts;
    let annotations = pairs([
        ("openshift.io/display-name", display),
        ("openshift.io/description", description),
    ]);
    Role {
        metadata: annotated(own(view, name), annotations),
        rules: Some(rules),
    }
}

fn user_role(view: View<'_>) -> Role {
    let catalog = || vec![names::CATALOG.to_owned()];
    let rules = vec![
        rule("services", catalog(), &["get"]),
        rule("endpoints", catalog(), &["get"]),
    ];
    let texts = ["Model catalog User", "Can access model catalog"];
    role(view, names::CATALOG, texts, rules)
}

/// The catalog's own objects, not those of the namespace: registries keep passwords there.
fn admin_role(view: View<'_>) -> Role {
    let own = names::USER_SOURCES.map(|(name, _)| name.to_owned());
    let mut rules = vec![
        rule("configmaps", own.into(), EDIT),
        rule("configmaps", vec![names::DEFAULT_SOURCES.to_owned()], READ),
    ];
    // A rule without names would be for all Secrets.
    if !view.seen.keys.is_empty() {
        rules.push(rule("secrets", view.seen.keys.clone(), EDIT));
    }
    let texts = [
        "Model Catalog Admin",
        "Admin access to model catalog ConfigMaps and Secrets",
    ];
    role(view, names::ADMIN, texts, rules)
}

fn group(name: &str) -> Subject {
    Subject {
        api_group: Some(RBAC.into()),
        kind: "Group".into(),
        name: name.to_owned(),
        namespace: None,
    }
}

fn binding(view: View<'_>, name: &str, role: &str, subjects: Vec<Subject>) -> RoleBinding {
    RoleBinding {
        metadata: own(view, name),
        role_ref: RoleRef {
            api_group: RBAC.into(),
            kind: "Role".into(),
            name: role.to_owned(),
        },
        subjects: Some(subjects),
    }
}

fn proxy(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    if let Certificate::Own {
        serving,
        precondition,
    } = &view.seen.certificate
    {
        let secret = Secret {
            metadata: own(view, names::PROXY),
            data: Some(serving.secret.clone()),
            type_: Some("kubernetes.io/tls".into()),
            ..Secret::default()
        };
        plan.push(Planned::new(SECRET, &secret)?.only_if(precondition.clone()));
        let authorities = ConfigMap {
            metadata: own(view, names::AUTHORITIES),
            data: Some(pairs([(AUTHORITIES, serving.bundle.as_str())])),
            ..ConfigMap::default()
        };
        plan.push(planned(CONFIG_MAP, &authorities)?);
    }
    let file = config_file(ResourceAttributes {
        api_version: "v1",
        resource: "services",
        subresource: None,
        verb: Some("get"),
        namespace: view.namespace,
        name: names::CATALOG,
    })
    .map_err(|error| PlanError::Content {
        kind: CONFIG_MAP.kind,
        name: names::PROXY_CONFIG.to_owned(),
        message: error.to_string(),
    })?;
    let config = ConfigMap {
        metadata: own(view, names::PROXY_CONFIG),
        data: Some(pairs([(CONFIG_KEY, file.as_str())])),
        ..ConfigMap::default()
    };
    plan.push(planned(CONFIG_MAP, &config)?);
    let delegator = ClusterRoleBinding {
        metadata: elsewhere(view, names::DELEGATOR),
        role_ref: RoleRef {
            api_group: RBAC.into(),
            kind: "ClusterRole".into(),
            name: "system:auth-delegator".into(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: names::CATALOG.to_owned(),
            namespace: Some(view.namespace.to_owned()),
            api_group: None,
        }]),
    };
    plan.push(Planned::new(CLUSTER_ROLE_BINDING, &delegator)?.identified_by(MADE_BY_US));
    Ok(())
}
