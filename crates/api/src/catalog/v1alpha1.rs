//! `aihub.opendatahub.io/v1alpha1`.

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// What a catalog is asked to be.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "aihub.opendatahub.io",
    version = "v1alpha1",
    kind = "Catalog",
    plural = "catalogs",
    namespaced,
    status = "CatalogStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A catalog of models, MCP servers and agents, with its database and the proxy in front of it. There is one, and its name is `catalog`.",
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(remote = "Self")]
pub struct CatalogSpec {
    /// Compute resources of the workloads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The catalog's database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,
}

absent_is_default!(CatalogSpec);

/// Compute resources of the workloads.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Resources {
    /// Those of the catalog's server. Absent means 100m CPU and 256Mi memory, at most 256Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub catalog: Option<ResourceRequirements>,
    /// Those of the database. Absent means 250m CPU and 256Mi memory, at most 500m and 512Mi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub postgres: Option<ResourceRequirements>,
}

/// The catalog's database. It holds what can be read again from the sources.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
pub struct Database {
    /// Where the database keeps its files: a volume that goes with the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<Volume>,
}

/// A volume that goes with the pod.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Volume {
    /// The most that the volume may hold. Absent means 5Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::size_limit")]
    pub size_limit: Option<Quantity>,
}

/// What a catalog is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CatalogStatus {
    /// Aspects of the catalog's state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}
