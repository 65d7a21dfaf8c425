//! The operator against real API servers, plain Kubernetes and the stand-in for OpenShift.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]
#![cfg(test)]

mod admission;
mod children;
mod deletion;
mod drift;
mod edits;
mod harness;
mod installation;
mod leftovers;
mod modelmesh;
mod models;
mod optional_apis;
mod rotation;
mod samples;
mod start;
mod status;
mod storage;
mod takeover;
mod ways;
mod wiring;
