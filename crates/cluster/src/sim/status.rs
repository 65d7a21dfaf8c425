//! The status that a kubelet would write. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use serde_json::{Value, json};

use super::needs::{Problem, Step};

/// How far a pod has come, each step after the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Volumes are not there, so no container is made.
    Scheduled,
    /// Init containers run, or cannot be made.
    Mounted,
    /// Main containers are made, perhaps not all.
    Initialized,
    /// All of them run.
    Started,
    /// All of them answer their probes.
    Ready,
}

impl Progress {
    fn of(spec: &PodSpec, problems: &[Problem]) -> Self {
        let can_be_made = |container| environment(problems, container).is_none();
        if problems
            .iter()
            .any(|problem| matches!(problem.step, Step::Mount { .. }))
        {
            Self::Scheduled
        } else if !spec.init_containers.iter().flatten().all(can_be_made) {
            Self::Mounted
        } else if !spec.containers.iter().all(can_be_made) {
            Self::Initialized
        } else if !problems.is_empty() {
            Self::Started
        } else {
            Self::Ready
        }
    }
}

/// The status of a scheduled pod: running and ready without problems, else waiting in the way that
/// the problems say. `number` is the count of pods that started before, for the pod's address.
#[must_use]
pub fn pod_status(pod: &Pod, problems: &[Problem], number: u32, now: Timestamp) -> Value {
    let now = now.to_string();
    let Some(spec) = &pod.spec else {
        return Value::Null;
    };
    let progress = Progress::of(spec, problems);
    let containers: Vec<Value> = spec
        .containers
        .iter()
        .map(|container| main_container(spec, container, problems, progress, &now))
        .collect();
    let init: Vec<Value> = spec
        .init_containers
        .iter()
        .flatten()
        .map(|container| init_container(container, problems, progress, &now))
        .collect();
    let ip = (progress >= Progress::Started).then(|| pod_ip(number));
    json!({
        "phase": if progress >= Progress::Started { "Running" } else { "Pending" },
        "startTime": now,
        "hostIP": "10.1.0.1",
        "hostIPs": [{"ip": "10.1.0.1"}],
        "podIPs": ip.iter().map(|ip| json!({"ip": ip})).collect::<Vec<_>>(),
        "podIP": ip,
        "conditions": conditions(spec, problems, progress, &containers, &now),
        "initContainerStatuses": init,
        "containerStatuses": containers,
    })
}

fn init_container(
    container: &Container,
    problems: &[Problem],
    progress: Progress,
    now: &str,
) -> Value {
    match environment(problems, container) {
        _ if progress < Progress::Mounted => waiting(container, "PodInitializing", None),
        Some(problem) => waiting(
            container,
            "CreateContainerConfigError",
            Some(&problem.message),
        ),
        None if container.restart_policy.as_deref() == Some("Always") => {
            running(container, true, now)
        }
        None if progress >= Progress::Initialized => completed(container, now),
        None => waiting(container, "PodInitializing", None),
    }
}

fn main_container(
    spec: &PodSpec,
    container: &Container,
    problems: &[Problem],
    progress: Progress,
    now: &str,
) -> Value {
    let has_init = spec
        .init_containers
        .as_ref()
        .is_some_and(|init| !init.is_empty());
    match environment(problems, container) {
        _ if progress < Progress::Initialized && has_init => {
            waiting(container, "PodInitializing", None)
        }
        _ if progress < Progress::Initialized => waiting(container, "ContainerCreating", None),
        Some(problem) => waiting(
            container,
            "CreateContainerConfigError",
            Some(&problem.message),
        ),
        None => running(container, !is_probed_in_vain(problems, container), now),
    }
}

fn conditions(
    spec: &PodSpec,
    problems: &[Problem],
    progress: Progress,
    containers: &[Value],
    now: &str,
) -> Vec<Value> {
    let unready: Vec<&str> = containers
        .iter()
        .filter(|status| status["ready"] != true)
        .filter_map(|status| status["name"].as_str())
        .collect();
    let mut message = format!("containers with unready status: [{}]", unready.join(" "));
    // A kubelet tells these in events; here they are where one looks first.
    if let Some(problem) = problems
        .iter()
        .find(|problem| !matches!(problem.step, Step::Environment { .. }))
    {
        message = format!("{message}: {}", describe(problem));
    }
    let condition = |kind: &str, holds: bool| {
        if holds {
            json!({"type": kind, "status": "True", "lastTransitionTime": now, "reason": null, "message": null})
        } else {
            json!({"type": kind, "status": "False", "lastTransitionTime": now,
                   "reason": "ContainersNotReady", "message": message})
        }
    };
    let own = [
        condition("PodReadyToStartContainers", progress >= Progress::Mounted),
        condition("Initialized", progress >= Progress::Initialized),
        condition("Ready", progress >= Progress::Ready),
        condition("ContainersReady", progress >= Progress::Ready),
    ];
    let gates = spec
        .readiness_gates
        .iter()
        .flatten()
        .map(|gate| condition(&gate.condition_type, true));
    own.into_iter().chain(gates).collect()
}

/// The address of the nth pod: `10.128.0.0/9` from its second address on.
#[must_use]
pub fn pod_ip(number: u32) -> String {
    let [_, b, c, d] = number.wrapping_add(1).to_be_bytes();
    format!("10.{}.{c}.{d}", b | 0x80)
}

fn environment<'a>(problems: &'a [Problem], container: &Container) -> Option<&'a Problem> {
    problems
        .iter()
        .find(|problem| matches!(&problem.step, Step::Environment { container: name } if *name == container.name))
}

fn is_probed_in_vain(problems: &[Problem], container: &Container) -> bool {
    problems
        .iter()
        .any(|problem| matches!(&problem.step, Step::Probe { container: name } if *name == container.name))
}

fn describe(problem: &Problem) -> String {
    match &problem.step {
        Step::Mount { volume } => format!(
            "MountVolume.SetUp failed for volume \"{volume}\": {}",
            problem.message
        ),
        Step::Environment { .. } | Step::Probe { .. } => problem.message.clone(),
    }
}

fn waiting(container: &Container, reason: &str, message: Option<&str>) -> Value {
    container_status(
        container,
        false,
        false,
        &json!({"waiting": {"reason": reason, "message": message}}),
    )
}

fn running(container: &Container, ready: bool, now: &str) -> Value {
    container_status(
        container,
        ready,
        true,
        &json!({"running": {"startedAt": now}}),
    )
}

fn completed(container: &Container, now: &str) -> Value {
    let ended = json!({"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now});
    container_status(container, true, false, &json!({"terminated": ended}))
}

fn container_status(container: &Container, ready: bool, started: bool, state: &Value) -> Value {
    json!({
        "name": container.name,
        "image": container.image.as_deref().unwrap_or_default(),
        "imageID": "",
        "ready": ready,
        "started": started,
        "restartCount": 0,
        "state": state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {
            "initContainers": [{"name": "init", "image": "i"}],
            "containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}],
        }}))
        .unwrap()
    }

    fn status(step: Option<Step>) -> Value {
        let problems: Vec<Problem> = step
            .into_iter()
            .map(|step| Problem {
                step,
                message: "why".to_owned(),
            })
            .collect();
        pod_status(&pod(), &problems, 0, Timestamp::UNIX_EPOCH)
    }

    fn ready(status: &Value) -> (&str, &str) {
        let ready = &status["conditions"][2];
        assert_eq!(ready["type"], "Ready");
        (
            ready["status"].as_str().unwrap(),
            ready["message"].as_str().unwrap_or_default(),
        )
    }

    #[test]
    fn nothing_missing_is_running_and_ready() {
        let status = status(None);
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["podIP"], "10.128.0.1");
        assert_eq!(
            status["initContainerStatuses"][0]["state"]["terminated"]["reason"],
            "Completed"
        );
        assert_eq!(status["containerStatuses"][1]["ready"], true);
        assert_eq!(ready(&status), ("True", ""));
    }

    #[test]
    fn a_volume_stops_every_container() {
        let status = status(Some(Step::Mount {
            volume: "v".to_owned(),
        }));
        assert_eq!(status["phase"], "Pending");
        assert_eq!(status["podIP"], Value::Null);
        assert_eq!(
            status["containerStatuses"][0]["state"]["waiting"]["reason"],
            "PodInitializing"
        );
        let message =
            "containers with unready status: [a b]: MountVolume.SetUp failed for volume \"v\": why";
        assert_eq!(ready(&status), ("False", message));
    }

    #[test]
    fn an_environment_stops_its_container() {
        let status = status(Some(Step::Environment {
            container: "b".to_owned(),
        }));
        assert_eq!(status["phase"], "Pending");
        assert_eq!(status["containerStatuses"][0]["ready"], true);
        let waiting = &status["containerStatuses"][1]["state"]["waiting"];
        assert_eq!(
            *waiting,
            json!({"reason": "CreateContainerConfigError", "message": "why"})
        );
        assert_eq!(
            ready(&status),
            ("False", "containers with unready status: [b]")
        );
    }

    #[test]
    fn a_probe_leaves_a_container_running_and_unready() {
        let status = status(Some(Step::Probe {
            container: "a".to_owned(),
        }));
        assert_eq!(status["phase"], "Running");
        assert_eq!(status["containerStatuses"][0]["started"], true);
        assert_eq!(
            ready(&status),
            ("False", "containers with unready status: [a]: why")
        );
    }
}
