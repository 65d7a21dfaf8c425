//! `components.platform.opendatahub.io/v1alpha1`.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::module::{ModuleCondition, Release, conditions, releases};

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
    pub conditions: Vec<ModuleCondition>,
    /// What runs, in which version.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "releases")]
    pub releases: Vec<Release>,
}
