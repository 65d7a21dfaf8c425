//! `ModelRegistry`, group `modelregistry.opendatahub.io`.

pub mod database;
pub mod endpoint;
pub mod proxy;
pub mod v1alpha1;
pub mod v1beta1;
