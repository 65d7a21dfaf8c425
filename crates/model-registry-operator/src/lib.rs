//! ModelRegistry resources become running, secured registries.

pub mod aihub;
pub mod catalog;
pub mod cli;
pub mod migration;
pub mod offline;
pub mod rbac;
pub mod registry;

use runtime::operator::Process;

/// What the program says about itself.
pub const PROCESS: Process = Process {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    lease: rbac::LEASE,
};
