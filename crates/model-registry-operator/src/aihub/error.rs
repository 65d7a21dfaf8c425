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
    /// A namespace is being deleted: nothing can be made in it.
    #[error(
        "namespace {0} is being deleted; wait until it is gone, or name another one in spec.{1}"
    )]
    Leaving(String, &'static str),
    /// An object could not be written down.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Input(error) => error.reason(),
            Self::Leaving(..) => "NamespaceTerminating",
            Self::Plan(_) => "PlanFailed",
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Input(error) => error.next(),
            // The end of a namespace is an event.
            Self::Leaving(..) | Self::Plan(_) => Next::Wait,
        }
    }
}
