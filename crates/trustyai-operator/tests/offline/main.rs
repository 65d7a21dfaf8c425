//! What a service becomes, without a cluster.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![cfg(test)]

mod compat;
mod plan;
mod start;
mod told;
mod wiring;
mod world;
