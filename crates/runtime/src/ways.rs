//! Ways in from outside the cluster, as their owner is told of them: resources share the field, so
//! they share the words.

use conditions::{ConditionType, Reason, Status, Wanted, condition_type, reason};
use resources::Kind;
use resources::exposure::Exposure;
use resources::kind::{BACKEND_TLS_POLICY, HTTP_ROUTE, INGRESS};
use serde_json::Value;

use crate::outcome::{Outcome, Target};

/// Whether the ways in that the resource asks for are there. Only there when it asks for some. What
/// they lead to does not depend on it.
pub const EXPOSED: ConditionType = condition_type!("Exposed");
/// An API is not in the cluster.
pub const API_MISSING: Reason = reason!("APIMissing");
/// No controller has answered yet.
pub const PENDING: Reason = reason!("Pending");

/// What is asked for, and what the cluster has for it.
#[derive(Clone, Copy, Debug)]
pub struct Ways<'a> {
    /// What the resource asks for.
    pub asked: &'a Exposure,
    /// Its namespace, which the objects are in.
    pub namespace: &'a str,
    /// Its name, which the objects have.
    pub name: &'a str,
    /// What it is, as `registry`.
    pub what: &'static str,
    /// Whose an object of a taken name is, and what to do.
    pub foreign: &'static str,
    /// The cluster has HTTPRoutes.
    pub http_routes: bool,
    /// How gateways speak TLS; `None` where they do not.
    pub tls: Option<Tls<'a>>,
}

/// How gateways speak TLS to what they lead to.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// The version of BackendTLSPolicy to use, where the cluster has one.
    pub policies: Option<Kind>,
    /// ConfigMap with the authority that they trust, where it cannot be made, and Secret with the
    /// certificate.
    pub untrusted: Option<(&'a str, &'a str)>,
}

/// Gives an object of the resource's, as far as it is kept.
pub type Child<'a> = &'a dyn Fn(Kind, &str) -> Option<Value>;

/// What is told of something beside the resource itself.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// `False`, or `Unknown` where nobody can tell.
    pub status: Status,
    /// For programs.
    pub reason: Reason,
    /// For people.
    pub message: String,
}

impl Wrong {
    fn new(status: Status, reason: Reason, message: String) -> Self {
        Self {
            status,
            reason,
            message,
        }
    }

    /// What was not written of the objects that are `meant`, or belongs to somebody else.
    #[must_use]
    pub fn unwritten(
        outcome: &Outcome,
        foreign: &str,
        meant: impl Fn(&Target) -> bool,
    ) -> Option<Self> {
        if let Some(failed) = outcome.failed.iter().find(|failed| meant(&failed.target)) {
            let message = format!("{} could not be written: {}", failed.target, failed.message);
            return Some(Self::new(Status::False, reason!("NotWritten"), message));
        }
        let target = outcome.foreign.iter().find(|target| meant(target))?;
        Some(Self::new(
            Status::False,
            reason!("ObjectConflict"),
            format!("{target} belongs to {foreign}"),
        ))
    }
}

/// Whether the object only makes a way in to resource `name`: what it leads to works without it.
#[must_use]
pub fn is_way(target: &Target, namespace: &str, name: &str) -> bool {
    let kinds = [HTTP_ROUTE, INGRESS, BACKEND_TLS_POLICY];
    // The HTTPRoute of an installation's gateway is in another namespace, or has another name.
    target.namespace.as_deref() == Some(namespace)
        && target.name == name
        && kinds.iter().any(|kind| target.kind.is_version_of(kind))
}

impl Ways<'_> {
    /// Whether what the resource asks for leads to it. `child` gives an object of the resource's.
    #[must_use]
    pub fn exposed(&self, outcome: &Outcome, child: Child<'_>) -> Wanted {
        let Self { asked, name, .. } = *self;
        let gateways = !asked.gateways.is_empty();
        let is_ours = |target: &Target| is_way(target, self.namespace, name);
        let found = gateways
            .then(|| self.unoffered())
            .flatten()
            .or_else(|| Wrong::unwritten(outcome, self.foreign, is_ours))
            .or_else(|| gateways.then(|| self.unaccepted(child)).flatten());
        let Wrong {
            status,
            reason,
            message,
        } = found.unwrap_or_else(|| {
            let through = match (gateways, &asked.ingress) {
                (true, Some(_)) => format!("HTTPRoute {name} and Ingress {name} lead"),
                (true, None) => format!("HTTPRoute {name} leads"),
                (false, _) => format!("Ingress {name} leads"),
            };
            let message = format!("{through} to the {}", self.what);
            Wrong::new(Status::True, reason!("Exposed"), message)
        });
        Wanted::new(EXPOSED, status, reason, message)
    }

    /// What gateways need and the cluster, or the certificate, does not give.
    fn unoffered(&self) -> Option<Wrong> {
        let wrong = |reason, message| Some(Wrong::new(Status::False, reason, message));
        if !self.http_routes {
            return wrong(API_MISSING, NO_HTTP_ROUTES.to_owned());
        }
        let tls = self.tls?;
        if tls.policies.is_none() {
            return wrong(API_MISSING, NO_BACKEND_TLS_POLICIES.to_owned());
        }
        let (authorities, certificate) = tls.untrusted?;
        wrong(
            reason!("AuthorityMissing"),
            format!(
                "gateways trust the authority in ConfigMap {authorities}, key ca.crt, which is not \
                 there, and Secret {certificate} has no ca.crt either; create one of them with the \
                 authority of the proxy's certificate"
            ),
        )
    }

    /// What a gateway's controller says against the HTTPRoute or the BackendTLSPolicy.
    fn unaccepted(&self, child: Child<'_>) -> Option<Wrong> {
        let name = self.name;
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
                "no controller has answered for a Gateway of HTTPRoute {name}; check that the \
                 Gateways of spec.expose.gateways exist and have a controller"
            );
            return Some(Wrong::new(Status::Unknown, PENDING, message));
        }
        let ancestors = self
            .tls
            .and_then(|tls| tls.policies)
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
            .map(|message| Wrong::new(Status::False, reason!("NotAccepted"), message))
    }
}

const NO_HTTP_ROUTES: &str = "spec.expose.gateways: the cluster has no API HTTPRoute (gateway.networking.k8s.io/v1); \
     install Gateway API, or use spec.expose.ingress";
const NO_BACKEND_TLS_POLICIES: &str = "spec.expose.gateways: the cluster has no API BackendTLSPolicy \
     (gateway.networking.k8s.io/v1 or v1alpha3), which tells gateways to speak TLS to the proxy; \
     install Gateway API 1.4 or newer, or use spec.expose.ingress";

/// Conditions of a route or policy at one Gateway. The last is of some controllers only.
const ANSWERS: [&str; 3] = ["Accepted", "ResolvedRefs", "Programmed"];

/// The first of these conditions that one controller tells of an object, for one Gateway, with this
/// status.
fn told<'a>(answer: &'a Value, types: &[&str], status: &str) -> Option<&'a Value> {
    let conditions = answer.get("conditions").and_then(Value::as_array)?;
    conditions.iter().find(|condition| {
        let text = |key: &str| condition.get(key).and_then(Value::as_str);
        text("type").is_some_and(|type_| types.contains(&type_)) && text("status") == Some(status)
    })
}

/// Whether one controller has taken an object, for one Gateway.
#[must_use]
pub fn accepts(answer: &Value) -> bool {
    told(answer, &["Accepted"], "True").is_some()
}

/// What one controller says against an object, for one Gateway.
#[must_use]
pub fn refusal(answer: &Value) -> Option<String> {
    let refused = told(answer, &ANSWERS, "False")?;
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
