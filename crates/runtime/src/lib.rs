//! The loop that every operator runs: observe, plan, apply, prune, status.

pub mod admission;
mod any_kind;
pub mod args;
pub mod capabilities;
pub mod client;
pub mod component;
pub mod discovery;
pub mod engine;
pub mod events;
pub mod inputs;
pub mod lease;
pub mod logging;
pub mod metrics;
pub mod offline;
pub mod operator;
pub mod outcome;
pub mod permissions;
pub mod rbac;
pub mod serve;
pub mod shutdown;
pub mod tls;
pub mod tls_profile;
pub mod told;
pub mod ways;
pub mod webhook_certificates;
pub mod workload;

pub use capabilities::Capabilities;
pub use component::{
    Attempt, Component, Detail, Failure, Identity, Next, Note, Owner, Watched, Which,
};
pub use inputs::{InputError, Inputs};
pub use outcome::{Failed, Outcome, Target};
