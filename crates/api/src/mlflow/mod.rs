//! Group `mlflow.opendatahub.io`.

pub mod jobs;
mod kubernetes;
pub mod rules;
pub mod storage;
pub mod v1;
