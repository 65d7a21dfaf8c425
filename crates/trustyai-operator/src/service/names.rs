//! Names and keys that live in people's clusters. Each is interface and must not change.

use resources::names::{LabelValue, NameError, ObjectName, ServiceName};

/// End of the names of the proxy's ServiceAccount.
pub const PROXY: &str = "-proxy";
/// End of the names of the Service of the proxy and of the Secret with its certificate.
pub const TLS: &str = "-tls";
/// End of the name of the Secret with the certificate of the service itself.
pub const INTERNAL: &str = "-internal";
/// End of the name of the ConfigMap with the proxy's configuration.
pub const PROXY_CONFIG: &str = "-kube-rbac-proxy-config";
/// End of the name of the claim.
pub const CLAIM: &str = "-pvc";
/// End of the name of the Secret with the authority of the database's certificate.
pub const DATABASE_CA: &str = "-db-ca";
/// Its key.
pub const DATABASE_CA_KEY: &str = "ca.crt";
/// End of the name of the Secret with the database's credentials, where the resource names none.
pub const DATABASE_CREDENTIALS: &str = "-db-credentials";
/// End of the name of the ConfigMap that tells clients the authorities of our certificates.
pub const AUTHORITIES: &str = "-ca";
/// ConfigMap with the authorities that the cluster trusts, and its key.
pub const TRUSTED_CA: (&str, &str) = ("odh-trusted-ca-bundle", "ca-bundle.crt");
/// Label of that ConfigMap, whose value is `true`.
pub const TRUSTED_CA_LABEL: &str = "config.openshift.io/inject-trusted-cabundle";
/// Annotation that asked the Go operator for a migration. The spec says as much by itself.
pub const MIGRATION: &str = "trustyai.opendatahub.io/db-migration";
/// Annotation of a pod template: hash of what its pods read once.
pub const INPUTS_HASH: &str = "trustyai.opendatahub.io/inputs-hash";
/// Annotation of a pod template: hash of the certificate, once it is another one than the first.
pub const CERTIFICATE_HASH: &str = "trustyai.opendatahub.io/certificate-hash";
/// Annotation of a claim: what it was asked for with, and cannot change.
pub const CLAIM_FIXED: &str = "trustyai.opendatahub.io/claim";
/// Label of objects that are in no namespace: that of their service.
pub const NAMESPACE_LABEL: &str = "trustyai.opendatahub.io/namespace";
/// Label that tells which service an object is of.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// Label that all objects carry.
pub const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "trustyai");
/// Label of the Service of the proxy, and of the Route to it.
pub const SERVICE_LABEL: &str = "trustyai-service-name";

/// The name of a service, with every name that is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The service's own, also that of Deployment, Service, Route and ServiceMonitor.
    pub own: ServiceName,
    /// The proxy's ServiceAccount, also as a label.
    pub account: LabelValue,
    /// Service of the proxy, and Secret with its certificate.
    pub tls: ServiceName,
    /// Secret with the certificate of the service itself.
    pub internal: ObjectName,
    /// ConfigMap with the proxy's configuration.
    pub proxy_config: ObjectName,
    /// The claim.
    pub claim: ObjectName,
    /// Secret with the authority of the database's certificate.
    pub database_ca: ObjectName,
    /// ConfigMap with the authorities of our certificates.
    pub authorities: ObjectName,
    /// The proxy's ClusterRoleBinding.
    pub binding: ObjectName,
}

impl Names {
    /// All names of service `name` in `namespace`.
    pub fn of(name: &str, namespace: &str) -> Result<Self, NameError> {
        let object = |what, end| ObjectName::derive(what, "", name, end);
        Ok(Self {
            own: ServiceName::derive("name of the Service", "", name, "")?,
            account: LabelValue::derive("label of the ServiceAccount", "", name, PROXY)?,
            tls: ServiceName::derive("name of the proxy's Service", "", name, TLS)?,
            internal: object("name of the Secret", INTERNAL)?,
            proxy_config: object("name of the ConfigMap", PROXY_CONFIG)?,
            claim: object("name of the claim", CLAIM)?,
            database_ca: object("name of the Secret", DATABASE_CA)?,
            authorities: object("name of the ConfigMap", AUTHORITIES)?,
            binding: ObjectName::parse(&format!("{name}-{namespace}-proxy-rolebinding"))?,
        })
    }

    /// The service's own name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.own.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_long_as_the_longest_that_is_made_of_it() {
        assert!(Names::of(&"n".repeat(57), &"m".repeat(63)).is_ok());
        let error = Names::of(&"n".repeat(58), "m").unwrap_err().to_string();
        assert!(error.contains("may have 57"), "{error}");
        assert!(Names::of("a.b", "m").is_err());
    }
}
