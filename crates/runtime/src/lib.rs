//! The loop that every operator runs: observe, plan, apply, prune, status.

pub mod capabilities;
pub mod component;
pub mod inputs;
pub mod outcome;

pub use capabilities::Capabilities;
pub use component::{Attempt, Component, Detail, Failure, Identity, Next, Note, Owner, Watched};
pub use inputs::{InputError, Inputs};
pub use outcome::{Failed, Outcome, Target};
