//! Whether the authenticating proxy can be reached.

use conditions::ConditionType;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use serde_json::Value;

use super::super::plan::{SERVER, oauth};
use super::{OAUTH_AVAILABLE, PROXY_AVAILABLE};
use runtime::workload::pods;

/// The program that decides who gets in, in the words of the Go operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Condition that tells of it.
    pub(super) condition: ConditionType,
    /// What a user reads when it can be reached.
    pub(super) available: &'static str,
    /// Its container.
    container: &'static str,
    /// What it is called in front of "proxy unavailable".
    word: &'static str,
    /// What its Route is called.
    route: &'static str,
}

/// Whether the kube-rbac-proxy can be reached. Only there with one.
pub(super) const KUBE_RBAC: Program = Program {
    condition: PROXY_AVAILABLE,
    available: "kube-rbac-proxy was successfully created",
    container: "kube-rbac-proxy",
    word: "kube-rbac-proxy",
    route: "KubeRBACProxy",
};

/// Whether the OAuth proxy can be reached. Only there with one.
pub(super) const OAUTH: Program = Program {
    condition: OAUTH_AVAILABLE,
    available: "OAuth Proxy was successfully created",
    container: oauth::CONTAINER,
    word: "OAuth",
    route: "OAuth Proxy",
};

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
pub(super) fn wrong_pods(program: &Program, name: &str, pods: &[Pod]) -> Option<String> {
    if pods.is_empty() {
        return Some(format!("No Pods found for Deployment {name}"));
    }
    let mut active: Vec<_> = pods::active(pods).collect();
    active.sort_by_key(|pod| pod.name_any());
    let mut problems = active.into_iter().map(|pod| wrong_pod(program, pod));
    let Some(first) = problems.next() else {
        return Some(format!("No active Pods found for Deployment {name}"));
    };
    let first = first?;
    problems.all(|problem| problem.is_some()).then_some(first)
}

fn wrong_pod(program: &Program, pod: &Pod) -> Option<String> {
    let name = pod.name_any();
    let containers = [SERVER, program.container];
    let has = |container: &str| {
        pod.spec
            .as_ref()
            .is_some_and(|spec| spec.containers.iter().any(|c| c.name == container))
    };
    if !containers.iter().all(|container| has(container)) {
        return Some(format!("{} proxy unavailable in Pod {name}", program.word));
    }
    containers
        .iter()
        .find_map(|container| match pods::container(pod, container) {
            None => Some(format!("container status not yet available in Pod {name}")),
            Some(status) if !status.ready => {
                Some(format!("container {container} not ready in Pod {name}"))
            }
            Some(_) => None,
        })
}

/// What is wrong with the proxy's Route, as it is.
pub(super) fn wrong_route(program: &Program, name: &str, route: Option<&Value>) -> Option<String> {
    let why = unadmitted(name, route)?;
    Some(format!(
        "{} Route {name} is unavailable: {why}",
        program.route
    ))
}

/// Why no router leads to the host of a Route, as it is. Of several routers one is enough.
pub(super) fn unadmitted(name: &str, route: Option<&Value>) -> Option<String> {
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
    Some(first.unwrap_or_else(|| "no router has admitted it yet".to_owned()))
}
