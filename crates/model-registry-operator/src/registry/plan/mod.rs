//! The objects that a registry becomes. Pure: the same input gives the same objects.

mod access;
mod database;
mod deployment;
mod istio;
mod metadata;
pub(crate) mod metadata_store;
pub(crate) mod oauth;
mod postgres;
mod proxy;
pub(crate) mod routes;
mod service;

use resources::{Plan, PlanError};

use super::validate::Validated;

pub use deployment::SERVER;
pub use metadata::pod_labels;

/// The objects that should exist, identities first and workloads last.
pub fn plan(registry: &Validated) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    access::identities(registry, &mut plan)?;
    postgres::data(registry, &mut plan)?;
    database::bundle(registry, &mut plan)?;
    proxy::configuration(registry, &mut plan)?;
    // Policies before the pods that they protect.
    proxy::policies(registry, &mut plan)?;
    istio::guard(registry, &mut plan)?;
    postgres::workload(registry, &mut plan)?;
    service::service(registry, &mut plan)?;
    routes::routes(registry, &mut plan)?;
    istio::mesh(registry, &mut plan)?;
    deployment::deployment(registry, &mut plan)?;
    Ok(plan)
}
