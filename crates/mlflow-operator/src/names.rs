//! Names and keys of what an MLflow becomes. They live in people's clusters, so they are those of the
//! Go operator.

use resources::names::{NameError, ObjectName, ServiceName};

/// The MLflow whose objects have no suffix.
pub const SINGLETON: &str = "mlflow";
/// Port of the server.
pub const PORT: u16 = 8443;
/// Label that every object carries, and its value.
pub const COMPONENT: (&str, &str) = ("component", "mlflow");
/// Label that says which server an object is of.
pub const APP: &str = "app";
/// Label of pods, by which the NetworkPolicy finds them.
pub const INSTANCE: &str = "app.kubernetes.io/instance";
/// Service account where the resource names none.
pub const ACCOUNT: &str = "mlflow-sa";
/// ConfigMap with the authorities that the platform trusts.
pub const PLATFORM_CA: &str = "odh-trusted-ca-bundle";
/// ConfigMap with the authority of OpenShift's service CA, in every namespace, and its key.
pub const SERVICE_CA: (&str, &str) = ("openshift-service-ca.crt", "service-ca.crt");
/// Annotation of a Service, by which OpenShift makes its certificate.
pub const SERVING_CERTIFICATE: &str = "service.beta.openshift.io/serving-cert-secret-name";
/// Annotation of the Deployment: hash of what its pods read when they were first made.
pub const INPUTS_BASELINE: &str = "mlflow.opendatahub.io/inputs-baseline";
/// Annotation of the pods: the same hash, once it is another one than the first.
pub const INPUTS_HASH: &str = "mlflow.opendatahub.io/inputs-hash";

/// The name of an MLflow, with every name that is derived from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// What the others have behind their stem.
    pub suffix: String,
    /// Deployment, Service, NetworkPolicy, HTTPRoute and ConsoleLink, and the path in front of all
    /// paths.
    pub own: ServiceName,
    /// The claim.
    pub claim: ObjectName,
    /// Secret with the certificate, where the resource names none.
    pub tls: ObjectName,
    /// ConfigMap with the authorities of a certificate that the operator made.
    pub authorities: ObjectName,
    /// ClusterRole of the server, and its binding.
    pub role: ObjectName,
}

impl Names {
    /// All names of the MLflow `name`.
    ///
    /// # Errors
    /// The name is too long, or has characters that no Service may have.
    pub fn of(name: &str) -> Result<Self, NameError> {
        let suffix = suffix(name);
        let own = format!("mlflow{suffix}");
        let object = |stem: &str| ObjectName::parse(&format!("{stem}{suffix}"));
        Ok(Self {
            own: ServiceName::derive("name of the Service", "", &own, "")?,
            claim: object("mlflow-pvc")?,
            tls: object("mlflow-tls")?,
            authorities: ObjectName::parse(&format!("{own}-ca"))?,
            role: object("mlflow")?,
            suffix,
        })
    }

    /// Where the server answers inside the cluster.
    #[must_use]
    pub fn address(&self, namespace: &str) -> String {
        let own = &self.own;
        format!("https://{own}.{namespace}.svc:{PORT}{}", self.prefix())
    }

    /// The path in front of all paths.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("/{}", self.own)
    }
}

/// What the names of an MLflow's objects have behind their stem: nothing, or `-NAME`.
#[must_use]
pub fn suffix(resource: &str) -> String {
    if resource == SINGLETON {
        String::new()
    } else {
        format!("-{resource}")
    }
}

/// The MLflow whose objects are called `own`; the other way round from [`suffix`].
#[must_use]
pub fn resource_of(own: &str) -> Option<&str> {
    match own.strip_prefix("mlflow")? {
        "" => Some(SINGLETON),
        rest => rest.strip_prefix('-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_singleton_has_no_suffix() {
        let names = Names::of("mlflow").unwrap();
        assert_eq!(names.own.as_str(), "mlflow");
        assert_eq!(names.claim.as_str(), "mlflow-pvc");
        assert_eq!(names.prefix(), "/mlflow");
        let names = Names::of("production").unwrap();
        assert_eq!(names.own.as_str(), "mlflow-production");
        assert_eq!(names.tls.as_str(), "mlflow-tls-production");
        assert_eq!(names.role.as_str(), "mlflow-production");
    }

    #[test]
    fn a_name_is_found_again() {
        for name in ["mlflow", "production", "mlflow-a"] {
            let own = format!("mlflow{}", suffix(name));
            assert_eq!(resource_of(&own), Some(name));
        }
        assert_eq!(resource_of("mlflowx"), None);
        assert_eq!(resource_of("other"), None);
    }
}
