//! `trustyai.opendatahub.io/v1`, the version that is stored. v1alpha1 has the same schema.

#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns repeat a type"
)]

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use super::monitoring::ServiceMonitoring;
pub use super::serving::{KServe, LoggerPolicy, ModelMesh, ModelMeshMethod};
pub use super::storage::{AccessMode, Data, Storage, StorageFormat};
use super::{rules, storage};
use crate::common::{DeletionPolicy, Operand};
use crate::exposure::Exposure;
use crate::modelregistry::endpoint::ServiceRoute;
use crate::schema;

/// What a TrustyAI service is asked to be.
#[derive(Clone, CustomResource, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "trustyai.opendatahub.io",
    version = "v1",
    kind = "TrustyAIService",
    plural = "trustyaiservices",
    namespaced,
    status = "TrustyAIServiceStatus",
    derive = "Default",
    derive = "PartialEq",
    doc = "A service that watches what models answer, and measures whether they are fair and still fit their data.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "Storage", type_ = "string", json_path = ".spec.storage.format"),
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.replicas"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(remote = "Self", rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = crate::rules::extension(rules::SPEC)))]
pub struct TrustyAIServiceSpec {
    /// Number of pods. Absent means 1. More than one needs a database, or a volume that many nodes
    /// may write; else one runs and the status says why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Where the service keeps its data.
    pub storage: Storage,
    /// The files that hold the data, where it is kept in a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// When metrics are calculated. A service needs this or `trustyaiMetrics`, which is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// Another name of `metrics`.
    #[serde(rename = "trustyaiMetrics", skip_serializing_if = "Option::is_none")]
    pub trustyai_metrics: Option<Metrics>,
    /// How Prometheus reads the service's metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_monitoring: Option<ServiceMonitoring>,
    /// How models that ModelMesh serves send what they answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_mesh: Option<ModelMesh>,
    /// How models that KServe serves send what they answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kserve: Option<KServe>,
    /// What becomes of the volume when the resource is deleted. Absent means that it goes with it.
    /// A claim that somebody else made always stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether an OpenShift Route leads to the service. Absent means enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_route: Option<ServiceRoute>,
    /// Ways in from outside the cluster, on any Kubernetes. OpenShift's Route is apart from these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<Exposure>,
    /// Compute resources of the service's container. Absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// How the service's pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operand: Option<Operand>,
}

absent_is_default!(TrustyAIServiceSpec);

impl TrustyAIServiceSpec {
    /// When metrics are calculated, by whichever of its two names.
    #[must_use]
    pub fn metrics(&self) -> Option<&Metrics> {
        self.metrics.as_ref().or(self.trustyai_metrics.as_ref())
    }
}

/// When metrics are calculated.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Time between two calculations: a number with `s`, `m`, `h` or `d`, or an ISO 8601 duration.
    pub schedule: String,
    /// Number of the newest inferences that a calculation looks at. Absent means 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "storage::any_integer")]
    pub batch_size: Option<i64>,
}

/// What a TrustyAI service is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrustyAIServiceStatus {
    /// Aspects of the service's state.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "storage::stored_conditions"
    )]
    #[schemars(schema_with = "storage::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready` or `Not Ready`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `True` or `False`: the condition `Ready` in the form of an earlier time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<String>,
    /// Pods of the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Pods that answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,
    /// Address of the service: the external one where there is one, else the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Hash of the certificate that the first pods started with. Another one replaces pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}
