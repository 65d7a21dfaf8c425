//! What is seen of a migration, from the server's Deployment, Jobs and pods.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;
use runtime::workload::pods::{container, problem};

use super::failure::{self, condition, job_of};
use super::names::{self, CONTAINER, FORCED_BY, INSTANCE, JOB, Role};
use super::state::{JobState, Observed, Other, SeenJob, Server, Told};
use super::told::MIGRATION;

/// Whose migration it is.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name of the resource.
    pub instance: &'a str,
    /// Name of the server's Deployment.
    pub deployment: &'a str,
    /// Generation of the resource.
    pub generation: i64,
    /// The version that this operator migrates to, without a `v`.
    pub supported: &'a str,
    /// `status.version`.
    pub recorded: Option<&'a str>,
    /// `spec.migration.mode` is `Always`.
    pub always: bool,
    /// Value of the annotation that asks for a migration.
    pub force: Option<&'a str>,
    /// `status.conditions`.
    pub conditions: &'a [Condition],
    /// Pods that the resource asks for.
    pub replicas: i32,
}

/// What there is in the cluster.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// The server's Deployment: spec and status.
    pub deployment: Option<Deployment>,
    /// Jobs with label [`JOB`]: annotations and status.
    pub jobs: Vec<Job>,
    /// Pods of the server and of the Jobs: status.
    pub pods: Vec<Pod>,
}

/// What is seen now.
#[must_use]
pub fn observed(subject: &Subject<'_>, live: &Live, now: Timestamp) -> Observed {
    let Subject {
        instance,
        deployment,
        generation,
        supported,
        ..
    } = *subject;
    let labelled = |labels: &std::collections::BTreeMap<String, String>, role: Role| {
        labels.get(INSTANCE).map(String::as_str) == Some(instance)
            && labels.get(JOB).map(String::as_str) == Some(role.label())
    };
    let jobs = |role| {
        let jobs = live.jobs.iter();
        jobs.filter(move |job| labelled(job.labels(), role))
    };
    let name = |role| names::job(deployment, role, supported, generation);
    let own = |role| {
        let name = name(role);
        let job = jobs(role).find(|job| job.name_any() == name);
        job.map(|job| seen(job, live, supported, now))
    };
    let unfinished = |role| {
        let name = name(role);
        jobs(role).filter(move |job| job.name_any() != name && !has_ended(job))
    };
    let mut others: Vec<Other> = unfinished(Role::Migrate)
        .map(|job| Other {
            name: job.name_any(),
            unstarted: job.metadata.deletion_timestamp.is_none() && !has_run(job, &live.pods),
        })
        .collect();
    let strays = live.pods.iter().filter(|pod| {
        let job = jobs(Role::Migrate).find(|job| job_of(pod) == Some(job.name_any().as_str()));
        labelled(pod.labels(), Role::Migrate)
            && !is_over(pod)
            // Of a Job that did not fail, the pods end before it does.
            && job.is_none_or(|job| condition(job, "Failed").is_some())
    });
    others.extend(strays.map(|pod| Other {
        name: format!("pod {}", pod.name_any()),
        unstarted: false,
    }));
    let stale_checks = unfinished(Role::Check)
        .filter(|job| job.metadata.deletion_timestamp.is_none())
        .map(ResourceExt::name_any);
    Observed {
        deployment: deployment.to_owned(),
        generation,
        supported: supported.to_owned(),
        recorded: subject.recorded.map(str::to_owned),
        always: subject.always,
        force: subject.force.map(str::to_owned),
        told: told(subject.conditions),
        server: server(subject, live),
        job: own(Role::Migrate),
        check: own(Role::Check),
        others,
        stale_checks: stale_checks.collect(),
        now,
    }
}

fn told(conditions: &[Condition]) -> Option<Told> {
    let told = conditions.iter().find(|c| c.type_ == MIGRATION.as_str())?;
    Some(Told {
        holds: told.status == "True",
        reason: told.reason.clone(),
        message: told.message.clone(),
        generation: told.observed_generation,
    })
}

fn server(subject: &Subject<'_>, live: &Live) -> Server {
    let has = |pod: &&Pod| pod.labels().get("app").map(String::as_str) == Some(subject.deployment);
    let pods = live.pods.iter().filter(has).filter(|pod| !is_over(pod));
    let pods = pods.count();
    let Some(deployment) = &live.deployment else {
        return Server {
            pods,
            ..Server::default()
        };
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let wanted = wanted.unwrap_or(1);
    let status = deployment.status.clone().unwrap_or_default();
    let count = |number: Option<i32>| number.unwrap_or_default();
    let seen = status.observed_generation.unwrap_or_default();
    let unsettled = seen < deployment.metadata.generation.unwrap_or_default();
    let (all, updated) = (count(status.replicas), count(status.updated_replicas));
    Server {
        up: wanted > 0,
        // Those that are on their way out are in no number of the Deployment, and use the database.
        pods: pods.max(usize::try_from(all).unwrap_or_default()),
        unsettled,
        complete: !unsettled
            && wanted == subject.replicas
            && wanted > 0
            && updated >= wanted
            && all <= updated
            && count(status.ready_replicas) >= wanted,
    }
}

fn seen(job: &Job, live: &Live, version: &str, now: Timestamp) -> SeenJob {
    let state = if job.metadata.deletion_timestamp.is_some() {
        JobState::Deleting
    } else if condition(job, "Complete").is_some() {
        JobState::Succeeded
    } else if let Some(failure) = failure::of(job, &live.pods, version, now) {
        JobState::Failed(failure)
    } else {
        let pods: Vec<Pod> = of(job, &live.pods).cloned().collect();
        JobState::Running(problem(&pods))
    };
    SeenJob {
        name: job.name_any(),
        forced_by: job.annotations().get(FORCED_BY).cloned(),
        state,
    }
}

fn has_ended(job: &Job) -> bool {
    ["Complete", "Failed"]
        .iter()
        .any(|type_| condition(job, type_).is_some())
}

/// Pods of a Job.
fn of<'a>(job: &Job, pods: &'a [Pod]) -> impl Iterator<Item = &'a Pod> {
    let name = job.name_any();
    pods.iter()
        .filter(move |pod| job_of(pod) == Some(name.as_str()))
}

/// Whether the script of a Job has begun, in any pod of it.
fn has_run(job: &Job, pods: &[Pod]) -> bool {
    let begun = |pod: &Pod| {
        container(pod, CONTAINER)
            .and_then(|status| status.state.as_ref())
            .is_some_and(|state| state.running.is_some() || state.terminated.is_some())
    };
    of(job, pods).any(begun)
        || job.status.as_ref().is_some_and(|status| {
            let ended = [status.failed, status.succeeded];
            ended.into_iter().flatten().any(|number| number > 0)
        })
}

/// Whether all containers of the pod have ended.
fn is_over(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let phase = status.and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

#[cfg(test)]
mod tests;
