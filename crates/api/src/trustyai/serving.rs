//! How models send what they answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How models that ModelMesh serves send what they answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ModelMesh {
    /// `configMap`: by ConfigMap `model-serving-config` in this namespace. `env`: by environment
    /// of the ModelMesh Deployments. `none`: not at all. Absent means `auto`: the ConfigMap where
    /// the ModelMesh controller runs in this namespace, else the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<ModelMeshMethod>,
}

/// Ways to tell ModelMesh where to send.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::described_by_field)]
pub enum ModelMeshMethod {
    /// The ConfigMap where the ModelMesh controller runs in the namespace, else the environment.
    #[default]
    Auto,
    /// The key `config.yaml` of ConfigMap `model-serving-config`.
    ConfigMap,
    /// The environment of the ModelMesh Deployments.
    Env,
    /// Nothing is told.
    None,
}

/// How models that KServe serves send what they answer.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct KServe {
    /// What becomes of a logger that somebody else set in an InferenceService. `Keep`: it stays,
    /// and that model sends nothing here. `Replace`: ours takes its place. Absent means `Keep`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub existing_loggers: Option<LoggerPolicy>,
}

/// What becomes of a logger that somebody else set.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum LoggerPolicy {
    /// It stays.
    #[default]
    Keep,
    /// Ours takes its place.
    Replace,
}
