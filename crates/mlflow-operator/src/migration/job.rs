//! The Jobs, made of the server's rendered Deployment: same image, same environment, same place.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::{
    Job, JobSpec, PodFailurePolicy, PodFailurePolicyOnExitCodesRequirement,
    PodFailurePolicyOnPodConditionsPattern, PodFailurePolicyRule,
};
use k8s_openapi::api::core::v1::{
    Container, EnvVar, PodSpec, PodTemplateSpec, ResourceRequirements, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use resources::meta::{Pairs, annotated, namespaced, pairs};
use resources::workload::{literal, resources};

use super::failure::TERMINAL;
use super::names::{COMPONENT, CONTAINER, FORCED_BY, Role, labels};

/// What migrates, and looks beforehand. Its exit codes are those of [`super::failure`].
pub const SCRIPT: &str = include_str!("migrate.py");

/// Seconds that a finished Job stays where the resource does not say.
pub const TTL: i32 = 86_400;
/// How often a Job tries by itself to migrate: a node may go, a database may start.
const TRIES: i32 = 3;
/// Seconds after which a migration is ended and has failed, where the resource does not say. The server
/// is down meanwhile. A large database takes an hour; what takes longer than this waits for a lock, or
/// for a pod that never starts, and somebody should be told.
pub const DEADLINE: i64 = 6 * 3600;
/// The same for a look beforehand, which reads two revisions while the server runs.
const LOOK: i64 = 1800;

/// Container of the server.
const SERVER: &str = "mlflow";
/// Container that writes the file of authorities to trust.
const AUTHORITIES: &str = "combine-ca-bundles";
/// Volumes that the script needs: temporary files, and authorities.
const VOLUMES: [&str; 2] = ["tmp", "combined-ca-bundle"];
/// The volume that files of SQLite are on.
const STORAGE: &str = "mlflow-storage";
/// Variable with the URI of a replica, which nobody may migrate by.
const REPLICA: &str = "MLFLOW_READ_REPLICA_BACKEND_STORE_URI";
/// Variables with the URIs of what is migrated.
const STORES: [&str; 2] = ["MLFLOW_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI"];
/// Labels by which the server's Deployment and its wide NetworkPolicy find their pods.
const SERVER_LABELS: [&str; 2] = ["app", "app.kubernetes.io/instance"];

/// The template of the chart with the shell that finds MLflow's Python.
const FINDER: &str = include_str!("../../../../charts/mlflow/templates/_python.tpl");

/// A shell that finds MLflow's Python and calls it with its arguments: what the chart's jobs begin
/// with, too.
static PYTHON: LazyLock<&str> = LazyLock::new(|| {
    let body = FINDER.split_once("-}}\n");
    let body = body.and_then(|(_, rest)| rest.split_once("\n{{-"));
    body.map(|(shell, _)| shell).unwrap_or_default()
});

/// What a Job is made for.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// Name of the Job.
    pub name: &'a str,
    /// What it does.
    pub role: Role,
    /// Name of the resource.
    pub instance: &'a str,
    /// The resource as owner of the Job.
    pub owner: Option<&'a OwnerReference>,
    /// The version that the image must have.
    pub version: &'a str,
    /// The request for which it is made.
    pub forced_by: Option<&'a str>,
    /// Seconds that it stays when it has finished.
    pub ttl: Option<i32>,
    /// Seconds after which a migration is ended.
    pub deadline: Option<i64>,
}

/// The rendered Deployment is not one that a Job can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the chart's Deployment has no container {SERVER:?} to migrate with")]
pub struct NoServer;

/// The Job for `order`.
pub fn job(deployment: &Deployment, order: &Order<'_>) -> Result<Job, NoServer> {
    let template = deployment.spec.as_ref().map(|spec| &spec.template);
    let template = template.ok_or(NoServer)?;
    let spec = template.spec.as_ref().ok_or(NoServer)?;
    let namespace = deployment.metadata.namespace.as_deref();
    let meta = template.metadata.as_ref();
    let given = meta.and_then(|meta| meta.labels.clone());
    let labels = labelled(given.unwrap_or_default(), order);
    let namespace = namespace.unwrap_or_default();
    let meta = namespaced(order.name, namespace, labels, order.owner);
    let forced = order.forced_by.map(|value| (FORCED_BY, value));
    Ok(Job {
        metadata: annotated(meta, pairs(forced)),
        spec: Some(JobSpec {
            // A failed look is judged at once; nothing waits for it but the migration.
            backoff_limit: Some(match order.role {
                Role::Migrate => TRIES,
                Role::Check => 0,
            }),
            active_deadline_seconds: Some(match order.role {
                Role::Migrate => order.deadline.unwrap_or(DEADLINE),
                Role::Check => LOOK,
            }),
            pod_failure_policy: Some(failure_policy()),
            ttl_seconds_after_finished: Some(order.ttl.unwrap_or(TTL)),
            template: pod(template, spec, order)?,
            ..JobSpec::default()
        }),
        status: None,
    })
}

/// An error that would come again is not tried again, and a pod that lost its node is no error.
fn failure_policy() -> PodFailurePolicy {
    PodFailurePolicy {
        rules: vec![
            PodFailurePolicyRule {
                action: "FailJob".into(),
                on_exit_codes: Some(PodFailurePolicyOnExitCodesRequirement {
                    container_name: Some(CONTAINER.into()),
                    operator: "In".into(),
                    values: TERMINAL.collect(),
                }),
                on_pod_conditions: None,
            },
            PodFailurePolicyRule {
                action: "Ignore".into(),
                on_exit_codes: None,
                on_pod_conditions: Some(vec![PodFailurePolicyOnPodConditionsPattern {
                    status: "True".into(),
                    type_: "DisruptionTarget".into(),
                }]),
            },
        ],
    }
}

fn pod(
    template: &PodTemplateSpec,
    spec: &PodSpec,
    order: &Order<'_>,
) -> Result<PodTemplateSpec, NoServer> {
    let server = spec.containers.iter().find(|c| c.name == SERVER);
    let server = server.ok_or(NoServer)?;
    let container = container(server, order);
    let mut init = spec.init_containers.clone().unwrap_or_default();
    init.retain(|container| container.name == AUTHORITIES);
    let used: BTreeSet<&str> = init
        .iter()
        .chain([&container])
        .flat_map(|container| container.volume_mounts.iter().flatten())
        .map(|mount| mount.name.as_str())
        .collect();
    let mut volumes = spec.volumes.clone().unwrap_or_default();
    volumes.retain(|volume| used.contains(volume.name.as_str()));
    let mut metadata = template.metadata.clone().unwrap_or_default();
    metadata.labels = Some(labelled(metadata.labels.unwrap_or_default(), order));
    metadata.annotations = None;
    Ok(PodTemplateSpec {
        metadata: Some(metadata),
        spec: Some(PodSpec {
            containers: vec![container],
            init_containers: Some(init).filter(|all| !all.is_empty()),
            volumes: Some(volumes).filter(|all| !all.is_empty()),
            restart_policy: Some("Never".into()),
            // The script asks nothing of the API server.
            automount_service_account_token: Some(false),
            resource_claims: None,
            topology_spread_constraints: None,
            ..spec.clone()
        }),
    })
}

/// Labels that a user gives pods, and those of a migration: of the Job, and of its pods.
fn labelled(mut all: Pairs, order: &Order<'_>) -> Pairs {
    all.retain(|key, _| !SERVER_LABELS.contains(&key.as_str()) && key != COMPONENT.0);
    all.extend(labels(order.instance, order.role));
    all
}

fn container(server: &Container, order: &Order<'_>) -> Container {
    let is_check = order.role == Role::Check;
    let mut env = server.env.clone().unwrap_or_default();
    let storage = !is_check && is_on_storage(&env);
    env.retain(|variable| variable.name != REPLICA);
    env.push(literal(REPLICA, ""));
    env.push(literal("SUPPORTED_MLFLOW_VERSION", order.version));
    let needed = |mount: &&VolumeMount| {
        VOLUMES.contains(&mount.name.as_str()) || storage && mount.name == STORAGE
    };
    let mounts = server.volume_mounts.iter().flatten().filter(needed);
    Container {
        name: CONTAINER.into(),
        command: Some(["/bin/sh", "-ec"].map(str::to_owned).to_vec()),
        args: Some(
            [*PYTHON, CONTAINER, "-c", SCRIPT, order.role.argument()]
                .map(str::to_owned)
                .to_vec(),
        ),
        env: Some(env),
        volume_mounts: Some(mounts.cloned().collect()),
        resources: Some(if is_check {
            // It runs beside the server, whose requests may be all that the cluster has.
            resources(
                &[("cpu", "100m"), ("memory", "256Mi")],
                &[("cpu", "1"), ("memory", "1Gi")],
            )
        } else {
            ResourceRequirements {
                claims: None,
                ..server.resources.clone().unwrap_or_default()
            }
        }),
        ports: None,
        liveness_probe: None,
        readiness_probe: None,
        startup_probe: None,
        lifecycle: None,
        ..server.clone()
    }
}

/// Whether a database may be a file. What comes from a Secret may be one.
fn is_on_storage(env: &[EnvVar]) -> bool {
    env.iter()
        .filter(|variable| STORES.contains(&variable.name.as_str()))
        .any(|variable| match &variable.value {
            Some(uri) => uri.starts_with("sqlite"),
            None => true,
        })
}

#[cfg(test)]
mod tests;
