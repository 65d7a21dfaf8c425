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
    /// Nobody can say whether this is OpenShift, which makes the certificates there.
    #[error(
        "it is not known whether this is OpenShift: API route.openshift.io/v1 is registered and \
         does not answer; repair it"
    )]
    PlatformUnknown,
    /// The resource cannot be what it asks to be: one message for each thing wrong.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// An object could not be written down.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A serving certificate could not be made.
    #[error("a serving certificate cannot be made: {0}")]
    Certificate(String),
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Input(InputError::Forbidden { .. }) => "MissingRights",
            Self::Input(InputError::Unavailable { .. }) => "ReadFailed",
            Self::PlatformUnknown => "PlatformUnknown",
            Self::Invalid(_) => "InvalidSpec",
            Self::Plan(_) => "PlanFailed",
            Self::Certificate(_) => "CertificateFailed",
        }
    }

    fn next(&self) -> Next {
        match self {
            // A missing rule may be granted at any time, and nothing tells us.
            Self::Input(_) | Self::PlatformUnknown | Self::Certificate(_) => Next::Retry,
            // The user's turn.
            Self::Invalid(_) | Self::Plan(_) => Next::Wait,
        }
    }
}
