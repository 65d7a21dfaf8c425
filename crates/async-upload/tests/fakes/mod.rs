//! Servers that tests talk to.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the part of a test that several test programs share"
)]

pub(crate) mod model_registry;
pub(crate) mod proxy;
pub(crate) mod sigstore;
pub(crate) mod tokens;
