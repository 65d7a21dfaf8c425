//! Ways in from outside the cluster, and who may take them.

use kube::core::ObjectMeta;
use resources::kind::{HTTP_ROUTE, NETWORK_POLICY, ROUTE};
use resources::meta::pairs;
use resources::network::{ingress, namespaces};
use resources::{Plan, PlanError, Planned};
use serde_json::json;

use super::View;
use super::metadata::{MADE_BY_US, elsewhere, own, planned, pods};
use super::server::PROXY_PORT;
use crate::catalog::names;
use crate::registry::plan::routes::{GATEWAY_API, object, reference_grant};

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
        plan.push(planned(ROUTE, &object(own(view, names::ROUTE), &spec))?);
    }
    if view.gateway().is_some() {
        let whose = (view.namespace, view.owner);
        let routes = view.config.shared.http_route_namespace.as_str();
        if view.seen.platform.reference_grants {
            reference_grant(whose, routes, &view.seen.grant, plan)?;
        }
        plan.push(http_route(view, routes)?);
    }
    Ok(())
}

/// The proxy's port alone; with a Route for the router and for the platform's own namespaces,
/// else for everybody: the proxy asks who they are.
fn policy(view: View<'_>) -> Result<Planned, PlanError> {
    let (name, from) = if view.seen.platform.openshift {
        let router = namespaces(pairs([("network.openshift.io/policy-group", "ingress")]));
        let platform = namespaces(pairs([("opendatahub.io/generated-namespace", "true")]));
        (names::ROUTE_POLICY, vec![router, platform])
    } else {
        (names::POLICY, Vec::new())
    };
    let policy = ingress(own(view, name), pods(), PROXY_PORT, from);
    planned(NETWORK_POLICY, &policy)
}

/// In a namespace of the platform's, so without an owner: labels say whose it is.
fn http_route(view: View<'_>, namespace: &str) -> Result<Planned, PlanError> {
    let gateway = view.config.shared.gateway.as_ref();
    let spec = json!({
        "parentRefs": [{
            "group": GATEWAY_API,
            "kind": "Gateway",
            "name": gateway.map(|gateway| &gateway.name),
            "namespace": gateway.map(|gateway| &gateway.namespace),
        }],
        "rules": [{
            "matches": [{"path": {"type": "PathPrefix", "value": "/catalog/"}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": {
                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"},
            }}],
            "backendRefs": [{
                "group": "",
                "kind": "Service",
                "name": names::CATALOG,
                "namespace": view.namespace,
                "port": PROXY_PORT,
                "weight": 1,
            }],
        }],
    });
    let metadata = ObjectMeta {
        namespace: Some(namespace.to_owned()),
        ..elsewhere(view, names::CATALOG)
    };
    Ok(Planned::new(HTTP_ROUTE, &object(metadata, &spec))?.identified_by(MADE_BY_US))
}
