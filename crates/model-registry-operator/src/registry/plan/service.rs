//! The Service that clients and dashboards find.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use resources::kind::SERVICE;
use resources::meta::{Pairs, annotated};
use resources::{Plan, PlanError, Planned};

use super::metadata::{own, pod_labels};
use crate::registry::observe::Certificate;
use crate::registry::validate::{Proxy, Validated};
use crate::registry::values::Port;

pub(super) fn service(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let (name, number) = registry.service_port();
    let ports = if registry.proxy.is_some() {
        vec![port(name, number, "https")]
    } else {
        let store = registry.metadata_store.as_ref();
        let grpc = store.map(|store| port("grpc-api", store.port, "grpc"));
        grpc.into_iter()
            .chain([port(name, number, "http")])
            .collect()
    };
    let service = Service {
        metadata: annotated(own(registry), annotations(registry)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(pod_labels(registry)),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    plan.push(Planned::new(SERVICE, &service)?);
    Ok(())
}

fn port(name: &str, port: Port, protocol: &str) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: port.number(),
        protocol: Some("TCP".into()),
        app_protocol: Some(protocol.into()),
        ..ServicePort::default()
    }
}

fn annotations(registry: &Validated) -> Pairs {
    let mut annotations = Pairs::new();
    // One dashboard reads the first key of each text, another one the second.
    for (keys, text) in [
        (
            ["openshift.io/display-name", "displayName"],
            &registry.display_name,
        ),
        (
            ["openshift.io/description", "description"],
            &registry.description,
        ),
    ] {
        if let Some(text) = text {
            annotations.extend(keys.map(|key| (key.to_owned(), text.clone())));
        }
    }
    // Where OpenShift makes the certificate, and elsewhere as the Go operator does.
    let asks = |proxy: &Proxy| match proxy.source {
        Certificate::ServiceCa | Certificate::Given => true,
        Certificate::Own { .. } => !registry.platform.openshift,
        Certificate::Named | Certificate::OldProxy | Certificate::CertManager => false,
    };
    if let Some(proxy) = registry.proxy.as_ref().filter(|proxy| asks(proxy)) {
        annotations.insert(
            "service.beta.openshift.io/serving-cert-secret-name".into(),
            proxy.certificate.name.to_string(),
        );
    }
    if let Some(address) = &registry.external_address {
        annotations.insert(
            "routing.opendatahub.io/external-address-rest".into(),
            address.clone(),
        );
    }
    let istio = registry.istio.as_ref();
    if let Some(gateway) = istio.and_then(|istio| istio.gateway.open()) {
        annotations.insert(
            "routing.opendatahub.io/external-address-grpc".into(),
            gateway.grpc.address(),
        );
    }
    annotations
}
