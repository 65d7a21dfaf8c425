//! ModelRegistry resources become running, secured registries.

pub mod rbac;
pub mod registry;
