//! Ways in from outside the cluster, and who may take them.

use kube::core::ObjectMeta;
use resources::exposure::path_route;
use resources::kind::{HTTP_ROUTE, NETWORK_POLICY, ROUTE};
use resources::meta::with_spec;
use resources::network::{ingress, routers};
use resources::{Plan, PlanError, Planned};
use serde_json::json;

use super::metadata::{MADE_BY_US, elsewhere, own, planned, pods};
use super::server::PROXY_PORT;
use super::{PATH, View};
use crate::catalog::names;
use crate::registry::config::Gateway;
use crate::registry::plan::routes::reference_grant;

pub(super) fn routes(view: View<'_>, plan: &mut Plan) -> Result<(), PlanError> {
    plan.push(policy(view)?);
    if view.seen.platform.openshift {
        let spec = json!({
            "host": view.host(),
            "to": {"kind": "Service", "name": names::CATALOG},
            "port": {"targetPort": "https-api"},
            "tls": {"termination": "reencrypt"},
            "wildcardPolicy": "None",
        });
        plan.push(planned(ROUTE, &with_spec(own(view, names::ROUTE), &spec))?);
    }
    if let Some(gateway) = view.gateway() {
        let whose = (view.namespace, view.owner);
        let routes = view.config.shared.http_route_namespace.as_str();
        if view.seen.platform.reference_grants {
            reference_grant(whose, routes, &view.seen.grant, plan)?;
        }
        plan.push(http_route(view, gateway, routes)?);
    }
    Ok(())
}

/// The proxy's port alone; with a Route for the router and for the platform's own namespaces,
/// else for everybody: the proxy asks who they are.
fn policy(view: View<'_>) -> Result<Planned, PlanError> {
    let (name, from) = if view.seen.platform.openshift {
        (names::ROUTE_POLICY, routers())
    } else {
        (names::POLICY, Vec::new())
    };
    let policy = ingress(own(view, name), pods(), PROXY_PORT, from);
    planned(NETWORK_POLICY, &policy)
}

/// In a namespace of the platform's, so without an owner: labels say whose it is.
fn http_route(view: View<'_>, gateway: &Gateway, namespace: &str) -> Result<Planned, PlanError> {
    let spec = path_route(
        (&gateway.namespace, &gateway.name),
        &format!("{PATH}/"),
        (view.namespace, names::CATALOG),
        PROXY_PORT,
    );
    let metadata = ObjectMeta {
        namespace: Some(namespace.to_owned()),
        ..elsewhere(view, names::CATALOG)
    };
    Ok(Planned::new(HTTP_ROUTE, &with_spec(metadata, &spec))?.identified_by(MADE_BY_US))
}
