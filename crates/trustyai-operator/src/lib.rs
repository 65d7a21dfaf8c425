//! TrustyAIService resources become running, secured, monitored services.

pub mod cli;
pub mod offline;
pub mod rbac;
pub mod service;
pub mod wiring;

use runtime::operator::Process;

/// What the program says about itself.
pub const PROCESS: Process = Process {
    name: env!("CARGO_PKG_NAME"),
    version: env!("CARGO_PKG_VERSION"),
    lease: rbac::LEASE,
};
