//! The operator against real API servers, plain Kubernetes and the stand-in for OpenShift.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![cfg(test)]

mod children;
mod edits;
mod harness;
mod lifecycle;
mod optional_apis;
mod takeover;
