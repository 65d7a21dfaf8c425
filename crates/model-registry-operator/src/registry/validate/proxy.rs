//! The proxy, and the address that it gives a registry.

use api::modelregistry::v1beta1::{Authorization, KubeRbacProxy, ModelRegistrySpec, ServiceRoute};
use resources::names::ObjectName;
use resources::proxy::HEALTH_PORT;

use super::super::names::RegistryName;
use super::super::observe::Observation;
use super::super::references::filled;
use super::super::validated::{ByMethod, GatewayRoute, Proxy, ProxyRoute};
use super::super::values::{Domain, Image, Port};
use super::{Problem, Reader};

impl Reader {
    pub(super) fn proxy(
        &mut self,
        name: &RegistryName,
        proxy: &KubeRbacProxy,
        spec: &ModelRegistrySpec,
        observation: &Observation,
    ) -> Option<Proxy> {
        let port = self.value("spec.kubeRBACProxy.port", Port::parse(proxy.port));
        if proxy.tls_certificate_secret.is_some() != proxy.tls_key_secret.is_some() {
            self.problems.push(Problem::HalfCertificate);
        }
        for (taken, field, number, other) in [
            (
                proxy.port == spec.rest.port,
                "spec.kubeRBACProxy.port",
                proxy.port,
                "spec.rest.port",
            ),
            (
                proxy.port == HEALTH_PORT,
                "spec.kubeRBACProxy.port",
                proxy.port,
                "the proxy's health endpoint",
            ),
            (
                spec.rest.port == HEALTH_PORT,
                "spec.rest.port",
                spec.rest.port,
                "the proxy's health endpoint",
            ),
        ] {
            if taken {
                self.problems.push(Problem::PortTaken {
                    field,
                    port: number,
                    other,
                });
            }
        }
        let image = proxy.image.as_deref().unwrap_or_default();
        let image = self.value("spec.kubeRBACProxy.image", Image::parse(image));
        let certificate = self.secret_key(
            "spec.kubeRBACProxy.tlsCertificateSecret",
            proxy.tls_certificate_secret.as_ref(),
        );
        let key = self.secret_key(
            "spec.kubeRBACProxy.tlsKeySecret",
            proxy.tls_key_secret.as_ref(),
        );
        let config =
            self.named(name.object("name of the ConfigMap", "", "-kube-rbac-proxy-config"));
        let authorities = self.named(name.object("name of the ConfigMap", "", "-ca"));
        let delegator = self.derived(
            name,
            "label of the ClusterRoleBinding",
            "",
            "-auth-delegator",
        );
        let policy = self.derived(name, "label of the NetworkPolicy", "", "-proxy");
        let wants_route = proxy.service_route == ServiceRoute::Enabled;
        let host = match filled(proxy.domain.as_ref()) {
            Some(domain) if wants_route => {
                self.value("spec.kubeRBACProxy.domain", Domain::parse(domain));
                let label = self.named(name.host())?;
                Some(self.keep(
                    ObjectName::parse(&format!("{label}.{}", domain.to_ascii_lowercase())).map_err(
                        |source| Problem::Reference {
                            field: "spec.kubeRBACProxy.domain".to_owned(),
                            source,
                        },
                    ),
                )?)
            }
            _ => None,
        };
        let route = if wants_route && observation.platform.openshift {
            Some(ProxyRoute {
                name: self.derived(name, "label of the Route", "", "-https")?,
                policy: self.derived(name, "label of the NetworkPolicy", "", "-https-route")?,
                host,
            })
        } else {
            None
        };
        let by_method = match proxy.authorization() {
            Authorization::Get => None,
            Authorization::ByMethod => Some(ByMethod {
                api: self.derived(name, "label of the Role", "registry-api-", "")?,
                viewer: self.derived(name, "label of the Role", "registry-viewer-", "")?,
                users: observation.users.clone(),
            }),
        };
        Some(Proxy {
            port: port?,
            image: image?,
            resources: proxy.resources.clone(),
            certificate: certificate?,
            key: key?,
            source: observation.certificate.clone(),
            authorities: authorities?,
            config: config?,
            delegator: delegator?,
            policy: policy?,
            route,
            by_method,
        })
    }
}

/// Only where somebody can get to it: through the gateway, or by a host name that is known.
pub(super) fn external_address(
    name: &RegistryName,
    spec: &ModelRegistrySpec,
    gateway: Option<&GatewayRoute>,
) -> Option<String> {
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
