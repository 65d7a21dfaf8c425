//! The Service that clients and dashboards find.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use resources::kind::SERVICE;
use resources::meta::{Pairs, annotated};
use resources::{Plan, PlanError, Planned};

use super::metadata::{own, pod_labels};
use crate::registry::observe::Certificate;
use crate::registry::validate::Validated;

pub(super) fn service(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let (name, port, protocol) = match &registry.proxy {
        Some(proxy) => ("https-api", proxy.port, "https"),
        None => ("http-api", registry.rest.port, "http"),
    };
    let service = Service {
        metadata: annotated(own(registry), annotations(registry)),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(pod_labels(registry)),
            ports: Some(vec![ServicePort {
                name: Some(name.into()),
                port: port.number(),
                protocol: Some("TCP".into()),
                app_protocol: Some(protocol.into()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    };
    plan.push(Planned::new(SERVICE, &service)?);
    Ok(())
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
    if let Some(proxy) = &registry.proxy
        && !matches!(proxy.source, Certificate::Named | Certificate::OldProxy)
    {
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
    annotations
}
