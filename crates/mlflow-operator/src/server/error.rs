//! What can go wrong before anything is written.

use resources::PlanError;
use runtime::component::{Failure, Next};
use runtime::inputs::InputError;

use crate::module::gate::Gate;

/// What can go wrong before anything is written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The platform does not let MLflows be looked after. Nothing is written meanwhile.
    #[error("{}", .0.condition.message)]
    Closed(Box<Gate>),
    /// Something that the plan depends on could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The ConfigMap with the user's authorities is not there.
    #[error("CA bundle ConfigMap {name:?} not found in namespace {namespace:?}")]
    CaBundle {
        /// Its name.
        name: String,
        /// Where it has to be.
        namespace: String,
    },
    /// The resource cannot be what it asks to be: one message for each thing wrong.
    #[error("{}", .0.join("; "))]
    Invalid(Vec<String>),
    /// The chart does not take the values. A mistake of ours, as values are checked before.
    #[error("Failed to render Helm chart: {0}")]
    Render(String),
    /// An object could not be written down.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// What a migration needs could not be planned.
    #[error(transparent)]
    Migration(#[from] crate::migration::plan::Error),
    /// A serving certificate could not be made.
    #[error("a serving certificate cannot be made: {0}")]
    Certificate(String),
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Closed(gate) => gate.condition.reason.as_str(),
            Self::Input(InputError::Forbidden { .. }) => "MissingRights",
            Self::Input(InputError::Unavailable { .. }) => "ReadFailed",
            Self::CaBundle { .. } => "CABundleConfigMapError",
            Self::Invalid(_) => "InvalidSpec",
            Self::Render(_) => "RenderFailed",
            Self::Plan(_) => "PlanFailed",
            Self::Migration(_) => "MigrationError",
            Self::Certificate(_) => "CertificateFailed",
        }
    }

    fn next(&self) -> Next {
        match self {
            // A missing rule may be granted at any time, and nothing tells us.
            Self::Input(_) | Self::Certificate(_) => Next::Retry,
            // The user's turn, or the platform's; what is read again tells.
            Self::Closed(_)
            | Self::CaBundle { .. }
            | Self::Invalid(_)
            | Self::Render(_)
            | Self::Plan(_)
            | Self::Migration(_) => Next::Wait,
        }
    }
}
