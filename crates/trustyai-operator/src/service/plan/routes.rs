//! Ways in from outside the cluster.

use kube::core::DynamicObject;
use resources::exposure::{Backend, Trust as TrustOfGateway, backend_tls_policy};
use resources::kind::ROUTE;
use resources::meta::with_spec;
use resources::names::service_host;
use resources::{Plan, PlanError, Planned};
use serde_json::json;

use super::metadata::{called, labelled};
use super::services::HTTPS;
use crate::service::names::SERVICE_LABEL;
use crate::service::observe::Trust;
use crate::service::validated::Validated;

pub(super) fn routes(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if service.route && service.platform.openshift {
        plan.push(Planned::new(ROUTE, &route(service))?);
    }
    let Some(ways) = &service.expose else {
        return Ok(());
    };
    let backend = Backend {
        service: &service.names.tls,
        port: 443,
        port_name: HTTPS,
    };
    let metadata = || called(service, service.names.as_str());
    if service.platform.http_routes && !ways.gateways.is_empty() {
        plan.push(ways.http_route(metadata(), backend)?);
        if let Some(kind) = service.platform.backend_tls_policies
            && service.trust != Trust::Missing
        {
            let host = service_host(service.names.tls.as_str(), service.namespace.as_str());
            let trust = TrustOfGateway {
                host: &host,
                authorities: &service.names.authorities,
            };
            plan.push(backend_tls_policy(
                kind,
                metadata(),
                &service.names.tls,
                trust,
            )?);
        }
    }
    if let Some(ingress) = ways.ingress(metadata(), backend)? {
        plan.push(ingress);
    }
    Ok(())
}

fn route(service: &Validated) -> DynamicObject {
    let name = service.names.as_str();
    let spec = json!({
        "to": {"kind": "Service", "name": service.names.tls.as_str(), "weight": 100},
        "port": {"targetPort": HTTPS},
        "tls": {
            "termination": "reencrypt",
            "insecureEdgeTerminationPolicy": "Redirect",
            // Routers know the authority of OpenShift's service CA, and no other.
            "destinationCACertificate": service.proxy_certificate.bundle(),
        },
        "wildcardPolicy": "None",
    });
    with_spec(labelled(service, name, [(SERVICE_LABEL, name)]), &spec)
}
