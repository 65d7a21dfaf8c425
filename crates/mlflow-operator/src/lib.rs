//! MLflow resources become running, migrated, secured MLflow servers.

pub mod access;
pub mod cli;
pub mod config;
pub mod kinds;
pub mod loops;
pub mod migration;
pub mod module;
pub mod names;
pub mod offline;
pub mod platform;
pub mod rbac;
pub mod server;

use runtime::operator::Process;

/// What the program says about itself.
pub const PROCESS: Process = Process {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    lease: rbac::LEASE,
};
