//! The operator against real API servers, plain Kubernetes and the stand-in for OpenShift.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![cfg(test)]

mod children;
mod collection;
mod edits;
mod gateway;
mod harness;
mod installation;
mod issued;
mod lifecycle;
mod optional_apis;
mod takeover;
