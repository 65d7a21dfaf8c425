//! What the tests of operators share, whichever operator it is: the program in a thread of the test
//! ([`Operator`]), the way of the API server to it, a wire between both that fails ([`wire`]), what
//! it asks for at rest, and the comparison with recorded cases ([`recorded`]). A dependency of tests
//! only: the first surprise is a panic.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod operator;
pub mod recorded;
mod rules;
mod site;
pub mod wire;

pub use operator::{Operator, args, environment};
pub use rules::rules_are_sound;
pub use site::{Account, at_rest, free_ports, has_read, install, lead_to};
