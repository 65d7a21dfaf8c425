//! An operator that is killed, or whose answers are lost, leaves the cluster that it would have
//! left undisturbed; and one that is restarted writes nothing.

#![cfg(test)]

mod errors;
mod every_write;
#[path = "../common/harness.rs"]
#[expect(
    dead_code,
    reason = "shared with other test targets, which need more of it"
)]
mod harness;
mod random;
mod restart;
mod scenario;
mod seed;
mod stage;
mod state;
