//! Whether the registry in the mesh can be reached, in the words of the Go operator of v0.2.

use conditions::{ConditionType, Status, Wanted, condition_type, reason};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use resources::kind::{AUTH_CONFIG, POD, ROUTE};
use runtime::inputs::Inputs;
use runtime::told::Bad;
use serde_json::Value;

use super::super::validated::istio::{Entrance, Gateway, IngressService, Istio, IstioGateway};
use super::proxy;
use super::told::View;
use runtime::workload::{Live, pods};

/// Whether the mesh protects the registry. Only there with `spec.istio` in a mesh.
pub(super) const ISTIO_AVAILABLE: ConditionType = condition_type!("IstioAvailable");
/// Whether the gateway leads to the registry. Only there with a gateway.
pub(super) const GATEWAY_AVAILABLE: ConditionType = condition_type!("GatewayAvailable");

/// Istio's own container.
const SIDECAR: &str = "istio-proxy";

impl View<'_> {
    /// Conditions of the mesh and of its gateway.
    pub(super) fn mesh<I: Inputs>(
        &self,
        inputs: &I,
        live: &Live,
        bad: Option<&Bad>,
    ) -> [Option<Wanted>; 2] {
        let Some(validated) = self.validated else {
            // Nothing is known of the spec: what was told of its mesh must not stay True.
            return [
                (ISTIO_AVAILABLE, "Istio resources are unavailable"),
                (GATEWAY_AVAILABLE, "Istio Gateway resources are unavailable"),
            ]
            .map(|(condition, message)| {
                let told = self.previous.conditions.iter();
                let mut told = told.filter(|told| told.type_ == condition.as_str());
                let why = bad.map_or(message, |bad| bad.message.as_str());
                told.next().map(|_| unavailable(condition, why.to_owned()))
            });
        };
        let Some(istio) = &validated.istio else {
            return [None, None];
        };
        let wrong = bad
            .map(|bad| bad.message.clone())
            .or_else(|| self.unguarded(inputs, istio))
            .or_else(|| {
                self.attempt
                    .may_watch(POD)
                    .then(|| outside(&self.resource.name_any(), &live.pods))?
            });
        let available = "Istio resources are available";
        let mesh = told(ISTIO_AVAILABLE, wrong, available);
        let gateway = match &istio.gateway {
            Gateway::Closed => return [Some(mesh), None],
            Gateway::NoDomain => Some(
                "there is no domain for the gateway's host names; set spec.istio.gateway.domain"
                    .to_owned(),
            ),
            Gateway::Open(gateway) => closed(inputs, gateway),
        };
        let available = "Istio Gateway resources are available";
        [
            Some(mesh),
            Some(told(GATEWAY_AVAILABLE, gateway, available)),
        ]
    }

    /// Why Authorino does not decide who may call.
    fn unguarded<I: Inputs>(&self, inputs: &I, istio: &Istio) -> Option<String> {
        let guard = istio.guard.as_ref()?;
        let name = self.resource.name_any();
        if !self.attempt.may_watch(AUTH_CONFIG) {
            return None;
        }
        let found = inputs.child(AUTH_CONFIG, self.resource.namespace().as_deref(), &name);
        let conditions = found
            .as_ref()
            .and_then(|found| found.pointer("/status/conditions")?.as_array());
        let mut ready = conditions
            .into_iter()
            .flatten()
            .filter(|condition| text(condition, "type") == "Ready");
        match ready.next() {
            Some(ready) if text(ready, "status") == "True" => None,
            Some(ready) => Some(format!(
                "Istio AuthConfig is not ready: {{reason: {}, message: {}}}",
                text(ready, "reason"),
                text(ready, "message")
            )),
            None => {
                let labels: Vec<_> = guard
                    .labels
                    .iter()
                    .map(|(k, v)| format!("{k}={v}"))
                    .collect();
                Some(format!(
                    "Istio AuthConfig is not ready: no Authorino has looked at it yet; one must run that \
                     looks for AuthConfigs with {}, or spec.istio.authConfigLabels names the labels of yours",
                    labels.join(",")
                ))
            }
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn unavailable(condition: ConditionType, why: String) -> Wanted {
    Wanted::new(
        condition,
        Status::False,
        reason!("ResourcesUnavailable"),
        why,
    )
}

fn told(condition: ConditionType, wrong: Option<String>, available: &'static str) -> Wanted {
    match wrong {
        Some(why) => unavailable(condition, why),
        None => Wanted::new(
            condition,
            Status::True,
            reason!("ResourcesAvailable"),
            available,
        ),
    }
}

/// The first pod that is not in the mesh: nobody checks who calls it. Every one counts.
fn outside(name: &str, all: &[Pod]) -> Option<String> {
    if all.is_empty() {
        return Some(format!("No Pods found for Deployment {name}"));
    }
    let mut active: Vec<_> = pods::active(all).collect();
    active.sort_by_key(|pod| pod.name_any());
    let pod = active.into_iter().find(|pod| !has_sidecar(pod))?;
    Some(format!(
        "Istio proxy unavailable in Pod {}: nobody checks who calls it; label the namespace \
         istio-injection=enabled or add it to the mesh, then delete the pod",
        pod.name_any()
    ))
}

/// As a container beside the others, or as one that runs before them.
fn has_sidecar(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| {
        let before = spec.init_containers.iter().flatten();
        let mut all = spec.containers.iter().chain(before);
        all.any(|container| container.name == SIDECAR)
    })
}

/// Why no way leads through the gateway.
fn closed<I: Inputs>(inputs: &I, gateway: &IstioGateway) -> Option<String> {
    let asked = [(&gateway.rest, "REST"), (&gateway.grpc, "GRPC")];
    match &gateway.service {
        IngressService::Unasked => None,
        IngressService::Ambiguous { count } => {
            let revision = gateway.control_plane.as_ref();
            let revision = revision.map(|revision| format!(",istio.io/rev={revision}"));
            Some(format!(
                "missing unique ingress gateway service with labels istio={}{}, found {count} services; \
                 set spec.istio.gateway.istioIngress, or gatewayRoute of rest and grpc to disabled",
                gateway.ingress,
                revision.unwrap_or_default()
            ))
        }
        IngressService::Found { namespace, .. } => {
            let all: Vec<_> = asked
                .iter()
                .filter_map(|(entrance, word)| {
                    unadmitted(inputs, namespace.as_str(), entrance, word)
                })
                .collect();
            (!all.is_empty()).then(|| all.join(", "))
        }
    }
}

fn unadmitted<I: Inputs>(
    inputs: &I,
    namespace: &str,
    entrance: &Entrance,
    word: &str,
) -> Option<String> {
    let name = entrance.route.as_ref()?.as_str();
    match inputs.child(ROUTE, Some(namespace), name) {
        Some(route) => proxy::unadmitted(name, Some(&route)),
        None => Some(format!("Istio Gateway {word} Route missing")),
    }
}
