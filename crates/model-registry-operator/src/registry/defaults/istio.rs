//! What `spec.istio` leaves out.

use api::modelregistry::v1beta1::{Gateway, GatewayServer, Istio, ServiceRoute};

use crate::registry::config::Mesh;
use crate::registry::references::filled;

/// Ports of a gateway with TLS and without.
const HTTPS: i32 = 443;
const HTTP: i32 = 80;

/// Fills in what is absent, or empty, as it comes out of files with variables.
pub(super) fn fill(istio: &mut Istio, domain: Option<&String>, mesh: &Mesh) {
    let or = |field: &mut Option<String>, default: Option<&String>| {
        if filled(field.as_ref()).is_none() {
            *field = default.cloned();
        }
    };
    or(&mut istio.auth_provider, Some(&mesh.auth_provider));
    if istio.auth_config_labels.is_empty() {
        istio
            .auth_config_labels
            .clone_from(&mesh.auth_config_labels);
    }
    if istio.audiences.is_empty() {
        istio.audiences.clone_from(&mesh.audiences);
    }
    if let Some(Gateway {
        domain: own_domain,
        istio_ingress,
        control_plane,
        rest,
        grpc,
    }) = &mut istio.gateway
    {
        or(own_domain, domain);
        or(istio_ingress, Some(&mesh.ingress));
        or(control_plane, mesh.control_plane.as_ref());
        for GatewayServer {
            port,
            gateway_route,
            tls,
        } in [rest, grpc]
        {
            port.get_or_insert(if tls.is_some() { HTTPS } else { HTTP });
            gateway_route.get_or_insert(ServiceRoute::Enabled);
            if let Some(tls) = tls {
                or(&mut tls.credential_name, mesh.credential.as_ref());
            }
        }
    }
}
