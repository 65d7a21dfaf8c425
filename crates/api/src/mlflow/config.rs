//! `mlflow.kubeflow.org/v1`, MLflowConfig. The MLflow server reads it; no operator does.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::{ARTIFACT_PATH, ARTIFACT_SECRET};
use crate::rules::extension;

/// Where a namespace keeps its artifacts.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "mlflow.kubeflow.org",
    version = "v1",
    kind = "MLflowConfig",
    plural = "mlflowconfigs",
    namespaced,
    derive = "PartialEq",
    doc = "Where a namespace keeps the artifacts of MLflow, in the place of the server's own store. There is one in a namespace, and its name is `mlflow`."
)]
#[serde(rename_all = "camelCase")]
pub struct MLflowConfigSpec {
    /// Secret with the connection to the bucket: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_S3_BUCKET`, `AWS_S3_ENDPOINT`, and `AWS_DEFAULT_REGION` where the bucket needs one. Its
    /// name is `mlflow-artifact-connection`.
    #[schemars(length(min = 1), extend("x-kubernetes-validations" = extension(ARTIFACT_SECRET)))]
    pub artifact_root_secret: String,
    /// Path below the root of the bucket. Absent means the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), extend("x-kubernetes-validations" = extension(ARTIFACT_PATH)))]
    pub artifact_root_path: Option<String>,
}
