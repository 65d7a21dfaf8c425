//! ModelRegistry resources become running, secured registries.

pub mod registry;
