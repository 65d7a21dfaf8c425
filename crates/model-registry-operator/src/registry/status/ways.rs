//! What is told of APIs that a cluster may lack: the ways in that the resource asks for, and
//! cert-manager's certificate.

use conditions::{ConditionType, Status, Wanted, condition_type, reason};
use resources::kind::CERTIFICATE;
use runtime::outcome::{Outcome, Target};
use runtime::ways::{self, API_MISSING, Child, PENDING, Tls, Ways, Wrong};
use serde_json::Value;

use super::super::observe::{Certificate, Trust};
use super::super::validate::Validated;
use super::told::FOREIGN;

/// Whether cert-manager has made the certificate. Only there when it is asked to.
pub const CERTIFICATE_READY: ConditionType = condition_type!("CertificateReady");

/// Whether the object only makes a way in, or a certificate that may be there already: without it
/// the registry works.
pub(super) fn is_beside(target: &Target, namespace: &str, name: &str) -> bool {
    is_certificate(target, namespace) || ways::is_way(target, namespace, name)
}

fn is_certificate(target: &Target, namespace: &str) -> bool {
    target.namespace.as_deref() == Some(namespace) && target.kind.is_version_of(&CERTIFICATE)
}

/// Whether what the resource asks for leads to it. `child` gives an object of the registry's.
pub(super) fn exposed(
    validated: &Validated,
    outcome: &Outcome,
    child: Child<'_>,
) -> Option<Wanted> {
    let ways = Ways {
        asked: validated.expose.as_ref()?,
        namespace: validated.namespace.as_str(),
        name: validated.name.as_str(),
        what: "registry",
        foreign: FOREIGN,
        http_routes: validated.platform.http_routes,
        tls: validated.proxy.as_ref().map(|proxy| Tls {
            policies: validated.platform.backend_tls_policies,
            untrusted: (proxy.trust == Trust::Missing).then(|| {
                let names = (&proxy.authorities, &proxy.certificate.name);
                (names.0.as_str(), names.1.as_str())
            }),
        }),
    };
    Some(ways.exposed(outcome, child))
}

/// Whether cert-manager has made the certificate.
pub(super) fn certificate(
    validated: &Validated,
    outcome: &Outcome,
    child: Child<'_>,
) -> Option<Wanted> {
    let proxy = validated.proxy.as_ref()?;
    if proxy.source != Certificate::CertManager {
        return None;
    }
    let name = proxy.certificate.name.as_str();
    let told = child(CERTIFICATE, name).and_then(|live| {
        let conditions = live.pointer("/status/conditions")?.as_array()?;
        let ready = |condition: &&Value| condition.get("type").is_some_and(|t| t == "Ready");
        conditions.iter().find(ready).cloned()
    });
    let text = |key: &str| {
        let told = told.as_ref().and_then(|told| told.get(key));
        told.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let namespace = validated.namespace.as_str();
    let unwritten = Wrong::unwritten(outcome, FOREIGN, |target| is_certificate(target, namespace));
    let (status, reason, message) = if !validated.platform.certificates {
        (Status::False, API_MISSING, NO_CERT_MANAGER.to_owned())
    } else if let Some(wrong) = unwritten {
        (wrong.status, wrong.reason, wrong.message)
    } else {
        match text("status").as_str() {
            "True" => {
                let message = format!("cert-manager has made Secret {name}");
                (Status::True, reason!("Issued"), message)
            }
            "" => {
                let message = format!("cert-manager has not answered for Certificate {name} yet");
                (Status::Unknown, PENDING, message)
            }
            _ => {
                let message = format!("Certificate {name} is not ready: {}", text("message"));
                (Status::False, reason!("NotIssued"), message)
            }
        }
    };
    Some(Wanted::new(CERTIFICATE_READY, status, reason, message))
}

/// What a user reads who asks for cert-manager where it is not.
pub(in super::super) const NO_CERT_MANAGER: &str = "spec.kubeRBACProxy.certManager: the cluster has no API Certificate (cert-manager.io/v1); \
     install cert-manager, or remove the field";
