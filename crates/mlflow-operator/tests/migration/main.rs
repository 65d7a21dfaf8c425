//! Migrations against a real API server with the real controllers of Deployments and Jobs. The tests
//! play the kubelet: no pod finds a node, and what becomes of it is written by the test.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![cfg(test)]

mod outcomes;
mod requests;
mod server;
mod world;
