//! The objects that a catalog becomes. Pure: the same resource and observation give the same.

mod access;
mod database;
mod metadata;
mod routes;
mod server;
mod sources;

use api::catalog::v1alpha1::{Catalog, CatalogSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::ResourceExt;
use resources::names::ObjectName;
use resources::{Plan, PlanError};

use super::config::Config;
use super::error::Error;
use super::names;
use super::observe::Observation;
use crate::registry::config::Gateway;

pub use metadata::MADE_BY_US;
pub use server::SERVER;

/// Where the catalog is behind a gateway.
pub(super) const PATH: &str = "/catalog";

/// Everything that a plan is made of.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) spec: &'a CatalogSpec,
    pub(super) namespace: &'a str,
    pub(super) owner: Option<&'a OwnerReference>,
    pub(super) seen: &'a Observation,
    pub(super) config: &'a Config,
}

impl<'a> View<'a> {
    /// Host of the Route. `None` where there is none, or where it could not be one.
    pub(super) fn host(self) -> Option<String> {
        let domain = self.seen.domain.as_ref()?;
        let host = format!("{}.{domain}", names::CATALOG);
        ObjectName::parse(&host).ok().map(|_| host)
    }

    /// The gateway, where there is one.
    pub(super) fn gateway(self) -> Option<&'a Gateway> {
        let gateway = self.config.shared.gateway.as_ref();
        gateway.filter(|_| self.seen.platform.http_routes)
    }
}

/// Refuses what the Catalog may not be, with the messages of the admission webhook.
pub fn validate(resource: &Catalog, config: &Config) -> Result<(), Error> {
    let (name, namespace) = (
        resource.name_any(),
        resource.namespace().unwrap_or_default(),
    );
    let mut problems = Vec::new();
    if name != names::RESOURCE {
        problems.push(format!(
            "metadata.name: Invalid value: {name:?}: catalog resource name must be 'catalog'"
        ));
    }
    if let Some(only) = &config.shared.registries_namespace
        && only.as_str() != namespace
    {
        problems.push(format!(
            "metadata.namespace: Invalid value: {namespace:?}: namespace must be {only}"
        ));
    }
    let message = match problems.as_slice() {
        [] => return Ok(()),
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    Err(Error::Invalid { name, message })
}

/// The objects that `resource` becomes.
pub fn plan(resource: &Catalog, seen: &Observation, config: &Config) -> Result<Plan, Error> {
    validate(resource, config)?;
    if let Some(namespace) = &seen.older {
        return Err(Error::NameConflict(namespace.clone()));
    }
    let namespace = resource.namespace().unwrap_or_default();
    let owner = resources::meta::owner(resource);
    let view = View {
        spec: &resource.spec,
        namespace: &namespace,
        owner: owner.as_ref(),
        seen,
        config,
    };
    Ok(objects(view)?)
}

fn objects(view: View<'_>) -> Result<Plan, PlanError> {
    let mut plan = Plan::default();
    access::access(view, &mut plan)?;
    sources::sources(view, &mut plan)?;
    database::database(view, &mut plan)?;
    server::server(view, &mut plan)?;
    routes::routes(view, &mut plan)?;
    Ok(plan)
}
