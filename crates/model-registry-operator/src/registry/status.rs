//! What the user is told.
//!
//! A pure function: with nothing changing it says the same, so that nothing is written. The words
//! of `Available`, `Progressing` and `KubeRBACProxyAvailable` are those of the Go operator, which
//! dashboards show; `Ready` sums up for those who know no more than that.

mod addresses;
mod events;
mod live;
pub(crate) mod pods;
mod proxy;
mod told;
pub(super) mod ways;
pub(crate) mod workload;

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistrySpec, ModelRegistryStatus};
use conditions::{ConditionType, READY, Status, Wanted, carry_over, condition_type, reason};
use kube::ResourceExt;
use resources::kind::ROUTE;
use resources::merge;
use runtime::component::{Attempt, Component};
use runtime::inputs::Inputs;

use super::validate::validate;
use super::{Registry, defaults};
use told::View;

pub use events::{events, farewell};
pub use ways::{CERTIFICATE_READY, EXPOSED};
pub use workload::STARTING;

/// Whether the registry can be used.
pub const AVAILABLE: ConditionType = condition_type!("Available");
/// Whether the Deployment is on its way to what is asked for.
pub const PROGRESSING: ConditionType = condition_type!("Progressing");
/// Whether the proxy can be reached. Only there with a proxy.
pub const PROXY_AVAILABLE: ConditionType = condition_type!("KubeRBACProxyAvailable");
/// Whether everything is there that the database's configuration refers to.
pub const DATABASE_CONFIG_VALID: ConditionType = condition_type!("DatabaseConfigValid");
/// True while something in the spec means nothing. Only there then.
pub const SPEC_WARNINGS: ConditionType = condition_type!("SpecWarnings");
/// True while an annotation stops the resource. Only there then.
pub const PAUSED: ConditionType = condition_type!("Paused");
/// True while the operator lacks rules that it asks for. Only there then.
pub const RIGHTS_MISSING: ConditionType = condition_type!("RightsMissing");

/// Conditions of ours and of the Go operator, of any time. Others belong to somebody else.
const KNOWN: [&str; 14] = [
    AVAILABLE.as_str(),
    PROGRESSING.as_str(),
    PROXY_AVAILABLE.as_str(),
    DATABASE_CONFIG_VALID.as_str(),
    SPEC_WARNINGS.as_str(),
    PAUSED.as_str(),
    RIGHTS_MISSING.as_str(),
    EXPOSED.as_str(),
    CERTIFICATE_READY.as_str(),
    READY.as_str(),
    "Degraded",
    "IstioAvailable",
    "GatewayAvailable",
    "OAuthProxyAvailable",
];

/// The status of `resource` after `attempt`.
pub fn status<I: Inputs>(
    registry: &Registry,
    resource: &ModelRegistry,
    attempt: &Attempt<'_, Registry>,
    inputs: &I,
) -> ModelRegistryStatus {
    let previous = resource.status.clone().unwrap_or_default();
    let generation = resource.metadata.generation.unwrap_or_default();
    if attempt.paused {
        return paused(previous, generation, attempt);
    }
    let validated = attempt
        .observation
        .and_then(|seen| validate(resource, seen, &registry.config).ok());
    let view = View {
        resource,
        attempt,
        validated: validated.as_ref(),
        previous: &previous,
    };
    let mut wanted = view.conditions(inputs);
    for condition in &mut wanted {
        condition.observed_generation.get_or_insert(generation);
    }
    let conditions = carry_over(&previous.conditions, &wanted, attempt.now, |type_| {
        !KNOWN.contains(&type_)
    });

    // What an earlier spec became may still run: its addresses stay until there are new ones.
    let (hosts, url, spec_defaults) = match (attempt.observation, view.validated) {
        (Some(seen), Some(validated)) => {
            let effective =
                defaults::effective(&resource.spec, &resource.name_any(), seen, &registry.config);
            (
                addresses::hosts(validated, &effective),
                Some(addresses::url(validated, &effective, |name| {
                    route(inputs, resource, name)
                })),
                spec_defaults(&resource.spec, effective),
            )
        }
        _ => (
            previous.hosts.clone(),
            previous.url.clone(),
            previous.spec_defaults.clone(),
        ),
    };
    ModelRegistryStatus {
        hosts_str: (!hosts.is_empty()).then(|| hosts.join(",")),
        hosts,
        spec_defaults,
        conditions,
        observed_generation: Some(generation),
        url,
    }
}

/// Everything stays as it was told, and speaks of the generation that it was told of.
fn paused(
    previous: ModelRegistryStatus,
    generation: i64,
    attempt: &Attempt<'_, Registry>,
) -> ModelRegistryStatus {
    let annotation = Registry::IDENTITY.pause_annotation;
    let message =
        format!("annotation {annotation}: paused stops this registry; remove it to go on");
    let wanted = Wanted::new(PAUSED, Status::True, reason!("Paused"), message).observed(generation);
    let conditions = carry_over(&previous.conditions, &[wanted], attempt.now, |_| true);
    ModelRegistryStatus {
        conditions,
        ..previous
    }
}

/// The merge patch that turns the stored spec into the one that is used, as compact JSON.
fn spec_defaults(stored: &ModelRegistrySpec, mut effective: ModelRegistrySpec) -> Option<String> {
    if let Some(postgres) = effective
        .postgres
        .as_mut()
        .filter(|postgres| postgres.is_generated())
    {
        // A generated Postgres is told as the address that it has, as the Go operator does.
        postgres.generate_deployment = None;
        postgres.image = stored
            .postgres
            .as_ref()
            .and_then(|stored| stored.image.clone());
    }
    let was_generated = stored
        .postgres
        .as_ref()
        .is_some_and(api::modelregistry::v1beta1::Postgres::is_generated);
    let stored = serde_json::to_value(stored).ok()?;
    let mut effective = serde_json::to_value(effective).ok()?;
    if was_generated
        && let Some(postgres) = effective
            .get_mut("postgres")
            .and_then(|p| p.as_object_mut())
    {
        postgres.remove("sslMode");
    }
    merge::diff(&stored, &effective).map(|patch| patch.to_string())
}

fn route<I: Inputs>(inputs: &I, resource: &ModelRegistry, name: &str) -> Option<serde_json::Value> {
    inputs.child(ROUTE, resource.namespace().as_deref(), name)
}

#[cfg(test)]
mod tests;
