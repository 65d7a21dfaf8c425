//! `ModelRegistry`, group `modelregistry.opendatahub.io`.

pub mod access;
pub mod conversion;
pub mod database;
pub mod endpoint;
pub mod istio;
pub mod proxy;
pub mod v1alpha1;
pub mod v1beta1;
