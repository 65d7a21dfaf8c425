//! Whether the authenticating proxy can be reached.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::Value;

use crate::workload::pods;

/// What a user reads when the proxy can be reached.
pub(super) const AVAILABLE: &str = "kube-rbac-proxy was successfully created";

/// Containers that both must be ready.
const CONTAINERS: [&str; 2] = ["rest-container", "kube-rbac-proxy"];

/// The operator may not give the proxy the right to ask who calls. `rule` is what it lacks.
pub(super) fn unbound(rule: &str, namespace: &str, name: &str) -> String {
    format!(
        "the operator's service account lacks the rule `{rule}` and cannot tell whether the proxy may \
         ask who calls: a cluster administrator binds ClusterRole system:auth-delegator to \
         ServiceAccount {namespace}/{name}, or spec.authentication: None does without the proxy"
    )
}

/// What is wrong with the pods of Deployment `name`. One good pod is enough; containers that
/// others have put into a pod do not count.
pub(super) fn wrong_pods(name: &str, pods: &[Pod]) -> Option<String> {
    if pods.is_empty() {
        return Some(format!("No Pods found for Deployment {name}"));
    }
    let mut active: Vec<_> = pods::active(pods).collect();
    active.sort_by_key(|pod| pod.name_any());
    let mut problems = active.into_iter().map(wrong_pod);
    let Some(first) = problems.next() else {
        return Some(format!("No active Pods found for Deployment {name}"));
    };
    let first = first?;
    problems.all(|problem| problem.is_some()).then_some(first)
}

fn wrong_pod(pod: &Pod) -> Option<String> {
    let name = pod.name_any();
    let has = |container: &str| {
        pod.spec
            .as_ref()
            .is_some_and(|spec| spec.containers.iter().any(|c| c.name == container))
    };
    if !CONTAINERS.iter().all(|container| has(container)) {
        return Some(format!("kube-rbac-proxy proxy unavailable in Pod {name}"));
    }
    CONTAINERS
        .iter()
        .find_map(|container| match pods::container(pod, container) {
            None => Some(format!("container status not yet available in Pod {name}")),
            Some(status) if !status.ready => {
                Some(format!("container {container} not ready in Pod {name}"))
            }
            Some(_) => None,
        })
}

/// What is wrong with the proxy's Route, as it is. Of several routers one is enough.
pub(super) fn wrong_route(name: &str, route: Option<&Value>) -> Option<String> {
    let ingresses = route
        .and_then(|route| route.pointer("/status/ingress"))
        .and_then(Value::as_array);
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut first = None;
    for ingress in ingresses.into_iter().flatten() {
        let conditions = ingress
            .get("conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        // The last one counts.
        let admitted = conditions
            .rev()
            .find(|condition| text(condition, "type") == "Admitted");
        if admitted.is_some_and(|admitted| text(admitted, "status") == "True") {
            return None;
        }
        first.get_or_insert_with(|| {
            let why = admitted.map(|admitted| {
                format!(
                    ": {{reason: {}, message: {}}}",
                    text(admitted, "reason"),
                    text(admitted, "message")
                )
            });
            let host = text(ingress, "host");
            format!(
                "Host {host} in Route {name} is unavailable{}",
                why.unwrap_or_default()
            )
        });
    }
    let why = first.unwrap_or_else(|| "no router has admitted it yet".to_owned());
    Some(format!("KubeRBACProxy Route {name} is unavailable: {why}"))
}
