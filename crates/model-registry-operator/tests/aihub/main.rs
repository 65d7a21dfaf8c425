//! Kind AIHub: what it deploys, and that what it deploys works.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod offline;
mod server;
mod world;
