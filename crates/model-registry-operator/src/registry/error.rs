//! What can go wrong before anything is written.

use resources::PlanError;
use runtime::{
    component::{Failure, Next},
    inputs::InputError,
};

use super::validate::ValidateError;

/// What can go wrong before anything is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something that the plan depends on could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// Nobody can say whether this is OpenShift, and the spec leaves it to that whether people have
    /// to sign in. Authentication is never left out by guess.
    #[error(
        "it is not known whether this is OpenShift, where a proxy is the default: API \
         route.openshift.io/v1 is registered and does not answer; repair it, or set \
         spec.kubeRBACProxy or spec.authentication"
    )]
    PlatformUnknown,
    /// Nobody can say whether the cluster has a mesh, and the spec asks for it. Until then neither
    /// the mesh nor the proxy in its place is taken away.
    #[error(
        "it is not known whether this cluster has Istio and Authorino, which spec.istio asks for: \
         their APIs are registered and do not answer; repair them, or set spec.kubeRBACProxy in \
         place of spec.istio"
    )]
    MeshUnknown,
    /// The resource asks for something that cannot be.
    #[error(transparent)]
    Validate(#[from] ValidateError),
    /// An object could not be written down.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The proxy's certificate could not be made.
    #[error("the certificate of the proxy cannot be made: {0}")]
    Certificate(String),
    /// The system gave no random numbers.
    #[error("what has to be random cannot be made: {0}")]
    Random(String),
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Input(error) => error.reason(),
            Self::PlatformUnknown | Self::MeshUnknown => "PlatformUnknown",
            Self::Validate(error) => error.reason(),
            Self::Plan(_) => "PlanFailed",
            Self::Certificate(_) => "CertificateFailed",
            Self::Random(_) => "RandomFailed",
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Input(error) => error.next(),
            // What is repaired is not always an event.
            Self::PlatformUnknown | Self::MeshUnknown | Self::Certificate(_) | Self::Random(_) => {
                Next::Retry
            }
            // The user's turn; a namesake that goes away is an event.
            Self::Validate(_) | Self::Plan(_) => Next::Wait,
        }
    }
}
