//! What a server becomes, without a cluster.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]
#![cfg(test)]

mod cases;
mod compat;
mod plan;
mod status;
mod walk;
mod world;
