//! ModelRegistry resources become running, secured registries.

pub mod aihub;
pub mod catalog;
pub mod cli;
pub mod migration;
pub mod offline;
pub mod rbac;
pub mod registry;
