//! The Services that clients and models find.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;
use resources::kind::SERVICE;
use resources::meta::{Pairs, annotated, pairs};
use resources::{Plan, PlanError, Planned};

use super::metadata::{called, labelled, labels};
use super::proxy;
use crate::service::names::SERVICE_LABEL;
use crate::service::observe::Certificate;
use crate::service::validated::Validated;

/// Annotation by which OpenShift's service CA is asked for a certificate in this Secret.
const SERVING_CERTIFICATE: &str = "service.beta.openshift.io/serving-cert-secret-name";
/// Name of ports with TLS.
pub(super) const HTTPS: &str = "https";

pub(super) fn services(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let names = &service.names;
    let tls = names.tls.as_str();
    let metadata = labelled(service, tls, [(SERVICE_LABEL, names.as_str())]);
    let annotations = asking(service, &service.proxy_certificate, tls);
    let proxied = object(
        annotated(metadata, annotations),
        pairs([("app", names.as_str())]),
        vec![port(HTTPS, 443, proxy::PORT)],
    );
    plan.push(Planned::new(SERVICE, &proxied)?);
    let mut annotations = pairs([
        ("prometheus.io/path", "/q/metrics"),
        ("prometheus.io/scheme", "http"),
        ("prometheus.io/scrape", "true"),
    ]);
    annotations.extend(asking(
        service,
        &service.certificate,
        names.internal.as_str(),
    ));
    let own = object(
        annotated(called(service, names.as_str()), annotations),
        labels(service),
        vec![port("http", 80, 8080), port(HTTPS, 443, 4443)],
    );
    plan.push(Planned::new(SERVICE, &own)?);
    Ok(())
}

/// Where OpenShift makes the certificate, and elsewhere as the Go operator does.
fn asking(service: &Validated, certificate: &Certificate, secret: &str) -> Pairs {
    let is_ours = matches!(certificate, Certificate::Own { .. });
    let asks = !(is_ours && service.platform.openshift);
    pairs(asks.then_some((SERVING_CERTIFICATE, secret)))
}

fn object(metadata: ObjectMeta, selector: Pairs, ports: Vec<ServicePort>) -> Service {
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".into()),
            selector: Some(selector),
            ports: Some(ports),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn port(name: &str, number: i32, target: i32) -> ServicePort {
    ServicePort {
        name: Some(name.into()),
        port: number,
        protocol: Some("TCP".into()),
        target_port: Some(IntOrString::Int(target)),
        ..ServicePort::default()
    }
}
