//! What the user is told. A pure function: with nothing changing it says the same.

use api::catalog::v1alpha1::{Catalog as Resource, CatalogStatus};
use conditions::{Reason, Status, Wanted, carry_over, ready, reason};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::ResourceExt;
use resources::kind::{DEPLOYMENT, ENDPOINT_SLICE, POD};
use runtime::component::{Attempt, Component, Failure, Note};
use runtime::inputs::Inputs;

use super::{Catalog, names};
use crate::registry::status::workload::{
    Availability, Live, Progress, STARTING, Workload, workload,
};
use crate::registry::status::{AVAILABLE, PAUSED, RIGHTS_MISSING, SPEC_WARNINGS};

const UNAVAILABLE: Reason = reason!("DeploymentUnavailable");
/// Conditions of ours. Others belong to somebody else.
const KNOWN: [&str; 5] = [
    "Ready",
    "Available",
    "SpecWarnings",
    "Paused",
    "RightsMissing",
];

/// The status of `resource` after `attempt`.
pub fn status<I: Inputs>(
    resource: &Resource,
    attempt: &Attempt<'_, Catalog>,
    inputs: &I,
) -> CatalogStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation.unwrap_or_default();
    if attempt.paused {
        let annotation = Catalog::IDENTITY.pause_annotation;
        let message =
            format!("annotation {annotation}: paused stops this catalog; remove it to go on");
        let wanted = Wanted::new(PAUSED, Status::True, reason!("Paused"), message);
        let wanted = [wanted.observed(generation)];
        return CatalogStatus {
            conditions: carry_over(&previous.conditions, &wanted, attempt.now, |_| true),
            ..previous
        };
    }
    let available = match unplanned(attempt)
        .or_else(|| unwritten(attempt))
        .or_else(|| down(resource, attempt, &previous, inputs))
    {
        Some((reason, message)) => Wanted::new(AVAILABLE, Status::False, reason, message),
        None => Wanted::new(
            AVAILABLE,
            Status::True,
            reason!("DeploymentAvailable"),
            "Deployment is available",
        ),
    };
    let ready = ready(&[&available], generation);
    let mut wanted = vec![ready, available];
    wanted.extend(warnings(attempt));
    wanted.extend(rights(attempt));
    for condition in &mut wanted {
        condition.observed_generation = Some(generation);
    }
    CatalogStatus {
        conditions: carry_over(&previous.conditions, &wanted, attempt.now, |type_| {
            !KNOWN.contains(&type_)
        }),
        observed_generation: Some(generation),
    }
}

type Bad = (Reason, String);

/// There is no plan.
fn unplanned(attempt: &Attempt<'_, Catalog>) -> Option<Bad> {
    attempt.failure.map(|failure| {
        let reason = Reason::parse(failure.reason()).unwrap_or(UNAVAILABLE);
        (reason, failure.to_string())
    })
}

/// The plan is not what is in the cluster.
fn unwritten(attempt: &Attempt<'_, Catalog>) -> Option<Bad> {
    let outcome = attempt.outcome;
    if let Some(first) = outcome.failed.first() {
        let more = match outcome.failed.len() {
            1 => String::new(),
            all => format!(" ({} more)", all - 1),
        };
        let message = format!(
            "{} could not be written: {}{more}",
            first.target, first.message
        );
        return Some((UNAVAILABLE, message));
    }
    if outcome.foreign.is_empty() {
        return None;
    }
    let all: Vec<_> = outcome.foreign.iter().map(ToString::to_string).collect();
    let message = format!(
        "{} belongs to somebody else; delete it, or move the catalog to another namespace",
        all.join(", ")
    );
    Some((reason!("ObjectConflict"), message))
}

/// The workload does not do what it should.
fn down<I: Inputs>(
    resource: &Resource,
    attempt: &Attempt<'_, Catalog>,
    previous: &CatalogStatus,
    inputs: &I,
) -> Option<Bad> {
    let live = live(resource, attempt, previous, inputs);
    let Workload {
        availability,
        progress,
        ..
    } = workload(&live);
    let message = match availability {
        Availability::Up if matches!(progress, Progress::Settled) => return None,
        Availability::Up | Availability::Undecided | Availability::Starting => STARTING.to_owned(),
        Availability::Down(message) => message,
    };
    let misconfigured = live
        .pods
        .iter()
        .chain(&live.postgres_pods)
        .find_map(waiting);
    Some(match misconfigured {
        Some(message) => (reason!("ConfigurationError"), message),
        None => (UNAVAILABLE, message),
    })
}

fn live<I: Inputs>(
    resource: &Resource,
    attempt: &Attempt<'_, Catalog>,
    previous: &CatalogStatus,
    inputs: &I,
) -> Live {
    let namespace = resource.namespace();
    let named = |pod: &Pod, name: &str| {
        let label = pod.labels().get("app.kubernetes.io/name");
        label.is_some_and(|label| label == name)
    };
    let (mut pods, mut postgres_pods) = (Vec::new(), Vec::new());
    for pod in inputs.children_as::<Pod>(POD) {
        if named(&pod, names::CATALOG) {
            pods.push(pod);
        } else if named(&pod, names::POSTGRES) {
            postgres_pods.push(pod);
        }
    }
    let may_watch = !attempt
        .missing_rules
        .iter()
        .any(|rule| rule.ends_with(&format!(" {}", ENDPOINT_SLICE.resource())));
    let slices = may_watch.then(|| {
        let mut slices = inputs.children_as::<EndpointSlice>(ENDPOINT_SLICE);
        slices.retain(|slice| {
            let service = slice.labels().get("kubernetes.io/service-name");
            service.is_some_and(|service| service == names::CATALOG)
        });
        slices
    });
    let told = previous
        .conditions
        .iter()
        .find(|condition| condition.type_ == AVAILABLE.as_str());
    let deployment = |name| inputs.child_as::<Deployment>(DEPLOYMENT, namespace.as_deref(), name);
    Live {
        deployment: deployment(names::CATALOG),
        pods,
        postgres_pods,
        postgres: deployment(names::POSTGRES),
        slices,
        changed: false,
        port: None,
        was_starting: told.is_none_or(|told| told.status == "False" && told.message == STARTING),
    }
}

/// A container that waits for something that does not come by itself.
fn waiting(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let all = status
        .init_container_statuses
        .iter()
        .flatten()
        .chain(status.container_statuses.iter().flatten());
    all.into_iter().find_map(|container: &ContainerStatus| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        if matches!(reason, "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let message = waiting.message.as_deref().unwrap_or(reason);
        Some(format!("container {} waiting: {message}", container.name))
    })
}

fn warnings(attempt: &Attempt<'_, Catalog>) -> Option<Wanted> {
    let ignored = &attempt.observation?.ignored;
    (!ignored.is_empty()).then(|| {
        Wanted::new(
            SPEC_WARNINGS,
            Status::True,
            reason!("SourcesIgnored"),
            ignored.join("; "),
        )
    })
}

fn rights(attempt: &Attempt<'_, Catalog>) -> Option<Wanted> {
    let rules = attempt.missing_rules;
    let message = format!("the operator's service account lacks: {}", rules.join(", "));
    (!rules.is_empty()).then(|| {
        Wanted::new(
            RIGHTS_MISSING,
            Status::True,
            reason!("MissingRights"),
            message,
        )
    })
}

/// Warnings about `attempt`.
#[must_use]
pub fn events(attempt: &Attempt<'_, Catalog>) -> Vec<Note> {
    let bad = unplanned(attempt).or_else(|| unwritten(attempt));
    let reason = attempt.failure.map_or("WriteFailed", Failure::reason);
    bad.map(|(_, message)| Note {
        warning: true,
        reason,
        action: "Reconcile",
        message,
    })
    .into_iter()
    .collect()
}
