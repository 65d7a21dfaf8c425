//! What several resources share.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, EnvVar, LocalObjectReference, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{rules, schema};

/// One key of a Secret in the namespace of the resource.
#[derive(
    Clone, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct SecretKeyValue {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret.
    pub key: String,
}

/// One key of a ConfigMap in the namespace of the resource.
#[derive(
    Clone, Debug, Default, Deserialize, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub struct ConfigMapKeyValue {
    /// Name of the ConfigMap.
    pub name: String,
    /// Key in the ConfigMap.
    pub key: String,
}

/// How the pods of a resource run. Everything is optional; what is absent stays as the
/// operator chooses. Node selector, tolerations, affinity and pull secrets are also those of a
/// database that the operator runs for the resource.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Operand {
    /// Number of pods, where the workload can run more than one. Absent means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub replicas: Option<i32>,
    /// Labels that a node must have to run the pods.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tolerations: Vec<Toleration>,
    /// Rules of attraction to nodes and to other pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Secrets with credentials for the registries that the images come from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list_map_by_name::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Labels added to the pods. Labels that the operator sets itself win.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations added to the pods. Annotations that the operator sets itself win.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Environment variables added to the main container. Variables that the operator sets
    /// itself win.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list_map_by_name::<EnvVar>")]
    pub env: Vec<EnvVar>,
    /// Limits how many pods a voluntary disruption, such as a node drain, takes away at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<DisruptionBudget>,
}

/// How many pods a voluntary disruption leaves.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(rules::DISRUPTION_BUDGET)))]
pub struct DisruptionBudget {
    /// Number or percentage of pods that stay available.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count_or_percentage")]
    pub min_available: Option<IntOrString>,
    /// Number or percentage of pods that may be gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::count_or_percentage")]
    pub max_unavailable: Option<IntOrString>,
}

/// The volume of a workload that the operator runs itself.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume. It can grow where the storage class allows it, never shrink.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::size")]
    pub size: Option<Quantity>,
    /// Storage class of the volume, fixed once the volume exists. Absent means the
    /// cluster's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class_name: Option<String>,
}

/// What becomes of data when nothing uses it any more.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum DeletionPolicy {
    /// The data goes with the workload that wrote it.
    #[default]
    Delete,
    /// The data stays; whoever wants it gone deletes it by hand.
    Retain,
}
