//! What pods say about themselves, in the words of the Go operator.

use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use kube::ResourceExt;

/// Reasons to wait that every pod goes through.
pub const STARTING: &[&str] = &["ContainerCreating", "PodInitializing"];

/// Pods that are meant to run: not on their way out, and not over.
pub fn active(pods: &[Pod]) -> impl Iterator<Item = &Pod> {
    pods.iter().filter(|pod| {
        let phase = pod
            .status
            .as_ref()
            .and_then(|status| status.phase.as_deref());
        pod.metadata.deletion_timestamp.is_none() && !matches!(phase, Some("Failed" | "Succeeded"))
    })
}

/// Whether a ready pod listens on this port.
#[must_use]
pub fn listen(pods: &[Pod], port: i32) -> bool {
    let has = |pod: &Pod| {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
        ports.any(|declared| declared.container_port == port)
    };
    let is_ready = |pod: &Pod| {
        let mut all = statuses(pod).peekable();
        all.peek().is_some() && all.all(|status| status.ready)
    };
    active(pods).any(|pod| is_ready(pod) && has(pod))
}

/// The status of a container, by its name.
#[must_use]
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    statuses(pod).find(|status| status.name == name)
}

/// The statuses of all containers, those that run first and end included.
pub fn all_statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let init = pod.status.iter();
    init.flat_map(|status| status.init_container_statuses.iter().flatten())
        .chain(statuses(pod))
}

fn statuses(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    pod.status
        .iter()
        .flat_map(|status| status.container_statuses.iter().flatten())
}

/// What keeps the first pod that has a problem from working. A pod that merely starts has none.
#[must_use]
pub fn problem(pods: &[Pod]) -> Option<String> {
    first(pods, |pod| {
        unready_containers(pod).or_else(|| unschedulable(pod))
    })
}

/// Whether a [`problem`] is that a claim has no volume yet, in the scheduler's words.
#[must_use]
pub fn awaits_volume(problem: &str) -> bool {
    problem.contains("Unschedulable") && problem.to_lowercase().contains("persistentvolumeclaim")
}

/// The first pod that is not ready, by what it says of itself.
#[must_use]
pub fn unready(pods: &[Pod]) -> Option<String> {
    first(pods, |pod| condition(pod, "Ready", None))
}

fn first(pods: &[Pod], say: impl Fn(&Pod) -> Option<String>) -> Option<String> {
    let mut sorted: Vec<_> = active(pods).collect();
    sorted.sort_by_key(|pod| pod.name_any());
    sorted.into_iter().find_map(say)
}

/// Whether pods are on their way: there is none, or one has not come to running all it has.
#[must_use]
pub fn are_starting(pods: &[Pod]) -> bool {
    let is_starting = |pod: &Pod| {
        statuses(pod).next().is_none()
            || statuses(pod)
                .any(|status| waiting(status).is_some_and(|reason| STARTING.contains(&reason)))
    };
    active(pods).next().is_none() || active(pods).any(is_starting)
}

fn waiting(status: &ContainerStatus) -> Option<&str> {
    let waiting = status.state.as_ref()?.waiting.as_ref()?;
    // A kubelet gives a reason; before it has spoken there is none.
    Some(waiting.reason.as_deref().unwrap_or("ContainerCreating"))
}

fn unready_containers(pod: &Pod) -> Option<String> {
    let mut broken: Vec<_> = all_statuses(pod)
        .filter_map(|status| Some(format!("{}: {{{}}}", status.name, broken(status)?)))
        .collect();
    broken.sort();
    let list = broken.join(", ");
    (!list.is_empty()).then(|| format!("pod {} has unready containers [{list}]", pod.name_any()))
}

/// What is wrong with a container that is not ready.
fn broken(status: &ContainerStatus) -> Option<String> {
    if status.ready {
        return None;
    }
    let last = status.last_state.as_ref().and_then(ended_badly);
    if let Some(reason) = waiting(status) {
        let message = status
            .state
            .as_ref()?
            .waiting
            .as_ref()?
            .message
            .as_deref()
            .unwrap_or_default();
        // A container that waits to be started again: how it ended says more.
        let last = last.map(|last| format!(", {last}")).unwrap_or_default();
        return (!STARTING.contains(&reason))
            .then(|| format!("waiting: {{reason: {reason}, message: {message}}}{last}"));
    }
    status.state.as_ref().and_then(ended_badly).or(last)
}

fn ended_badly(state: &ContainerState) -> Option<String> {
    let ended = state
        .terminated
        .as_ref()
        .filter(|ended| ended.exit_code != 0)?;
    let reason = ended.reason.as_deref().unwrap_or_default();
    let message = ended.message.as_deref().unwrap_or_default().trim();
    Some(format!(
        "terminated: {{reason: {reason}, message: {message}}}"
    ))
}

fn unschedulable(pod: &Pod) -> Option<String> {
    condition(pod, "PodScheduled", Some("Unschedulable"))
}

fn condition(pod: &Pod, type_: &str, reason: Option<&str>) -> Option<String> {
    let conditions = pod.status.as_ref()?.conditions.iter().flatten();
    let found = conditions
        .into_iter()
        .find(|c| c.type_ == type_ && c.status == "False")?;
    if reason.is_some() && found.reason.as_deref() != reason {
        return None;
    }
    let (reason, message) = (
        found.reason.as_deref().unwrap_or_default(),
        found.message.as_deref().unwrap_or_default(),
    );
    Some(format!(
        "pod {} containers not ready: {{reason: {reason}, message: {message}}}",
        pod.name_any()
    ))
}
