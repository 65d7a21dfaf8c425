//! What the user is told, in the form of the platform's modules. A pure function: with nothing
//! changing it says the same.

use api::aihub::v1alpha1::{AIHub as Resource, AIHubStatus};
use api::module::{ModuleCondition, Release};
use conditions::{
    ConditionType, READY, Reason, Status, Wanted, carry_over, condition_type, reason,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use runtime::component::{Attempt, Note};
use runtime::told::Bad;

use super::{Hub, names};
use crate::PROCESS;

const PROVISIONED: ConditionType = condition_type!("ProvisioningSucceeded");
const REGISTRY: ConditionType = condition_type!("ModelRegistryReady");
const CATALOG: ConditionType = condition_type!("CatalogReady");
const DEGRADED: ConditionType = condition_type!("Degraded");

const NO_GATEWAY: Reason = reason!("GatewayDomainUnavailable");

/// The status of `resource` after `attempt`.
#[must_use]
pub fn status(resource: &Resource, attempt: &Attempt<'_, Hub>) -> AIHubStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation.unwrap_or_default();
    let before: Vec<Condition> = previous
        .conditions
        .iter()
        .map(|condition| condition.to_condition(Time(attempt.now)))
        .collect();
    if let Some(conditions) = attempt.when_paused(&before, generation, "hub") {
        return AIHubStatus {
            conditions: modular(conditions),
            ..previous
        };
    }
    let trouble = trouble(attempt);
    let provisioned = match &trouble {
        None => Wanted::new(
            PROVISIONED,
            Status::True,
            reason!("AllResourcesApplied"),
            "",
        ),
        Some(message) => Wanted::new(
            PROVISIONED,
            Status::False,
            reason!("DeployFailed"),
            message.clone(),
        ),
    };
    let registry = child(attempt, &before, REGISTRY, names::REGISTRY_OPERATOR);
    let catalog = child(attempt, &before, CATALOG, names::CATALOG_OPERATOR);
    let ready = ready(attempt, &[&provisioned, &registry, &catalog]);
    let phase = if ready.status == Status::True {
        "Ready"
    } else {
        "Not Ready"
    };
    let mut wanted = vec![
        ready,
        provisioned,
        registry,
        catalog,
        degraded(resource, trouble.as_deref()),
    ];
    wanted.extend(attempt.rights_missing());
    for condition in &mut wanted {
        condition.observed_generation.get_or_insert(generation);
    }
    // All of them are ours: the list belongs to the hub's operator.
    let conditions = carry_over(&before, &wanted, attempt.now, |_| false);
    AIHubStatus {
        phase: Some(phase.to_owned()),
        observed_generation: Some(generation),
        conditions: modular(conditions),
        releases: releases(attempt),
    }
}

/// Why not everything is as planned.
fn trouble(attempt: &Attempt<'_, Hub>) -> Option<String> {
    let foreign = format!(
        "another installation of these operators; remove that, or label the object {}={} to hand \
         it over",
        names::PART_OF,
        names::HUB
    );
    let bad = attempt.undone(|_, _| true, &foreign);
    bad.map(|bad| bad.message)
}

/// Whether an operator works, the one of before included.
fn child(
    attempt: &Attempt<'_, Hub>,
    before: &[Condition],
    type_: ConditionType,
    name: &str,
) -> Wanted {
    let told = before.iter().find(|one| one.type_ == type_.as_str());
    let live = attempt.observation.and_then(|seen| seen.live.get(name));
    let message = match live.map(|live| &live.workload) {
        Some(workload) if workload.down(told).is_none() => {
            return Wanted {
                observed_generation: workload.told_of(told),
                ..Wanted::new(type_, Status::True, reason!("AllDeploymentsAvailable"), "")
            };
        }
        Some(_) => format!("child deployment {name} not yet Available"),
        None => format!("child deployment {name} not found"),
    };
    Wanted::new(
        type_,
        Status::False,
        reason!("ChildDeploymentNotReady"),
        message,
    )
}

/// Whether all is as the newest edit asks for: where older pods work, whoever waits for it waits on.
fn ready(attempt: &Attempt<'_, Hub>, parts: &[&Wanted]) -> Wanted {
    if let Some(worst) = parts.iter().find(|part| part.status != Status::True) {
        return Wanted::new(READY, worst.status, worst.reason, worst.message.clone());
    }
    let mut children = attempt
        .observation
        .iter()
        .flat_map(|seen| seen.live.values());
    match children.find_map(|live| live.workload.rolling()) {
        Some(Bad { reason, message }) => Wanted::new(READY, Status::False, reason, message),
        None => Wanted::new(READY, Status::True, reason!("AllDependentsHealthy"), ""),
    }
}

fn degraded(resource: &Resource, trouble: Option<&str>) -> Wanted {
    let gateway = resource.spec.gateway.as_ref();
    let domain = gateway.and_then(|gateway| gateway.domain.as_deref());
    match (trouble, domain.filter(|domain| !domain.is_empty())) {
        (Some(message), _) => Wanted::new(
            DEGRADED,
            Status::True,
            reason!("ProvisioningFailed"),
            message,
        ),
        (None, None) => Wanted::new(
            DEGRADED,
            Status::True,
            NO_GATEWAY,
            "spec.gateway.domain is not set: registries and the catalog have no way in through a \
             gateway",
        ),
        (None, Some(_)) => Wanted::new(DEGRADED, Status::False, reason!("NoDegradation"), ""),
    }
}

fn releases(attempt: &Attempt<'_, Hub>) -> Vec<Release> {
    let platform = attempt
        .observation
        .and_then(|seen| seen.platform_version.as_deref())
        .map(Release::platform);
    let own = Release::of(PROCESS.name, PROCESS.version);
    std::iter::once(own).chain(platform).collect()
}

/// As the platform's modules write conditions.
fn modular(conditions: Vec<Condition>) -> Vec<ModuleCondition> {
    let one = |condition: Condition| {
        let harmless = condition.reason == NO_GATEWAY.as_str()
            || (condition.type_ == DEGRADED.as_str() && condition.status == "False");
        ModuleCondition::told(condition, harmless)
    };
    conditions.into_iter().map(one).collect()
}

/// Warnings about `attempt`.
#[must_use]
pub fn events(attempt: &Attempt<'_, Hub>) -> Vec<Note> {
    attempt.warning(trouble(attempt), "DeployFailed")
}
