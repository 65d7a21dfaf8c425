//! What can be wrong with a resource, in the words that the user reads.

use resources::names::NameError;

use super::super::trouble;
use super::super::values::ValueError;

/// A resource that no objects can be built from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValidateError {
    /// An older registry has the name, which is shared by the whole cluster.
    #[error(
        "registry named {name} already exists in namespace {namespace}; the older one keeps the name"
    )]
    NameConflict {
        /// The name.
        name: String,
        /// Namespace of the other.
        namespace: String,
    },
    /// Fields that cannot be as they are.
    #[error("{}", trouble::join(.0))]
    Invalid(Vec<Problem>),
}

impl ValidateError {
    /// Reason of the condition.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NameConflict { .. } => "NameConflict",
            Self::Invalid(_) => "InvalidSpec",
        }
    }
}

/// A field that cannot be as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The registry is in a namespace that the installation does not allow.
    #[error("metadata.namespace: Invalid value: {namespace:?}: namespace must be {allowed}")]
    Namespace {
        /// Where it is.
        namespace: String,
        /// Where it may be.
        allowed: String,
    },
    /// No database.
    #[error("spec.{field}: Required value: required one of `postgres` or `mysql` database")]
    NoDatabase {
        /// `postgres` or `mysql`.
        field: &'static str,
    },
    /// A generated Postgres beside an address.
    #[error(
        "spec.postgres.host: Invalid value: {host:?}: host should not be set when auto-provisioning is enabled"
    )]
    GeneratedWithHost {
        /// The address.
        host: String,
    },
    /// The name of the registry, or one that is derived from it.
    #[error("metadata.name: {0}")]
    Name(NameError),
    /// A name in the spec.
    #[error("{field}: {source}")]
    Reference {
        /// Path of the field.
        field: String,
        /// What is wrong.
        source: NameError,
    },
    /// A value in the spec.
    #[error("{field}: {source}")]
    Value {
        /// Path of the field.
        field: String,
        /// What is wrong.
        source: ValueError,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("spec.kubeRBACProxy: tlsCertificateSecret and tlsKeySecret MUST be set together")]
    HalfCertificate,
    /// Somebody is let in to read only, where the proxy cannot tell reading from writing.
    #[error("spec.access: {}", api::rules::VIEWER_BY_METHOD)]
    ViewerByMethod,
    /// A TLS mode that Istio does not have.
    #[error(
        "spec.istio.tlsMode: {value:?} is not a TLS mode; use DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL"
    )]
    TlsMode {
        /// What is written.
        value: String,
    },
    /// A gateway with TLS and without a certificate.
    #[error(
        "{field}: Required value: name the Secret with the certificate, or set tls.mode to ISTIO_MUTUAL"
    )]
    NoCredential {
        /// Path of the field.
        field: String,
    },
    /// Two listeners of one pod on one port.
    #[error("{field}: {port} is also the port of {other}; choose another one")]
    PortTaken {
        /// Path of the field.
        field: &'static str,
        /// The port.
        port: i32,
        /// Who has it.
        other: &'static str,
    },
}

/// Of several limits of the name only the tightest: whoever keeps it keeps the others.
pub(super) fn tightest(problems: Vec<Problem>) -> Vec<Problem> {
    let limit = |problem: &Problem| match problem {
        Problem::Name(NameError::Long { limit, .. }) => Some(*limit),
        _ => None,
    };
    let tightest = problems.iter().filter_map(limit).min();
    let mut said = false;
    problems
        .into_iter()
        .filter(|problem| match limit(problem) {
            None => true,
            found => found == tightest && !std::mem::replace(&mut said, true),
        })
        .collect()
}
