//! What is told of parts: storage, certificate, gateway.

use conditions::{ConditionType, Status, Wanted, condition_type, reason};
use resources::kind::HTTP_ROUTE;
use resources::quantity::is_smaller;
use runtime::outcome::Failed;
use runtime::ways::{accepts, refusal};
use serde_json::Value;

use super::super::observe::{Certificate, Observation};
use super::super::validated::Validated;
use crate::names::Names;

/// Whether databases are named and the volume is there.
pub(super) const STORAGE: ConditionType = condition_type!("StorageReady");
/// Whether there is a certificate to answer with.
pub(super) const TLS: ConditionType = condition_type!("TLSReady");
/// Whether the gateway leads to the server. Only there where there are HTTPRoutes.
pub(super) const GATEWAY: ConditionType = condition_type!("GatewayReady");

/// Whether databases are named and the volume is there.
pub(super) fn storage(server: &Validated, seen: &Observation) -> Wanted {
    let stores = seen.references.iter();
    let mut stores = stores.filter(|reference| reference.field.contains("StoreUriFrom"));
    if let Some(missing) = stores.find(|reference| reference.is_missing()) {
        let reason = reason!("SecretNotFound");
        return Wanted::new(STORAGE, Status::False, reason, missing.trouble());
    }
    let Some(claim) = &server.claim else {
        let message = "databases and artifacts are outside of the cluster's volumes";
        return Wanted::new(STORAGE, Status::True, reason!("Remote"), message);
    };
    let name = server.names.claim.as_str();
    let pending = |why: String| Wanted::new(STORAGE, Status::False, reason!("VolumePending"), why);
    match &seen.claim {
        None => pending(format!("claim {name} is being made")),
        Some(live) if !live.bound => pending(format!(
            "claim {name} waits for its volume; its events say why: kubectl describe pvc {name} -n {}",
            server.namespace
        )),
        Some(live) => {
            let requests = claim.spec.resources.as_ref();
            let asked = requests.and_then(|all| all.requests.as_ref()?.get("storage"));
            let grows = asked.zip(live.capacity.as_ref());
            let message = match grows.filter(|(asked, has)| is_smaller(&has.0, &asked.0)) {
                Some((asked, has)) => format!("the volume grows from {} to {}", has.0, asked.0),
                None => format!("claim {name} has its volume"),
            };
            Wanted::new(STORAGE, Status::True, reason!("VolumeReady"), message)
        }
    }
}

/// Whether there is a certificate to answer with.
pub(super) fn tls(certificate: &Certificate, names: &Names) -> Wanted {
    if certificate.digest().is_some() {
        let reason = reason!("CertificateReady");
        return Wanted::new(TLS, Status::True, reason, "the server has its certificate");
    }
    let why = match certificate {
        Certificate::Given { secret, .. } => format!(
            "Secret {secret} with tls.crt and tls.key is not there; create it, or remove \
             spec.tls.secretName to have a certificate made"
        ),
        Certificate::CertManager(_) => format!(
            "cert-manager has not made Secret {} yet; see Certificate {} if that takes long",
            names.tls, names.tls
        ),
        Certificate::ServiceCa(_) | Certificate::Own { .. } => format!(
            "OpenShift has not made Secret {} yet; see the events of Service {} if that takes long",
            names.tls, names.own
        ),
    };
    Wanted::new(TLS, Status::False, reason!("CertificateMissing"), why)
}

/// Whether the gateway leads to the server.
pub(super) fn gateway(
    server: &Validated,
    route: Option<&Value>,
    failed: &[Failed],
) -> Option<Wanted> {
    if !server.platform.http_routes {
        return None;
    }
    if let Some(failed) = failed
        .iter()
        .find(|failed| failed.target.kind == HTTP_ROUTE)
    {
        let reason = reason!("HttpRouteFailed");
        return Some(Wanted::new(
            GATEWAY,
            Status::False,
            reason,
            failed.message.clone(),
        ));
    }
    let (settings, own) = (&server.settings, &server.names.own);
    let (gateway, namespace) = (&settings.gateway_name, &settings.gateway_namespace);
    // A route that leads somewhere else, too, has an answer from there.
    let is_of = |answer: &&Value| {
        let text = |key: &str| answer.pointer(&format!("/parentRef/{key}"))?.as_str();
        text("name") == Some(gateway) && text("namespace") == Some(namespace)
    };
    let answers = route.and_then(|route| route.pointer("/status/parents")?.as_array());
    let answers: Vec<&Value> = answers.into_iter().flatten().filter(is_of).collect();
    if let Some(why) = answers.iter().find_map(|answer| refusal(answer)) {
        let message = format!("HTTPRoute {own} is not accepted: {why}");
        let reason = reason!("NotAccepted");
        return Some(Wanted::new(GATEWAY, Status::False, reason, message));
    }
    let is_accepted = answers.iter().any(|answer| accepts(answer));
    let name = format!("{namespace}/{gateway}");
    Some(if is_accepted {
        let message = format!("Gateway {name} leads to the server");
        Wanted::new(GATEWAY, Status::True, reason!("Accepted"), message)
    } else {
        let message = format!("Gateway {name} has not looked at HTTPRoute {own} yet");
        Wanted::new(GATEWAY, Status::Unknown, reason!("NotSeen"), message)
    })
}
