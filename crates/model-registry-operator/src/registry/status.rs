//! What the user is told.
//!
//! A pure function: with nothing changing it says the same, so that nothing is written. The words
//! of `Available`, `Progressing` and `KubeRBACProxyAvailable` are those of the Go operator, which
//! dashboards show; `Ready` sums up for those who know no more than that.

mod addresses;
mod events;
mod istio;
mod live;
mod proxy;
mod told;
pub(super) mod ways;

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistrySpec, ModelRegistryStatus};
use conditions::{ConditionType, READY, carry_over, condition_type};
use kube::ResourceExt;
use resources::kind::ROUTE;
use resources::merge;
use runtime::component::Attempt;
use runtime::inputs::Inputs;

use super::validate::validate;
use super::{Registry, defaults};
use told::View;

pub use events::{events, farewell};
pub use runtime::told::{PAUSED, RIGHTS_MISSING};
pub use runtime::ways::EXPOSED;
pub use runtime::workload::{AVAILABLE, STARTING};
pub use ways::CERTIFICATE_READY;

/// Whether the Deployment is on its way to what is asked for.
pub const PROGRESSING: ConditionType = condition_type!("Progressing");
/// Whether the proxy can be reached. Only there with a kube-rbac-proxy.
pub const PROXY_AVAILABLE: ConditionType = condition_type!("KubeRBACProxyAvailable");
/// Whether the proxy can be reached. Only there with an OAuth proxy.
pub const OAUTH_AVAILABLE: ConditionType = condition_type!("OAuthProxyAvailable");
/// Whether everything is there that the database's configuration refers to.
pub const DATABASE_CONFIG_VALID: ConditionType = condition_type!("DatabaseConfigValid");
/// True while something in the spec means nothing. Only there then.
pub const SPEC_WARNINGS: ConditionType = condition_type!("SpecWarnings");

/// Conditions of ours and of the Go operator, of any time. Others belong to somebody else.
const KNOWN: [&str; 14] = [
    AVAILABLE.as_str(),
    PROGRESSING.as_str(),
    PROXY_AVAILABLE.as_str(),
    OAUTH_AVAILABLE.as_str(),
    istio::ISTIO_AVAILABLE.as_str(),
    istio::GATEWAY_AVAILABLE.as_str(),
    DATABASE_CONFIG_VALID.as_str(),
    SPEC_WARNINGS.as_str(),
    PAUSED.as_str(),
    RIGHTS_MISSING.as_str(),
    EXPOSED.as_str(),
    CERTIFICATE_READY.as_str(),
    READY.as_str(),
    "Degraded",
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
    if let Some(conditions) = attempt.when_paused(&previous.conditions, generation, "registry") {
        // What was told speaks of the generation that it was told of.
        return ModelRegistryStatus {
            conditions,
            ..previous
        };
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
                spec_defaults(&resource.spec, defaults::told(effective)),
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
