//! `components.platform.opendatahub.io/v1alpha1`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Name of a namespace.
const NAMESPACE: &str = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
/// A DNS domain in lower case.
const DOMAIN: &str = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$";

/// What a hub is asked to be.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "components.platform.opendatahub.io",
    version = "v1alpha1",
    kind = "AIHub",
    plural = "aihubs",
    status = "AIHubStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "The operators of model registries and of the catalog, and the catalog itself. There is one, and its name is `default-aihub`.",
    printcolumn(
        name = "AppNamespace",
        type_ = "string",
        json_path = ".spec.applicationNamespace"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AIHubSpec {
    /// Namespace that the operators run in.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub application_namespace: String,
    /// Namespace that registries and the catalog are in. It may be that of the operators.
    #[schemars(length(min = 1, max = 63), regex(pattern = NAMESPACE))]
    pub instances_namespace: String,
    /// The gateway that registries and the catalog are reached through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<Gateway>,
}

/// The gateway that registries and the catalog are reached through.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Gateway {
    /// Domain of the gateway. Absent means that there is none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253), regex(pattern = DOMAIN))]
    pub domain: Option<String>,
}

/// What a hub is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AIHubStatus {
    /// `Ready` or `Not Ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// Generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Aspects of the hub's state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<HubCondition>,
    /// What runs, in which version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "releases")]
    pub releases: Vec<Release>,
}

/// A condition in the form of the platform's modules.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HubCondition {
    /// Name of the condition.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// `Info` for what is no error; absent otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// When the status changed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_transition_time: Option<Time>,
    /// Generation of the resource that the condition speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// What runs, in which version.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Release {
    /// Which program.
    pub name: String,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_url: Option<String>,
}

/// The platform's own form: there are more fields than in Kubernetes' type, and fewer are required.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "atomic",
        "items": {
            "description": "One aspect of the state of the resource.",
            "type": "object",
            "required": ["status", "type"],
            "properties": {
                "lastHeartbeatTime": {
                    "description": "Of an earlier time; never set.",
                    "type": "string",
                    "format": "date-time",
                },
                "lastTransitionTime": {
                    "description": "When the status changed last.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "Why, for people.",
                    "type": "string",
                },
                "observedGeneration": {
                    "description": "Generation of the resource that the condition speaks of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "Why, for programs.",
                    "type": "string",
                },
                "severity": {
                    "description": "`Info` for what is no error; empty otherwise.",
                    "type": "string",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "Name of the condition.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
            },
        },
    })
}

fn releases(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "description": "What runs, in which version.",
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"description": "Which program.", "type": "string"},
                "repoUrl": {"description": "Where its source is.", "type": "string"},
                "version": {"description": "Its version.", "type": "string"},
            },
        },
    })
}
