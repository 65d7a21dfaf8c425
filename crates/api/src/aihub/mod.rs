//! Kind AIHub.

pub mod v1alpha1;
