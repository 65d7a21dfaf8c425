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
