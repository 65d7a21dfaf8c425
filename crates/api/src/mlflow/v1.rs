//! `mlflow.opendatahub.io/v1`.

#![allow(
    clippy::duplicated_attributes,
    reason = "several printer columns repeat a type"
)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, LocalObjectReference, PodResourceClaim, PodSecurityContext,
    ResourceRequirements, SecurityContext, Toleration,
};
use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use super::jobs::{GarbageCollection, Migration, MigrationMode, TraceArchival};
pub use super::storage::{Storage, TemporaryStorage};
use super::{kubernetes, rules};
use crate::common::{DeletionPolicy, DisruptionBudget};
use crate::exposure::CertManager;
use crate::schema;

/// Why a migration is run again, whatever its last outcome: the annotation of an MLflow whose
/// presence asks for it. Its value means nothing.
pub const FORCE_MIGRATE: &str = "mlflow.opendatahub.io/force-migrate";

/// What an MLflow is asked to be.
#[derive(Clone, CustomResource, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[kube(
    group = "mlflow.opendatahub.io",
    version = "v1",
    kind = "MLflow",
    plural = "mlflows",
    status = "MLflowStatus",
    derive = "PartialEq",
    doc = "An MLflow server, with its database's migrations, its volume and the way to it. It lives in the namespace of the operator.",
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Available')].status"
    ),
    printcolumn(
        name = "Progressing",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Progressing')].status"
    ),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(
        name = "URL",
        type_ = "string",
        json_path = ".status.url",
        priority = 1
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = crate::rules::extension(rules::SPEC)))]
pub struct MLflowSpec {
    /// The image of the server. Absent means the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    /// Secrets with credentials for the registries that the image comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::list_map_by_name::<LocalObjectReference>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,
    /// Number of pods. More than one needs a database server, and a store for artifacts that all
    /// of them reach.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub replicas: i32,
    /// Worker processes in each pod.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub workers: i32,
    /// How the database is brought to the server's version.
    #[serde(default)]
    pub migration: Migration,
    /// Requests and limits of the server. Absent means 1 CPU and 2Gi, at most 4 CPUs and 3Gi; what
    /// is set takes the place of all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
    /// Service account of the server. The operator makes it.
    #[serde(default = "service_account")]
    pub service_account_name: String,
    /// The volume at `/mlflow`. Absent means that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::storage::schema")]
    pub storage: Option<Storage>,
    /// What becomes of the volume when the resource, or its `storage`, is deleted. Absent means
    /// that it goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// The directory `/tmp` of server and jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temporary_storage: Option<TemporaryStorage>,
    /// URI of the database of runs and experiments: SQLite on the volume, PostgreSQL or MySQL.
    /// This or `backendStoreUriFrom` is needed; a URI with a password belongs in a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_store_uri: Option<String>,
    /// The same from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_store_uri_from: Option<SecretKey>,
    /// URI of a read-only replica of that database, which searches ask. MLflow 3.14 and newer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_replica_backend_store_uri: Option<String>,
    /// The same from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_replica_backend_store_uri_from: Option<SecretKey>,
    /// URI of the database of registered models. Absent means that of the runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_store_uri: Option<String>,
    /// The same from a Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_store_uri_from: Option<SecretKey>,
    /// Where the server keeps artifacts that pass through it, as `s3://bucket/path` or
    /// `file:///mlflow/artifacts`, which is meant when it is absent and needs `storage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts_destination: Option<String>,
    /// Where clients keep artifacts of new experiments. Needed where the server does not serve
    /// artifacts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_artifact_root: Option<String>,
    /// Whether artifacts pass through the server.
    #[serde(default)]
    pub serve_artifacts: bool,
    /// More origins that may call the server from a browser, as `https://app.example.com`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub extra_allowed_origins: Vec<String>,
    /// Which namespaces are workspaces. Absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<LabelSelector>")]
    pub workspace_label_selector: Option<LabelSelector>,
    /// Environment of server and jobs. An entry takes the place of the operator's of the same name;
    /// telemetry, job execution, the security middleware and the URIs of stores cannot be set here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::environment")]
    pub env: Vec<EnvironmentVariable>,
    /// Environment of server and jobs from Secrets and ConfigMaps. Every entry of `env` is
    /// stronger.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::list::<EnvFromSource>")]
    pub env_from: Vec<EnvFromSource>,
    /// Labels added to the pods. `app`, `component` and `app.kubernetes.io/instance` are the
    /// operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-validations" = crate::rules::extension(rules::LABELS)))]
    pub pod_labels: BTreeMap<String, String>,
    /// Annotations added to the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pod_annotations: BTreeMap<String, String>,
    /// Security of the pods, in the place of the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<PodSecurityContext>")]
    pub pod_security_context: Option<PodSecurityContext>,
    /// Security of the containers, in the place of the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<SecurityContext>")]
    pub security_context: Option<SecurityContext>,
    /// Labels that a node must have to run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("x-kubernetes-validations" = crate::rules::extension(rules::LABELS)))]
    pub node_selector: BTreeMap<String, String>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::list::<Toleration>")]
    pub tolerations: Vec<Toleration>,
    /// Rules of attraction to nodes and to other pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "kubernetes::schema::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// Devices that the server's pods claim. Needs dynamic resource allocation in the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::list_by_name::<PodResourceClaim>")]
    pub resource_claims: Vec<PodResourceClaim>,
    /// Limits how many of the server's pods a voluntary disruption, such as a node drain, takes
    /// away at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_disruption_budget: Option<DisruptionBudget>,
    /// ConfigMap with certificate authorities that server and jobs trust, beside those of the
    /// image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle_config_map: Option<CaBundle>,
    /// The certificate that the server answers with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Who may call the server, and what it may call, where the cluster enforces NetworkPolicies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policy: Option<NetworkPolicy>,
    /// What the server may call, in the place of the operator's list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::egress")]
    pub network_policy_egress_rules: Vec<NetworkPolicyEgressRule>,
    /// What server and migration may call beside that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::egress")]
    pub network_policy_additional_egress_rules: Vec<NetworkPolicyEgressRule>,
    /// A job that deletes for good what users deleted. Absent means that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub garbage_collection: Option<GarbageCollection>,
    /// A job that moves old traces out of the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_archival: Option<TraceArchival>,
}

fn one() -> i32 {
    1
}

fn service_account() -> String {
    "mlflow-sa".to_owned()
}

/// The image of the server.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Image {
    /// The whole reference, with tag or digest. Absent means the operator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When a node pulls it. Absent means what Kubernetes does by itself: always for `latest`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
}

/// When a node pulls an image.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum PullPolicy {
    /// Each time a container starts.
    Always,
    /// Unless the node has it.
    IfNotPresent,
    /// Never; the node has it.
    Never,
}

/// One key of a Secret in the namespace of the operator.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(extend("x-kubernetes-map-type" = "atomic"), transform = schema::described_by_field)]
pub struct SecretKey {
    /// Name of the Secret.
    #[serde(default)]
    pub name: String,
    /// Key in the Secret.
    pub key: String,
    /// Whether the server starts without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A variable of the environment: its name, and its value or where that is from, which is handed on
/// as it is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
pub struct EnvironmentVariable {
    /// Its name.
    pub name: String,
    /// `value` or `valueFrom`.
    #[serde(flatten)]
    pub source: Map<String, Value>,
}

/// Certificate authorities.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub struct CaBundle {
    /// Name of the ConfigMap. Keys that end in `.crt` or `.pem` count.
    #[schemars(length(min = 1))]
    pub name: String,
}

/// The certificate that the server answers with. With neither field it is the Secret `mlflow-tls`:
/// OpenShift makes it, and elsewhere the operator does unless it is there.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(
    transform = schema::described_by_field,
    extend("x-kubernetes-validations" = crate::rules::extension(rules::TLS))
)]
pub struct Tls {
    /// Name of an existing Secret with `tls.crt` and `tls.key`, and `ca.crt` where clients need
    /// it. Absent means a certificate that OpenShift makes, or the operator where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub secret_name: Option<String>,
    /// Lets cert-manager make and renew the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_manager: Option<CertManager>,
}

/// What a NetworkPolicy lets through.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = schema::described_by_field)]
pub struct NetworkPolicy {
    /// What the server may call. `Restricted`: names, HTTPS, and the ports of databases and object
    /// stores. `All`: everything. Absent means `Restricted`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// Who may call the server. Absent means every pod of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::peers")]
    pub ingress_from: Vec<NetworkPolicyPeer>,
}

/// What the server may call.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum Egress {
    /// Names, HTTPS, and the ports of databases and object stores.
    #[default]
    Restricted,
    /// Everything.
    All,
}

/// What an MLflow is.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MLflowStatus {
    /// Aspects of the server's state.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "kubernetes::conditions")]
    pub conditions: Vec<Condition>,
    /// Generation of the resource that this status speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the server is reached from outside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
    /// Where the server is reached inside the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// Version of MLflow whose migration and rollout are complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub version: Option<String>,
}

/// Where the server is reached inside the cluster.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(default)]
#[schemars(transform = schema::described_by_field)]
pub struct Address {
    /// Its URL, with HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub url: Option<String>,
}
