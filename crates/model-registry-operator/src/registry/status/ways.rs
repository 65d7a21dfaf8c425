//! What is told of APIs that a cluster may lack: the ways in that the resource asks for, and
//! cert-manager's certificate.

use conditions::{ConditionType, Reason, Status, Wanted, condition_type, reason};
use resources::Kind;
use resources::kind::{BACKEND_TLS_POLICY, CERTIFICATE, HTTP_ROUTE, INGRESS};
use runtime::outcome::{Outcome, Target};
use serde_json::Value;

use super::super::observe::{Certificate, Trust};
use super::super::validate::Validated;
use super::told::FOREIGN;

/// Whether the ways in that the resource asks for are there. Only there when it asks for some. The
/// registry itself does not depend on it.
pub const EXPOSED: ConditionType = condition_type!("Exposed");
/// Whether cert-manager has made the certificate. Only there when it is asked to.
pub const CERTIFICATE_READY: ConditionType = condition_type!("CertificateReady");

const API_MISSING: Reason = reason!("APIMissing");
const NOT_ACCEPTED: Reason = reason!("NotAccepted");
const NOT_WRITTEN: Reason = reason!("NotWritten");
const PENDING: Reason = reason!("Pending");

/// Whether the object only makes a way in, or a certificate that may be there already: without it
/// the registry works.
pub(super) fn is_beside(target: &Target, namespace: &str, name: &str) -> bool {
    let beside = |kind: &Kind| {
        kind.is_version_of(&HTTP_ROUTE)
            || kind.is_version_of(&INGRESS)
            || kind.is_version_of(&CERTIFICATE)
            || kind.is_version_of(&BACKEND_TLS_POLICY)
    };
    // The HTTPRoute of the installation's gateway is in another namespace, or has another name.
    let own = target.namespace.as_deref() == Some(namespace)
        && (target.name == name || target.kind.is_version_of(&CERTIFICATE));
    own && beside(&target.kind)
}

/// What is told of a way in.
struct Wrong(Status, Reason, String);

/// Gives an object of the registry's, as far as it is kept.
pub(super) type Child<'a> = &'a dyn Fn(Kind, &str) -> Option<Value>;

/// Whether what the resource asks for leads to it. `child` gives an object of the registry's.
pub(super) fn exposed(
    validated: &Validated,
    outcome: &Outcome,
    child: Child<'_>,
) -> Option<Wanted> {
    let ways = validated.expose.as_ref()?;
    let name = validated.name.as_str();
    let gateways = !ways.gateways.is_empty();
    let found = gateways
        .then(|| unoffered(validated))
        .flatten()
        .or_else(|| unwritten(validated, outcome, |kind| !kind.is_version_of(&CERTIFICATE)))
        .or_else(|| gateways.then(|| unaccepted(validated, child)).flatten());
    let Wrong(status, reason, message) = found.unwrap_or_else(|| {
        let through = match (gateways, &ways.ingress) {
            (true, Some(_)) => format!("HTTPRoute {name} and Ingress {name} lead"),
            (true, None) => format!("HTTPRoute {name} leads"),
            (false, _) => format!("Ingress {name} leads"),
        };
        let message = format!("{through} to the registry");
        Wrong(Status::True, reason!("Exposed"), message)
    });
    Some(Wanted::new(EXPOSED, status, reason, message))
}

/// What gateways need and the cluster, or the certificate, does not give.
fn unoffered(validated: &Validated) -> Option<Wrong> {
    let wrong = |reason, message| Some(Wrong(Status::False, reason, message));
    if !validated.platform.http_routes {
        return wrong(API_MISSING, NO_HTTP_ROUTES.to_owned());
    }
    let proxy = validated.proxy.as_ref()?;
    if validated.platform.backend_tls_policies.is_none() {
        return wrong(API_MISSING, NO_BACKEND_TLS_POLICIES.to_owned());
    }
    if proxy.trust != Trust::Missing {
        return None;
    }
    wrong(
        reason!("AuthorityMissing"),
        format!(
            "gateways trust the authority in ConfigMap {}, key ca.crt, which is not there, and \
             Secret {} has no ca.crt either; create one of them with the authority of the proxy's \
             certificate",
            proxy.authorities, proxy.certificate.name
        ),
    )
}

const NO_HTTP_ROUTES: &str = "spec.expose.gateways: the cluster has no API HTTPRoute (gateway.networking.k8s.io/v1); \
     install Gateway API, or use spec.expose.ingress";
const NO_BACKEND_TLS_POLICIES: &str = "spec.expose.gateways: the cluster has no API BackendTLSPolicy \
     (gateway.networking.k8s.io/v1 or v1alpha3), which tells gateways to speak TLS to the proxy; \
     install Gateway API 1.4 or newer, or use spec.expose.ingress";

/// What could not be written, or belongs to somebody else.
fn unwritten(
    validated: &Validated,
    outcome: &Outcome,
    is_meant: impl Fn(Kind) -> bool,
) -> Option<Wrong> {
    let (namespace, name) = (validated.namespace.as_str(), validated.name.as_str());
    let meant = |target: &Target| is_meant(target.kind) && is_beside(target, namespace, name);
    if let Some(failed) = outcome.failed.iter().find(|failed| meant(&failed.target)) {
        let message = format!("{} could not be written: {}", failed.target, failed.message);
        return Some(Wrong(Status::False, NOT_WRITTEN, message));
    }
    let foreign = outcome.foreign.iter().find(|target| meant(target))?;
    Some(Wrong(
        Status::False,
        reason!("ObjectConflict"),
        format!("{foreign} belongs to {FOREIGN}"),
    ))
}

/// What a gateway's controller says against the HTTPRoute or the BackendTLSPolicy.
fn unaccepted(validated: &Validated, child: Child<'_>) -> Option<Wrong> {
    let name = validated.name.as_str();
    let list = |object: Option<Value>, pointer: &str| {
        object
            .and_then(|mut object| object.pointer_mut(pointer).map(Value::take))
            .and_then(|list| match list {
                Value::Array(list) => Some(list),
                _ => None,
            })
            .unwrap_or_default()
    };
    let parents = list(child(HTTP_ROUTE, name), "/status/parents");
    if parents.is_empty() {
        let message = format!(
            "no controller has answered for a Gateway of HTTPRoute {name}; check that the Gateways \
             of spec.expose.gateways exist and have a controller"
        );
        return Some(Wrong(Status::Unknown, PENDING, message));
    }
    let ancestors = validated
        .proxy
        .as_ref()
        .and(validated.platform.backend_tls_policies)
        .map(|kind| list(child(kind, name), "/status/ancestors"))
        .unwrap_or_default();
    let of = |kind: &'static str| {
        move |answer: Value| {
            refusal(&answer).map(|why| format!("{kind} {name} is not accepted: {why}"))
        }
    };
    parents
        .into_iter()
        .find_map(of("HTTPRoute"))
        .or_else(|| ancestors.into_iter().find_map(of("BackendTLSPolicy")))
        .map(|message| Wrong(Status::False, NOT_ACCEPTED, message))
}

/// What one controller says against an object, for one Gateway.
fn refusal(answer: &Value) -> Option<String> {
    let conditions = answer.get("conditions").and_then(Value::as_array)?;
    let refused = conditions.iter().find(|condition| {
        let is = |key: &str, value: &str| condition.get(key).is_some_and(|found| found == value);
        (is("type", "Accepted") || is("type", "ResolvedRefs")) && is("status", "False")
    })?;
    let text = |value: &Value, pointer: &str| {
        let found = value.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let gateway = ["/parentRef/name", "/ancestorRef/name"]
        .map(|pointer| text(answer, pointer))
        .concat();
    Some(format!(
        "Gateway {gateway}: {} ({})",
        text(refused, "/message"),
        text(refused, "/reason")
    ))
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
    let unwritten = unwritten(validated, outcome, |kind| kind.is_version_of(&CERTIFICATE));
    let (status, reason, message) = if !validated.platform.certificates {
        (Status::False, API_MISSING, NO_CERT_MANAGER.to_owned())
    } else if let Some(Wrong(status, reason, message)) = unwritten {
        (status, reason, message)
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
