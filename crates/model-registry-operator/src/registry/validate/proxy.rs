//! The proxy, and the address that it gives a registry.

use api::modelregistry::v1beta1::{Authorization, KubeRbacProxy, ModelRegistrySpec, ServiceRoute};
use resources::cert_manager::Issuer;
use resources::names::ObjectName;
use resources::proxy::HEALTH_PORT;

use super::super::names::{self, RegistryName};
use super::super::observe::{Certificate, Observation};
use super::super::references::filled;
use super::super::validated::{ByMethod, OAuth, Proxy, ProxyRoute};
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
        self.ports(proxy, spec);
        let image = proxy.image.as_deref().unwrap_or_default();
        let image = self.value("spec.kubeRBACProxy.image", Image::parse(image));
        let oauth = match &spec.oauth_proxy {
            Some(_) => {
                let secret = name.object("name of the Secret", "", names::OAUTH_COOKIE);
                Some(OAuth {
                    cookie_secret: self.named(secret)?,
                    cookie: observation.cookie.clone(),
                })
            }
            None => None,
        };
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
        let authorities = self.named(name.object("name of the ConfigMap", "", names::AUTHORITIES));
        let issuer = self.issuer(proxy, observation)?;
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
            issuer,
            trust: observation.trust.clone(),
            authorities: authorities?,
            config: config?,
            delegator: delegator?,
            policy: policy?,
            route,
            by_method,
            oauth,
        })
    }
    /// Every listener of the pod has a port of its own.
    fn ports(&mut self, proxy: &KubeRbacProxy, spec: &ModelRegistrySpec) {
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
    }

    /// Who signs, where cert-manager makes the certificate. `None` in the outer option when
    /// something is wrong.
    #[allow(
        clippy::option_option,
        reason = "one for something wrong, one for nothing there"
    )]
    fn issuer(
        &mut self,
        proxy: &KubeRbacProxy,
        observation: &Observation,
    ) -> Option<Option<Issuer>> {
        let asked = proxy.cert_manager.as_ref();
        let Some(asked) = asked.filter(|_| observation.certificate == Certificate::CertManager)
        else {
            return Some(None);
        };
        let issuer = Issuer::read(&asked.issuer_ref).map_err(|source| Problem::Reference {
            field: "spec.kubeRBACProxy.certManager.issuerRef.name".to_owned(),
            source,
        });
        self.keep(issuer).map(Some)
    }
}
