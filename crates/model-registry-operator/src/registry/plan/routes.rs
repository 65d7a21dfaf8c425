//! Ways in from outside the cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use resources::exposure::{Backend, Trust, backend_tls_policy, path_route};
use resources::kind::{HTTP_ROUTE, REFERENCE_GRANT, ROUTE};
use resources::meta::{namespaced, pairs, with_spec};
use resources::names::{ObjectName, service_host};
use resources::{Plan, PlanError, Planned, Precondition};
use serde_json::{Value, json};

use super::metadata::{MADE_BY_US, clusterwide, derived, identity, own};
use crate::registry::names;
use crate::registry::observe::{Certificate, Grant, Trust as Trusted};
use crate::registry::validate::{GatewayRoute, Proxy, ProxyRoute, Validated};

pub(super) fn routes(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if let Some(name) = &registry.rest.route {
        let spec = json!({"to": service(registry), "port": {"targetPort": "http-api"}});
        plan.push(Planned::new(
            ROUTE,
            &with_spec(derived(registry, name), &spec),
        )?);
    }
    if let Some((proxy, route)) = registry
        .proxy
        .as_ref()
        .and_then(|proxy| Some((proxy, proxy.route.as_ref()?)))
    {
        plan.push(Planned::new(
            ROUTE,
            &with_spec(
                derived(registry, &route.name),
                &proxy_route(registry, proxy, route),
            ),
        )?);
    }
    exposure(registry, plan)?;
    if let Some(gateway) = &registry.gateway {
        if let Some(grant) = &gateway.grant {
            let whose = (registry.namespace.as_str(), registry.owner.as_ref());
            reference_grant(whose, gateway.namespace.as_str(), grant, plan)?;
        }
        plan.push(http_route(registry, gateway)?);
    }
    Ok(())
}

/// The ways that the resource asks for, all called like the registry and beside it.
fn exposure(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(ways) = &registry.expose else {
        return Ok(());
    };
    let (port_name, port) = registry.service_port();
    let backend = Backend {
        service: registry.name.service(),
        port: port.number(),
        port_name,
    };
    if registry.platform.http_routes && !ways.gateways.is_empty() {
        if let (Some(proxy), Some(kind)) = (&registry.proxy, registry.platform.backend_tls_policies)
        {
            let host = service_host(registry.name.as_str(), registry.namespace.as_str());
            let trust = Trust {
                host: &host,
                authorities: &proxy.authorities,
            };
            plan.push(backend_tls_policy(
                kind,
                own(registry),
                backend.service,
                trust,
            )?);
        }
        plan.push(ways.http_route(own(registry), backend)?);
    }
    if let Some(ingress) = ways.ingress(own(registry), backend)? {
        plan.push(ingress);
    }
    Ok(())
}

fn service(registry: &Validated) -> Value {
    json!({"kind": "Service", "name": registry.name.as_str()})
}

fn proxy_route(registry: &Validated, proxy: &Proxy, route: &ProxyRoute) -> Value {
    // Routers know the authority of OpenShift's service CA, and no other.
    let authority = match &proxy.source {
        Certificate::Own { serving, .. } => Some(&serving.bundle),
        _ => match &proxy.trust {
            Trusted::Known(found) if proxy.source == Certificate::CertManager => Some(found),
            _ => None,
        },
    };
    json!({
        "host": route.host.as_ref().map(ObjectName::as_str),
        "to": service(registry),
        "port": {"targetPort": "https-api"},
        "tls": {"termination": "reencrypt", "destinationCACertificate": authority},
        "wildcardPolicy": "None",
    })
}

/// In a namespace of the platform's, so without an owner: labels say whose it is.
fn http_route(registry: &Validated, route: &GatewayRoute) -> Result<Planned, PlanError> {
    let (_, port) = registry.service_port();
    let gateway = (
        route.gateway.namespace.as_str(),
        route.gateway.name.as_str(),
    );
    let path = format!("/model-registry/{}/", registry.name.as_str());
    let service = (registry.namespace.as_str(), registry.name.as_str());
    let spec = path_route(gateway, &path, service, port.number());
    let metadata = ObjectMeta {
        namespace: Some(route.namespace.to_string()),
        ..clusterwide(registry, &route.name)
    };
    Ok(Planned::new(HTTP_ROUTE, &with_spec(metadata, &spec))?.identified_by(identity(registry)))
}

/// One for all resources of the namespace, each an owner: the garbage collector takes it with
/// the last of them. One that belongs to nobody serves as it is.
pub(crate) fn reference_grant(
    (namespace, owner): (&str, Option<&OwnerReference>),
    routes: &str,
    grant: &Grant,
    plan: &mut Plan,
) -> Result<(), PlanError> {
    let (others, precondition) = match grant {
        Grant::Given => {
            plan.keep(REFERENCE_GRANT, namespace, names::REFERENCE_GRANT);
            return Ok(());
        }
        Grant::Missing => (Vec::new(), Precondition::Absent),
        Grant::Shared { owners, version } => {
            (owners.clone(), Precondition::Version(version.clone()))
        }
    };
    let own = owner.map(|owner| OwnerReference {
        controller: None,
        block_owner_deletion: None,
        ..owner.clone()
    });
    let mut owners: Vec<_> = others
        .into_iter()
        .filter(|other| own.as_ref().is_none_or(|own| own.uid != other.uid))
        .collect();
    owners.extend(own);
    owners.sort_by(|a, b| a.uid.cmp(&b.uid));
    let mut labels = pairs(MADE_BY_US);
    labels.extend(pairs([(
        "app.kubernetes.io/managed-by",
        "model-registry-operator",
    )]));
    let metadata = ObjectMeta {
        owner_references: Some(owners).filter(|owners| !owners.is_empty()),
        ..namespaced(names::REFERENCE_GRANT, namespace, labels, None)
    };
    let spec = json!({
        "from": [{"group": HTTP_ROUTE.group, "kind": "HTTPRoute", "namespace": routes}],
        "to": [{"group": "", "kind": "Service"}],
    });
    let planned = Planned::new(REFERENCE_GRANT, &with_spec(metadata, &spec))?;
    plan.push(planned.identified_by(MADE_BY_US).only_if(precondition));
    Ok(())
}
