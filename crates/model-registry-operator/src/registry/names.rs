//! Names and keys that live in people's clusters. Each is interface and must not change.

use resources::names::{HostLabel, LabelValue, NameError, ObjectName, ServiceName};

/// End of the names of the generated Postgres's objects.
pub const POSTGRES: &str = "-postgres";
/// End of the name of the Secret with the generated password.
pub const POSTGRES_CREDENTIALS: &str = "-postgres-credentials";
/// End of the name of the generated Postgres's volume.
pub const POSTGRES_STORAGE: &str = "-postgres-storage";
/// End of the name of the Secret with the proxy's certificate.
pub const PROXY: &str = "-kube-rbac-proxy";
/// End of the name of that Secret at the time of the OAuth proxy.
pub const OLD_PROXY: &str = "-oauth-proxy";
/// End of the names of cert-manager's Certificate and of the Secret that it makes.
pub const CERT_MANAGER: &str = "-kube-rbac-proxy-cert";
/// End of the name of the ConfigMap that tells clients the authority of the proxy's certificate.
pub const AUTHORITIES: &str = "-ca";
/// End of the name of the Secret that the OAuth proxy's cookies are signed with.
pub const OAUTH_COOKIE: &str = "-oauth-cookie-secret";
/// Its key.
pub const COOKIE_SECRET: &str = "cookie-secret.txt";
/// Label of a Route to an ingress gateway: the registry.
pub const GATEWAY_NAME_LABEL: &str = "maistra.io/gateway-name";
/// Label of a Route to an ingress gateway: the registry's namespace.
pub const GATEWAY_NAMESPACE_LABEL: &str = "maistra.io/gateway-namespace";
/// Start of the name of the Role that lets people use a registry.
pub const USER_ROLE: &str = "registry-user-";
/// The ReferenceGrant that registries of a namespace share.
pub const REFERENCE_GRANT: &str = "allow-gateway-httproutes";
/// Secret key of the generated user.
pub const USERNAME: &str = "username";
/// Secret key of the generated password.
pub const PASSWORD: &str = "password";
/// User of the generated Postgres.
pub const GENERATED_USER: &str = "modelregistry";
/// Database of the generated Postgres.
pub const GENERATED_DATABASE: &str = "model_registry";
/// Annotation of a Deployment: hash of the credentials that its pods were first made with.
pub const CREDENTIALS_BASELINE: &str = "modelregistry.opendatahub.io/credentials-baseline";
/// Annotation of a volume: the storage class that it was asked for with. The class that the
/// cluster chose is the cluster's, and nothing that we would have to repeat.
pub const STORAGE_CLASS: &str = "modelregistry.opendatahub.io/storage-class";
/// Annotation of a pod template: hash of the keys that its pods read once.
pub const INPUTS_HASH: &str = "modelregistry.opendatahub.io/inputs-hash";
/// Label of objects that are not in their registry's namespace: that namespace.
pub const NAMESPACE_LABEL: &str = "modelregistry.opendatahub.io/namespace";

/// The name of a registry, with every name that is derived from it in every configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryName {
    service: ServiceName,
}

impl RegistryName {
    /// The name, when a Service can have it.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        ServiceName::derive("name of the Service", "", name, "").map(|service| Self { service })
    }

    /// Name of the Service, and of everything that is just called like the registry.
    #[must_use]
    pub fn service(&self) -> &ServiceName {
        &self.service
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.service.as_str()
    }

    /// Name of an object.
    pub fn object(
        &self,
        what: &'static str,
        prefix: &'static str,
        suffix: &'static str,
    ) -> Result<ObjectName, NameError> {
        ObjectName::derive(what, prefix, self.as_str(), suffix)
    }

    /// Value of a label.
    pub fn label(
        &self,
        what: &'static str,
        prefix: &'static str,
        suffix: &'static str,
    ) -> Result<LabelValue, NameError> {
        LabelValue::derive(what, prefix, self.as_str(), suffix)
    }

    /// First label of the external host name.
    pub fn host(&self) -> Result<HostLabel, NameError> {
        HostLabel::derive(
            "first label of the external host name",
            "",
            self.as_str(),
            "-rest",
        )
    }
}
