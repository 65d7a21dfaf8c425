//! What the proxy needs beside its container, and what keeps others from going around it.

use resources::certificates::authorities;
use resources::kind::{CLUSTER_ROLE_BINDING, CONFIG_MAP, NETWORK_POLICY, SECRET};
use resources::names::service_hosts;
use resources::network::{ingress, routers};
use resources::proxy::{ResourceAttributes, Sidecar, config_map};
use resources::rbac::{account, delegator};
use resources::{Plan, PlanError, Planned};

use super::metadata::{called, clusterwide, derived, identity, pod_labels};
use super::oauth;
use crate::registry::observe::{Certificate, Trust};
use crate::registry::validate::{Proxy, Validated};

pub(super) fn configuration(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(proxy) = &registry.proxy else {
        return Ok(());
    };
    if let Certificate::Own {
        serving,
        precondition,
    } = &proxy.source
    {
        let secret = serving.secret(called(registry, proxy.certificate.name.as_str()));
        plan.push(Planned::new(SECRET, &secret)?.only_if(precondition.clone()));
        let map = authorities(
            called(registry, proxy.authorities.as_str()),
            &serving.bundle,
        );
        plan.push(Planned::new(CONFIG_MAP, &map)?);
    } else if let Trust::Known(bundle) = &proxy.trust {
        let map = authorities(called(registry, proxy.authorities.as_str()), bundle);
        plan.push(Planned::new(CONFIG_MAP, &map)?.use_foreign());
    }
    if let Some(issuer) = &proxy.issuer
        && registry.platform.certificates
    {
        let name = &proxy.certificate.name;
        let hosts = service_hosts(registry.name.as_str(), registry.namespace.as_str());
        let metadata = called(registry, name.as_str());
        plan.push(issuer.certificate(metadata, name, &hosts)?);
    }
    if let Some(oauth) = &proxy.oauth {
        oauth::cookie(registry, oauth, plan)?;
    } else {
        let metadata = called(registry, proxy.config.as_str());
        let map = config_map(metadata, attributes(registry, proxy))?;
        plan.push(Planned::new(CONFIG_MAP, &map)?);
    }
    let account = account(registry.namespace.as_str(), registry.name.as_str());
    let delegator = delegator(clusterwide(registry, &proxy.delegator), account);
    plan.push(Planned::new(CLUSTER_ROLE_BINDING, &delegator)?.identified_by(identity(registry)));
    Ok(())
}

/// The proxy's container and volumes.
pub(super) fn sidecar<'a>(registry: &'a Validated, proxy: &'a Proxy) -> Sidecar<'a> {
    Sidecar {
        image: proxy.image.as_str(),
        port: proxy.port.number(),
        upstream: registry.rest.port.number(),
        resources: proxy.resources.as_ref(),
        certificate: (&proxy.certificate.name, &proxy.certificate.key),
        key: (&proxy.key.name, &proxy.key.key),
        config: &proxy.config,
    }
}

/// What a caller must be allowed to do.
fn attributes<'a>(registry: &'a Validated, proxy: &Proxy) -> ResourceAttributes<'a> {
    let by_method = proxy.by_method.is_some();
    ResourceAttributes {
        api_version: "v1",
        resource: "services",
        subresource: by_method.then_some("api"),
        verb: (!by_method).then_some("get"),
        namespace: registry.namespace.as_str(),
        name: registry.name.as_str(),
    }
}

/// With a proxy there is always one policy, and none of them admits the server's own port.
pub(super) fn policies(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(proxy) = &registry.proxy else {
        return Ok(());
    };
    let port = proxy.port.number();
    let policy = match &proxy.route {
        Some(route) => {
            // Where the controllers of gateways and Ingresses run, nobody can tell.
            let from = if registry.expose.is_some() {
                Vec::new()
            } else {
                routers()
            };
            ingress(
                derived(registry, &route.policy),
                pod_labels(registry),
                port,
                from,
            )
        }
        None => ingress(
            derived(registry, &proxy.policy),
            pod_labels(registry),
            port,
            Vec::new(),
        ),
    };
    plan.push(Planned::new(NETWORK_POLICY, &policy)?);
    Ok(())
}
