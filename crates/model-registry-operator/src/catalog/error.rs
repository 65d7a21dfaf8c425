//! What can go wrong before anything is written.

use resources::PlanError;
use runtime::component::{Failure, Next};
use runtime::inputs::InputError;

/// What can go wrong before anything is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the plan depends on could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Nobody can say whether this is OpenShift, which makes the certificate there.
    #[error(
        "it is not known whether this is OpenShift: API route.openshift.io/v1 is registered and \
         does not answer; repair it"
    )]
    PlatformUnknown,
    /// The resource is not where or what it may be: one message for each rule.
    #[error("Catalog.aihub.opendatahub.io {name:?} is invalid: {message}")]
    Invalid {
        /// Name of the resource.
        name: String,
        /// What is wrong, in the form of the API server.
        message: String,
    },
    /// An older Catalog has the names that the whole cluster shares.
    #[error(
        "the cluster has a Catalog in namespace {0}, which is older; delete one of the two: their \
         ClusterRoleBinding has one name"
    )]
    NameConflict(String),
    /// An object could not be written down.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The proxy's certificate could not be made.
    #[error("the certificate of the proxy cannot be made: {0}")]
    Certificate(String),
    /// The password of the database could not be made.
    #[error("the password of the database cannot be made: {0}")]
    Password(String),
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Input(error) => error.reason(),
            Self::PlatformUnknown => "PlatformUnknown",
            Self::Invalid { .. } => "InvalidSpec",
            Self::NameConflict(_) => "NameConflict",
            Self::Plan(_) => "PlanFailed",
            Self::Certificate(_) => "CertificateFailed",
            Self::Password(_) => "RandomFailed",
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Input(error) => error.next(),
            // What is repaired is not always an event.
            Self::PlatformUnknown | Self::Certificate(_) | Self::Password(_) => Next::Retry,
            // The user's turn; a Catalog that goes away is an event.
            Self::Invalid { .. } | Self::NameConflict(_) | Self::Plan(_) => Next::Wait,
        }
    }
}
