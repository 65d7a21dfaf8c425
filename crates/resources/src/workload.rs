//! Parts of pods that workloads share.

use std::collections::{BTreeMap, BTreeSet};

use api::common::{DisruptionBudget, Operand};
use k8s_openapi::api::apps::v1::{DeploymentStrategy, RollingUpdateDeployment};
use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, EnvVar, EnvVarSource, ExecAction,
    HTTPGetAction, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
    SeccompProfile, SecretKeySelector, SecretVolumeSource, SecurityContext, TCPSocketAction,
    Volume, VolumeMount,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::core::ObjectMeta;

use crate::meta::Pairs;

/// Group of the files in volumes on plain Kubernetes, which chooses none: they are readable by
/// their group, and the images' users are not root.
pub const FS_GROUP: i64 = 65532;

/// Files that only their owner may read: `0600`.
pub const PRIVATE: i32 = 0o600;

/// Security of a pod as the restricted profile asks for it. `fs_group` owns the files of its
/// volumes, where the platform does not choose one.
#[must_use]
pub fn restricted_pod(fs_group: Option<i64>) -> PodSecurityContext {
    PodSecurityContext {
        fs_group,
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".into(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

/// Security of a container as the restricted profile asks for it.
#[must_use]
pub fn restricted_container() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".into()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

/// The old pod serves until the new one does.
#[must_use]
pub fn rolling() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".into()),
        rolling_update: Some(RollingUpdateDeployment {
            max_unavailable: Some(IntOrString::Int(0)),
            max_surge: None,
        }),
    }
}

/// The old pod is gone before the new one starts: two at a time would get in each other's way.
#[must_use]
pub fn recreate() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("Recreate".into()),
        rolling_update: None,
    }
}

/// When a probe is made, in seconds, and how often it may fail.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Before the first.
    pub delay: i32,
    /// Between two.
    pub period: i32,
    /// For an answer.
    pub timeout: i32,
    /// Failures in a row that count.
    pub failures: i32,
}

impl Timing {
    fn probe(self) -> Probe {
        Probe {
            initial_delay_seconds: Some(self.delay),
            period_seconds: Some(self.period),
            timeout_seconds: Some(self.timeout),
            failure_threshold: Some(self.failures),
            ..Probe::default()
        }
    }
}

/// Asks `path` of the named port.
#[must_use]
pub fn http_probe(scheme: &str, path: &str, port: &str, timing: Timing) -> Probe {
    let action = HTTPGetAction {
        path: Some(path.to_owned()),
        port: IntOrString::String(port.to_owned()),
        scheme: Some(scheme.to_owned()),
        ..HTTPGetAction::default()
    };
    Probe {
        http_get: Some(action),
        ..timing.probe()
    }
}

/// Connects to the named port.
#[must_use]
pub fn tcp_probe(port: &str, timing: Timing) -> Probe {
    let action = TCPSocketAction {
        port: IntOrString::String(port.to_owned()),
        ..TCPSocketAction::default()
    };
    Probe {
        tcp_socket: Some(action),
        ..timing.probe()
    }
}

/// Runs a command in the container.
#[must_use]
pub fn exec_probe(command: &[&str], timing: Timing) -> Probe {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    Probe {
        exec: Some(ExecAction {
            command: Some(command),
        }),
        ..timing.probe()
    }
}

/// Compute resources from literal pairs.
#[must_use]
pub fn resources(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> ResourceRequirements {
    let quantities = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned())))
            .collect()
    };
    ResourceRequirements {
        requests: Some(quantities(requests)),
        limits: Some(quantities(limits)),
        ..ResourceRequirements::default()
    }
}

/// When the image is pulled: what the API server chooses for a new container. It chooses only once,
/// so that an edit from a version to `latest` would go on with whatever the node has.
#[must_use]
pub fn pull_policy(image: &str) -> String {
    let (name, digest) = match image.split_once('@') {
        Some((name, _)) => (name, true),
        None => (image, false),
    };
    let last = name.rsplit_once('/').map_or(name, |(_, last)| last);
    let latest = match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => !digest,
    };
    if latest { "Always" } else { "IfNotPresent" }.to_owned()
}

/// An environment variable with a value. A `$` in the value is doubled: the kubelet expands
/// `$(NAME)` otherwise.
#[must_use]
pub fn literal(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(unexpanded(value)),
        ..EnvVar::default()
    }
}

/// `text` so that the kubelet expands nothing in it.
#[must_use]
pub fn unexpanded(text: &str) -> String {
    text.replace('$', "$$")
}

/// An environment variable from a key of a Secret.
#[must_use]
pub fn from_secret(variable: &str, secret: &str, key: &str) -> EnvVar {
    let selector = SecretKeySelector {
        name: secret.to_owned(),
        key: key.to_owned(),
        optional: None,
    };
    EnvVar {
        name: variable.to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            secret_key_ref: Some(selector),
            ..EnvVarSource::default()
        }),
    }
}

/// A volume with the keys of a Secret, readable by the pod's user alone.
#[must_use]
pub fn secret_volume(name: &str, secret: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(secret.to_owned()),
            default_mode: Some(PRIVATE),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// A volume with the keys of a ConfigMap; `mode` of the files, if not the usual one.
#[must_use]
pub fn config_map_volume(name: &str, config_map: &str, mode: Option<i32>) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: config_map.to_owned(),
            default_mode: mode,
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// Where a volume appears in a container.
#[must_use]
pub fn mount(volume: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: volume.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// What an operator's user wants of the pods, put over what the operator wants. Where both say
/// something, the operator wins. `main` is the container that gets the environment.
pub fn overlay(template: &mut PodTemplateSpec, operand: &Operand, main: &str) {
    let meta = template.metadata.get_or_insert_default();
    beneath(&mut meta.labels, &operand.labels);
    beneath(&mut meta.annotations, &operand.annotations);
    let spec = template.spec.get_or_insert_with(PodSpec::default);
    place(spec, operand);
    for container in spec
        .containers
        .iter_mut()
        .filter(|container| container.name == main)
    {
        add_env(container, &operand.env);
    }
}

/// What decides whether a pod can run at all: where, and by whose leave its images are pulled. It
/// is for every pod of a resource, those of a database too.
pub fn place(spec: &mut PodSpec, operand: &Operand) {
    spec.node_selector = Some(operand.node_selector.clone()).filter(|map| !map.is_empty());
    spec.tolerations = Some(operand.tolerations.clone()).filter(|list| !list.is_empty());
    spec.affinity.clone_from(&operand.affinity);
    spec.image_pull_secrets = Some(operand.image_pull_secrets.clone()).filter(|l| !l.is_empty());
}

fn add_env(container: &mut Container, more: &[EnvVar]) {
    let env = container.env.get_or_insert_default();
    let mut taken: BTreeSet<String> = env.iter().map(|variable| variable.name.clone()).collect();
    for variable in more {
        if taken.insert(variable.name.clone()) {
            env.push(variable.clone());
        }
    }
    if env.is_empty() {
        container.env = None;
    }
}

fn beneath(ours: &mut Option<BTreeMap<String, String>>, theirs: &Pairs) {
    if !theirs.is_empty() {
        let ours = ours.get_or_insert_default();
        for (key, value) in theirs {
            ours.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
}

/// How many pods a voluntary disruption leaves.
#[must_use]
pub fn disruption_budget(
    metadata: ObjectMeta,
    selector: Pairs,
    budget: &DisruptionBudget,
) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata,
        spec: Some(PodDisruptionBudgetSpec {
            min_available: budget.min_available.clone(),
            max_unavailable: budget.max_unavailable.clone(),
            selector: Some(matching(selector)),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

/// A selector of these labels.
#[must_use]
pub fn matching(labels: Pairs) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::EnvVar;

    use super::*;
    use crate::meta::pairs;

    #[test]
    fn the_operator_wins_over_the_operand() {
        let mut template = PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(pairs([("app", "a")])),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                containers: vec![
                    Container {
                        name: "main".into(),
                        env: Some(vec![literal("A", "ours")]),
                        ..Container::default()
                    },
                    Container {
                        name: "side".into(),
                        ..Container::default()
                    },
                ],
                ..PodSpec::default()
            }),
        };
        let variable = |name: &str| EnvVar {
            name: name.into(),
            value: Some("theirs".into()),
            ..EnvVar::default()
        };
        let operand = Operand {
            labels: pairs([("app", "b"), ("team", "t")]),
            env: vec![variable("A"), variable("B"), variable("B")],
            ..Operand::default()
        };
        overlay(&mut template, &operand, "main");
        let spec = template.spec.unwrap();
        assert_eq!(
            template.metadata.unwrap().labels.unwrap(),
            pairs([("app", "a"), ("team", "t")])
        );
        assert_eq!(
            spec.containers[0].env.clone().unwrap(),
            vec![literal("A", "ours"), variable("B")]
        );
        assert_eq!(spec.containers[1].env, None);
    }

    #[test]
    fn only_what_moves_is_always_pulled() {
        for (image, policy) in [
            ("server", "Always"),
            ("quay.io/org/server:latest", "Always"),
            ("registry.test:5000/server", "Always"),
            ("server:latest@sha256:0123", "Always"),
            ("registry.test:5000/server:v1", "IfNotPresent"),
            ("server@sha256:0123", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }

    #[test]
    fn the_kubelet_expands_nothing_in_a_literal() {
        assert_eq!(literal("A", "$(PASSWORD)").value.unwrap(), "$$(PASSWORD)");
    }
}
