//! The status that a kubelet would write. Pure.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use serde_json::{Value, json};

use super::needs::{Problem, Step};

/// The status of a scheduled pod: running and ready without problems, else waiting in the way that
/// the problems say. `number` is the count of pods that started before, for the pod's address.
#[must_use]
pub fn pod_status(pod: &Pod, problems: &[Problem], number: u32, now: Timestamp) -> Value {
    let now = now.to_string();
    let Some(spec) = &pod.spec else {
        return Value::Null;
    };
    let init: Vec<&Container> = spec.init_containers.iter().flatten().collect();
    // No container is made before the volumes are there, and no main one before the init ones end.
    let mounted = !problems
        .iter()
        .any(|problem| matches!(problem.step, Step::Mount { .. }));
    let initialized = mounted
        && init
            .iter()
            .all(|container| environment(problems, container).is_none());
    let started = initialized
        && spec
            .containers
            .iter()
            .all(|container| environment(problems, container).is_none());
    let ready = started && problems.is_empty();

    let init_statuses: Vec<Value> = init
        .iter()
        .map(|container| {
            if !mounted {
                return waiting(container, "PodInitializing", None);
            }
            match environment(problems, container) {
                Some(problem) => waiting(
                    container,
                    "CreateContainerConfigError",
                    Some(&problem.message),
                ),
                None if container.restart_policy.as_deref() == Some("Always") => {
                    running(container, true, &now)
                }
                None if initialized => completed(container, &now),
                None => waiting(container, "PodInitializing", None),
            }
        })
        .collect();
    let statuses: Vec<Value> = spec
        .containers
        .iter()
        .map(|container| {
            if !initialized {
                let reason = if init.is_empty() {
                    "ContainerCreating"
                } else {
                    "PodInitializing"
                };
                return waiting(container, reason, None);
            }
            match environment(problems, container) {
                Some(problem) => waiting(
                    container,
                    "CreateContainerConfigError",
                    Some(&problem.message),
                ),
                None => running(container, !is_probed_in_vain(problems, container), &now),
            }
        })
        .collect();

    let unready: Vec<&str> = spec
        .containers
        .iter()
        .zip(&statuses)
        .filter(|(_, status)| status.get("ready") != Some(&Value::Bool(true)))
        .map(|(container, _)| container.name.as_str())
        .collect();
    let message = match problems
        .iter()
        .find(|problem| !matches!(problem.step, Step::Environment { .. }))
    {
        // A kubelet tells these in events; here they are where one looks first.
        Some(problem) => format!(
            "containers with unready status: [{}]: {}",
            unready.join(" "),
            describe(problem)
        ),
        None => format!("containers with unready status: [{}]", unready.join(" ")),
    };
    let condition = |kind: &str, holds: bool| {
        if holds {
            json!({"type": kind, "status": "True", "lastTransitionTime": now, "reason": null, "message": null})
        } else {
            json!({"type": kind, "status": "False", "lastTransitionTime": now,
                   "reason": "ContainersNotReady", "message": message})
        }
    };
    let mut conditions = vec![
        condition("PodReadyToStartContainers", mounted),
        condition("Initialized", initialized),
        condition("Ready", ready),
        condition("ContainersReady", ready),
    ];
    conditions.extend(
        spec.readiness_gates
            .iter()
            .flatten()
            .map(|gate| condition(&gate.condition_type, true)),
    );

    let mut status = json!({
        "phase": if started { "Running" } else { "Pending" },
        "startTime": now,
        "hostIP": "10.1.0.1",
        "hostIPs": [{"ip": "10.1.0.1"}],
        "conditions": conditions,
        "containerStatuses": statuses,
    });
    if let Some(fields) = status.as_object_mut() {
        if !init.is_empty() {
            fields.insert(
                "initContainerStatuses".to_owned(),
                Value::Array(init_statuses),
            );
        }
        if started {
            let ip = pod_ip(number);
            fields.insert("podIPs".to_owned(), json!([{"ip": ip}]));
            fields.insert("podIP".to_owned(), Value::String(ip));
        }
    }
    status
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
        json!({"waiting": {"reason": reason, "message": message}}),
    )
}

fn running(container: &Container, ready: bool, now: &str) -> Value {
    container_status(
        container,
        ready,
        true,
        json!({"running": {"startedAt": now}}),
    )
}

fn completed(container: &Container, now: &str) -> Value {
    let ended = json!({"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now});
    container_status(container, true, false, json!({"terminated": ended}))
}

fn container_status(container: &Container, ready: bool, started: bool, state: Value) -> Value {
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
