//! What runs beside the server: migration, garbage collection, archival of traces.

use k8s_openapi::api::core::v1::ResourceRequirements;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// How the database is brought to the server's version. The annotation
/// `mlflow.opendatahub.io/force-migrate` asks for one more run.
#[derive(Clone, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(transform = schema::described_by_field)]
pub struct Migration {
    /// `Automatic`: when the database is new, or the version has changed. `Always`: with every
    /// change of the resource, which stops the server each time.
    #[serde(default)]
    pub mode: MigrationMode,
    /// Seconds after which a migration that has not ended is ended and has failed. Absent means 21600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60))]
    pub active_deadline_seconds: Option<i64>,
    /// Seconds that a finished Job stays. Absent means 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 3600))]
    pub ttl_seconds_after_finished: Option<i32>,
}

/// When a migration runs.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum MigrationMode {
    /// When the database is new, or the version has changed.
    #[default]
    Automatic,
    /// With every change of the resource.
    Always,
}

/// A job that deletes for good what users deleted.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GarbageCollection {
    /// When it runs, as cron says it: `0 2 * * 0` is Sunday at two.
    #[schemars(length(min = 1))]
    pub schedule: String,
    /// Only what has been deleted so long, as `30d` or `7d12h`. Absent means everything that is
    /// deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1),
        regex(pattern = r"^(\d+(\.\d+)?d)?(\d+(\.\d+)?h)?(\d+(\.\d+)?m)?(\d+(\.\d+)?s)?$")
    )]
    pub older_than: Option<String>,
    /// Requests and limits of the job. Absent means 100m and 256Mi, at most 500m and 512Mi; what
    /// is set takes the place of all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

/// A job that moves old traces out of the database.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceArchival {
    /// Whether there is such a job. The server shows what is archived then.
    #[serde(default)]
    pub enabled: bool,
    /// When it runs, as cron says it.
    #[serde(default = "every_six_hours")]
    #[schemars(length(min = 1, max = 256))]
    pub schedule: String,
    /// Where traces go: `s3://bucket/path`, or `file:///mlflow/archive`, which needs `storage`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    pub location: Option<String>,
    /// Traces that are older go: a number with `m`, `h` or `d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16), regex(pattern = r"^\d+[mhd]$"))]
    pub retention: Option<String>,
    /// Most traces that one run moves.
    #[serde(default = "a_thousand")]
    #[schemars(range(min = 1))]
    pub max_traces_per_pass: i32,
    /// IDs of experiments whose own, longer retention counts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub long_retention_allowlist: Vec<String>,
    /// Requests and limits of the job. Absent means 100m and 256Mi, at most 500m and 512Mi; what
    /// is set takes the place of all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::resources")]
    pub resources: Option<ResourceRequirements>,
}

fn every_six_hours() -> String {
    "0 */6 * * *".to_owned()
}

fn a_thousand() -> i32 {
    1000
}
