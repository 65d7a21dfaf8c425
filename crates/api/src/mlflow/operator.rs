//! `components.platform.opendatahub.io/v1alpha1`, MLflowOperator.

#![allow(
    clippy::duplicated_attributes,
    reason = "printer columns of one type name it once each"
)]

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::module::{ModuleCondition, Release, conditions as atomic_conditions, releases};

/// What the platform tells the operator.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "components.platform.opendatahub.io",
    version = "v1alpha1",
    kind = "MLflowOperator",
    plural = "mlflowoperators",
    status = "MLflowOperatorStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "The platform's switch of the MLflow operator. There is one, and its name is `default-mlflowoperator`.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Ready",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        description = "Reason",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    )
)]
#[serde(remote = "Self", default, rename_all = "camelCase")]
pub struct MLflowOperatorSpec {
    /// What the platform knows of its gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
    /// Name of the Gateway that HTTPRoutes are attached to. The operator waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_name: Option<String>,
    /// Section of the console's menu that MLflow is in. The operator waits for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_title: Option<String>,
}

absent_is_default!(MLflowOperatorSpec);

/// What the platform knows of its gateway.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Gateway {
    /// Domain or URL of the gateway. Absent means that there is none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
}

/// What the operator tells the platform.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MLflowOperatorStatus {
    /// `Ready` or `Progressing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Aspects of the operator's state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<ModuleCondition>,
    /// What runs, in which version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "releases")]
    pub releases: Vec<Release>,
}

/// The platform writes conditions here too, so the list is a map by type.
fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = atomic_conditions(generator);
    schema.insert("x-kubernetes-list-type".into(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".into(), json!(["type"]));
    schema
}
