//! The objects that a service becomes. Pure: the same input gives the same objects.

mod certificates;
mod claim;
mod deployment;
mod environment;
mod identity;
mod metadata;
mod monitor;
mod proxy;
mod routes;
mod services;

use resources::{Plan, PlanError};

use super::validated::Validated;

pub use deployment::SERVER;

/// The objects that should exist, identities first and workloads last.
pub fn plan(service: &Validated) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    identity::identity(service, &mut plan)?;
    certificates::certificates(service, &mut plan)?;
    claim::claim(service, &mut plan)?;
    proxy::configuration(service, &mut plan)?;
    services::services(service, &mut plan)?;
    monitor::monitor(service, &mut plan)?;
    routes::routes(service, &mut plan)?;
    deployment::deployment(service, &mut plan)?;
    let own = |name: &str| metadata::called(service, name);
    service.wiring.plan(own, &mut plan)?;
    plan.free_owners();
    Ok(plan)
}
