//! Kind Catalog: what it becomes beside what the Go operator was recorded to make of it, and on
//! real API servers.

#![cfg(test)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod disturbed;
mod installation;
mod offline;
mod recorded;
mod rules;
mod server;
mod told;
