//! Why nobody's access changes.

use runtime::component::{Failure, Next};
use runtime::inputs::InputError;

/// Why nobody's access changes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The platform's list of groups is none.
    #[error(
        "Auth auth: {field} is {found}, and {wanted} was expected; correct it (kubectl edit auth \
         auth), until then access to namespaces stays as it is"
    )]
    Groups {
        /// `spec.adminGroups`, `spec.allowedGroups[2]`.
        field: String,
        /// What it is: `a number`.
        found: &'static str,
        /// What it should be.
        wanted: &'static str,
    },
    /// It could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A binding could not be written down: a mistake in the code.
    #[error(transparent)]
    Plan(#[from] resources::PlanError),
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::Groups { .. } => "GroupsInvalid",
            Self::Input(error) => error.reason(),
            Self::Plan(_) => "PlanInvalid",
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::Groups { .. } | Self::Plan(_) => Next::Wait,
            Self::Input(error) => error.next(),
        }
    }
}
