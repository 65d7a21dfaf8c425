//! What the tests of operators share, whichever operator it is: clusters with its manifests
//! ([`Installation`]), a namespace of the test's own ([`World`]), the program in a thread of the test
//! ([`Operator`]), the way of the API server to it, a wire between both that fails ([`wire`]), what
//! it asks for at rest, a pass without a cluster ([`Pass`]), edits of resources ([`edits`]), and the
//! comparison with recorded cases ([`recorded`]). A dependency of tests only: the first surprise is a panic.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

pub mod edits;
mod installation;
mod operator;
mod pass;
pub mod recorded;
mod rules;
mod site;
pub mod wire;
mod world;

use std::path::PathBuf;

pub use installation::{Installation, Site};
pub use operator::{Operator, args, environment};
pub use pass::{Pass, bodies, noted};
pub use rules::{kinds_have_their_verbs, rights_are_sound};
pub use runtime::rbac::Account;
pub use site::{accepted, at_rest, free_ports, has_read, install, lead_to};
pub use world::{COLLECTED, SOON, World};

/// Root of the workspace.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}
