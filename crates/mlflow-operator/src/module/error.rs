//! What can go wrong with an MLflowOperator.

use runtime::component::{Failure, Next};

use super::PLATFORM_CONFIG;

/// What can go wrong with an MLflowOperator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The platform's ConfigMap says something that is no version.
    #[error(
        "ConfigMap {namespace}/{PLATFORM_CONFIG}: platformVersion {found:?} is no semantic version \
         of at most {limit} characters; write one, such as 2.30.1, or remove the key",
        limit = super::release::LONGEST
    )]
    PlatformVersion {
        /// Namespace of the ConfigMap.
        namespace: String,
        /// What it says, shortened.
        found: String,
    },
}

impl Failure for Error {
    fn reason(&self) -> &'static str {
        match self {
            Self::PlatformVersion { .. } => "PlatformVersionInvalid",
        }
    }

    fn next(&self) -> Next {
        match self {
            Self::PlatformVersion { .. } => Next::Wait,
        }
    }
}
