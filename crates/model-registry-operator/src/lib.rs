//! ModelRegistry resources become running, secured registries.
