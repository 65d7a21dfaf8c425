//! Who the catalog's pods are, who may use it, and what its proxy needs.

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::Role;
use resources::certificates::authorities;
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, ROLE, ROLE_BINDING, SECRET, SERVICE_ACCOUNT,
};
use resources::proxy::{ResourceAttributes, config_map};
use resources::rbac::{account, binding, delegator, group, role, rule};
use resources::{Plan, PlanError, Planned};

use super::View;
use super::metadata::{MADE_BY_US, elsewhere, own, planned};
use crate::catalog::names;
use crate::registry::observe::Certificate;

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
    let users = binding(own(view, names::AUTHENTICATED), names::CATALOG, everybody);
    plan.push(planned(ROLE_BINDING, &users)?);
    if !view.seen.admins.is_empty() {
        let groups = view.seen.admins.iter().map(|name| group(name)).collect();
        let admins = binding(own(view, names::ADMIN_BINDING), names::ADMIN, groups);
        plan.push(planned(ROLE_BINDING, &admins)?);
    }
    proxy(view, plan)
}

fn user_role(view: View<'_>) -> Role {
    let catalog = || vec![names::CATALOG.to_owned()];
    let rules = vec![
        rule("services", catalog(), &["get"]),
        rule("endpoints", catalog(), &["get"]),
    ];
    let texts = ["Model catalog User", "Can access model catalog"];
    role(own(view, names::CATALOG), texts, rules)
}

/// The catalog's own objects, not those of the namespace: registries keep passwords there.
fn admin_role(view: View<'_>) -> Role {
    let theirs = names::USER_SOURCES.map(|(name, _)| name.to_owned());
    let mut rules = vec![
        rule("configmaps", theirs.into(), EDIT),
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
    role(own(view, names::ADMIN), texts, rules)
}

fn proxy(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    if let Certificate::Own {
        serving,
        precondition,
    } = &view.seen.certificate
    {
        let secret = serving.secret(own(view, names::PROXY));
        plan.push(Planned::new(SECRET, &secret)?.only_if(precondition.clone()));
        let authorities = authorities(own(view, names::AUTHORITIES), &serving.bundle);
        plan.push(planned(CONFIG_MAP, &authorities)?);
    }
    let attributes = ResourceAttributes {
        api_version: "v1",
        resource: "services",
        subresource: None,
        verb: Some("get"),
        namespace: view.namespace,
        name: names::CATALOG,
    };
    let config = config_map(own(view, names::PROXY_CONFIG), attributes)?;
    plan.push(planned(CONFIG_MAP, &config)?);
    let account = account(view.namespace, names::CATALOG);
    let delegator = delegator(elsewhere(view, names::DELEGATOR), account);
    plan.push(Planned::new(CLUSTER_ROLE_BINDING, &delegator)?.identified_by(MADE_BY_US));
    Ok(())
}
