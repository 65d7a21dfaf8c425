//! Kind Catalog.

pub mod v1alpha1;
