//! What the proxy needs beside its container, and what keeps others from going around it.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use resources::certificates::AUTHORITIES;
use resources::kind::{CLUSTER_ROLE_BINDING, CONFIG_MAP, NETWORK_POLICY, SECRET};
use resources::meta::pairs;
use resources::network::{ingress, namespaces};
use resources::proxy::{CONFIG_KEY, ResourceAttributes, Sidecar, config_file};
use resources::{Plan, PlanError, Planned};

use super::metadata::{called, clusterwide, derived, identity, pod_labels};
use super::oauth;
use crate::registry::access::RBAC;
use crate::registry::names;
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
        let secret = Secret {
            metadata: called(registry, proxy.certificate.name.as_str()),
            data: Some(serving.secret.clone()),
            type_: Some("kubernetes.io/tls".into()),
            ..Secret::default()
        };
        plan.push(Planned::new(SECRET, &secret)?.only_if(precondition.clone()));
        let map = authorities(registry, proxy, &serving.bundle);
        plan.push(Planned::new(CONFIG_MAP, &map)?);
    } else if let Trust::Known(bundle) = &proxy.trust {
        let map = authorities(registry, proxy, bundle);
        plan.push(Planned::new(CONFIG_MAP, &map)?.use_foreign());
    }
    if let Some(issuer) = &proxy.issuer
        && registry.platform.certificates
    {
        let name = &proxy.certificate.name;
        let hosts = names::service_hosts(registry.name.as_str(), registry.namespace.as_str());
        let metadata = called(registry, name.as_str());
        plan.push(issuer.certificate(metadata, name, &hosts)?);
    }
    match &proxy.oauth {
        Some(oauth) => oauth::cookie(registry, oauth, plan)?,
        None => plan.push(Planned::new(CONFIG_MAP, &config_map(registry, proxy)?)?),
    }
    plan.push(
        Planned::new(CLUSTER_ROLE_BINDING, &delegator(registry, proxy))?
            .identified_by(identity(registry)),
    );
    Ok(())
}

/// What clients trust.
fn authorities(registry: &Validated, proxy: &Proxy, bundle: &str) -> ConfigMap {
    ConfigMap {
        metadata: called(registry, proxy.authorities.as_str()),
        data: Some(pairs([(AUTHORITIES, bundle)])),
        ..ConfigMap::default()
    }
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

fn config_map(registry: &Validated, proxy: &Proxy) -> Result<ConfigMap, PlanError> {
    let by_method = proxy.by_method.is_some();
    let attributes = ResourceAttributes {
        api_version: "v1",
        resource: "services",
        subresource: by_method.then_some("api"),
        verb: (!by_method).then_some("get"),
        namespace: registry.namespace.as_str(),
        name: registry.name.as_str(),
    };
    let file = config_file(attributes).map_err(|error| PlanError::Content {
        kind: CONFIG_MAP.kind,
        name: proxy.config.to_string(),
        message: error.to_string(),
    })?;
    Ok(ConfigMap {
        metadata: called(registry, proxy.config.as_str()),
        data: Some(pairs([(CONFIG_KEY, file.as_str())])),
        ..ConfigMap::default()
    })
}

/// Lets the proxy ask the API server who calls and what they may do.
fn delegator(registry: &Validated, proxy: &Proxy) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata: clusterwide(registry, &proxy.delegator),
        role_ref: RoleRef {
            api_group: RBAC.into(),
            kind: "ClusterRole".into(),
            name: "system:auth-delegator".into(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".into(),
            name: registry.name.as_str().to_owned(),
            namespace: Some(registry.namespace.to_string()),
            api_group: None,
        }]),
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
                vec![
                    namespaces(pairs([("network.openshift.io/policy-group", "ingress")])),
                    namespaces(pairs([("opendatahub.io/generated-namespace", "true")])),
                ]
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
