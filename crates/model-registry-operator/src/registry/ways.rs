//! Ways in from outside the cluster that the resource asks for.

use api::modelregistry::v1beta1::{ModelRegistrySpec, ServiceRoute};
use resources::exposure::{self, Exposure};

use super::names::RegistryName;
use super::references::filled;
use super::validate::{GatewayRoute, Problem};

/// Reads `spec.expose`, and gives what is wrong with it.
pub(super) fn read(spec: &ModelRegistrySpec) -> (Option<Exposure>, Vec<Problem>) {
    let mut problems = Vec::new();
    let ways = spec
        .expose
        .as_ref()
        .and_then(|asked| exposure::read(asked, "spec.expose", &mut problems));
    let problems = problems.into_iter();
    let problems = problems.map(|(field, source)| Problem::Reference { field, source });
    (ways, problems.collect())
}

/// Only where somebody can get to it: by the ways that the resource asks for, through the gateway,
/// or by a host name that is known.
pub(super) fn external_address(
    name: &RegistryName,
    spec: &ModelRegistrySpec,
    gateway: Option<&GatewayRoute>,
    expose: Option<&Exposure>,
) -> Option<String> {
    if let Some(ways) = expose {
        return ways.address();
    }
    let proxy = spec.kube_rbac_proxy.as_ref()?;
    if let Some(route) = gateway {
        return Some(format!(
            "{}/model-registry/{}",
            route.gateway.domain,
            name.as_str()
        ));
    }
    let domain = filled(proxy.domain.as_ref())?;
    (proxy.service_route == ServiceRoute::Enabled)
        .then(|| format!("{}-rest.{domain}:{}", name.as_str(), proxy.route_port))
}
