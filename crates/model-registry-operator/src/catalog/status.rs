//! What the user is told. A pure function: with nothing changing it says the same.

use api::catalog::v1alpha1::{Catalog as Resource, CatalogStatus};
use conditions::{Status, Wanted, carry_over, reason};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use runtime::component::{Attempt, Note};
use runtime::inputs::Inputs;
use runtime::told::{Bad, UNAVAILABLE};

use super::{Catalog, names};
use crate::registry::status::SPEC_WARNINGS;
use runtime::workload::{self, Live, pods};

/// Whose an object of a taken name is, and what to do.
const FOREIGN: &str = "somebody else; delete it, or move the catalog to another namespace";
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
    if let Some(conditions) = attempt.when_paused(&previous.conditions, generation, "catalog") {
        return CatalogStatus {
            conditions,
            ..previous
        };
    }
    let told = workload::told(&previous.conditions);
    let live = Live::of(
        attempt,
        inputs,
        resource.namespace().as_deref(),
        (names::CATALOG, Some(names::POSTGRES)),
        told,
    );
    let workload = workload::workload(&live);
    let bad = attempt
        .undone(|_, _| true, FOREIGN)
        .or_else(|| Some(down(&live, workload.down(told)?)));
    let available = workload.available(bad, told);
    let mut wanted = vec![workload.ready(&[&available]), available];
    wanted.extend(warnings(attempt));
    wanted.extend(attempt.rights_missing());
    for condition in &mut wanted {
        condition.observed_generation.get_or_insert(generation);
    }
    CatalogStatus {
        conditions: carry_over(&previous.conditions, &wanted, attempt.now, |type_| {
            !KNOWN.contains(&type_)
        }),
        observed_generation: Some(generation),
    }
}

/// The workload cannot be used. A pod says more of it than its Deployment.
fn down(live: &Live, message: &str) -> Bad {
    let misconfigured = live
        .pods
        .iter()
        .chain(&live.postgres_pods)
        .find_map(waiting);
    let (reason, message) = match misconfigured {
        Some(message) => (reason!("ConfigurationError"), message),
        None => (UNAVAILABLE, message.to_owned()),
    };
    Bad { reason, message }
}

/// A container that waits for something that does not come by itself.
fn waiting(pod: &Pod) -> Option<String> {
    pods::all_statuses(pod).find_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref()?;
        if pods::STARTING.contains(&reason) {
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

/// Warnings about `attempt`.
#[must_use]
pub fn events(attempt: &Attempt<'_, Catalog>) -> Vec<Note> {
    let bad = attempt.undone(|_, _| true, FOREIGN);
    attempt.warning(bad.map(|bad| bad.message), "WriteFailed")
}
