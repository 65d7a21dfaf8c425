//! Kinds MLflow, MLflowConfig and MLflowOperator.

pub mod config;
pub mod jobs;
mod kubernetes;
pub mod operator;
pub mod rules;
pub mod storage;
pub mod v1;
