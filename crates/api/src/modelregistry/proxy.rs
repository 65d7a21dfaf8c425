//! The authenticating proxy in front of a registry.

use k8s_openapi::api::core::v1::ResourceRequirements;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::endpoint::ServiceRoute;
use crate::common::SecretKeyValue;
use crate::exposure::CertManager;
use crate::{rules, schema};

const PORT: i32 = 8443;
const ROUTE_PORT: i32 = 443;

/// The OAuth proxy of a time before kube-rbac-proxy. It becomes `kubeRBACProxy`, unless `image` is
/// that of an OAuth proxy.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(rules::PROXY)))]
pub struct OAuthProxy {
    /// Port that the proxy listens on.
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
    /// Secret key with the proxy's serving certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate_secret: Option<SecretKeyValue>,
    /// Secret key with the private key of the serving certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key_secret: Option<SecretKeyValue>,
    /// Whether a way from outside the cluster leads to the proxy.
    pub service_route: ServiceRoute,
    /// Domain of the external host name. Absent means the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DOMAIN))]
    pub domain: Option<String>,
    /// Port of the external address.
    #[schemars(range(min = 0, max = 65535))]
    pub route_port: i32,
    /// Image of the proxy. One that is named like an OAuth proxy, as
    /// `quay.io/openshift/origin-oauth-proxy:latest` is, runs as such; it needs OpenShift. Any other
    /// has no effect. Absent means a kube-rbac-proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

impl Default for OAuthProxy {
    fn default() -> Self {
        Self {
            port: PORT,
            tls_certificate_secret: None,
            tls_key_secret: None,
            service_route: ServiceRoute::Enabled,
            domain: None,
            route_port: ROUTE_PORT,
            image: None,
        }
    }
}

/// The kube-rbac-proxy that lets in who may read the registry's Service.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(&[rules::PROXY, &[rules::CERT_MANAGER]].concat())))]
pub struct KubeRbacProxy {
    /// Port that the proxy listens on.
    #[schemars(range(min = 0, max = 65535))]
    pub port: i32,
    /// Secret key with the proxy's serving certificate. Absent means key `tls.crt` of
    /// Secret `NAME-kube-rbac-proxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_certificate_secret: Option<SecretKeyValue>,
    /// Secret key with the private key of the serving certificate. Absent means key
    /// `tls.key` of Secret `NAME-kube-rbac-proxy`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key_secret: Option<SecretKeyValue>,
    /// Whether a way from outside the cluster leads to the proxy.
    pub service_route: ServiceRoute,
    /// Domain of the external host name. Absent means the cluster's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = schema::DOMAIN))]
    pub domain: Option<String>,
    /// Port of the external address.
    #[schemars(range(min = 0, max = 65535))]
    pub route_port: i32,
    /// Image of the proxy. Absent means the one that the operator is configured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What a caller needs to be let in. `Get`: the right to `get` the registry's Service,
    /// for every request; needs a build of kube-rbac-proxy that reads the verb from its
    /// configuration. `ByMethod`: the verb of the HTTP method on the Service's virtual
    /// subresource `api`; works with every build, and lets people read without letting them
    /// write. Absent means `Get`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Compute resources of the proxy's container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Lets cert-manager make the serving certificate, in Secret `NAME-kube-rbac-proxy-cert`.
    /// Absent means that the platform or the operator makes it, where no Secret is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManager>,
}

impl KubeRbacProxy {
    /// What the proxy asks about a request, with the default in place of absence.
    #[must_use]
    pub fn authorization(&self) -> Authorization {
        self.authorization.unwrap_or_default()
    }
}

impl Default for KubeRbacProxy {
    fn default() -> Self {
        Self {
            port: PORT,
            tls_certificate_secret: None,
            tls_key_secret: None,
            service_route: ServiceRoute::Enabled,
            domain: None,
            route_port: ROUTE_PORT,
            image: None,
            authorization: None,
            resources: None,
            cert_manager: None,
        }
    }
}

/// What the proxy asks the API server about a request.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum Authorization {
    /// Every request needs `get` on the registry's Service. Needs a build of
    /// kube-rbac-proxy that reads the verb from its configuration.
    #[default]
    Get,
    /// A request needs the verb of its HTTP method on the Service's virtual subresource
    /// `api`. Works with every build, and lets people read without letting them write.
    ByMethod,
}

/// How a registry decides who may call it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum Authentication {
    /// By a kube-rbac-proxy in front of it.
    KubeRBACProxy,
    /// It does not: whoever reaches its Service may read and write.
    None,
}
