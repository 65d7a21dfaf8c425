//! How Prometheus reads a service's metrics.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rules;

/// A time as Prometheus writes it.
const DURATION: &str =
    "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$";

/// How Prometheus reads a service's metrics.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = crate::rules::extension(rules::MONITORING)))]
pub struct ServiceMonitoring {
    /// Whether there is a ServiceMonitor, where the cluster knows them. Absent means yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Time between two reads. Absent means `4s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = DURATION))]
    pub interval: Option<String>,
    /// Longest that one read may take, at most `interval`. Absent means `3s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = DURATION))]
    pub scrape_timeout: Option<String>,
    /// Names of the metrics that are kept. Absent means every one that begins with `trustyai_`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "names")]
    pub metrics: Vec<String>,
    /// A ServiceMonitor whose labels, annotations and `spec` are merged over the default one.
    /// Fields of its endpoints override those of the default endpoint at the same place.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "embedded")]
    pub reference: Option<Map<String, Value>>,
}

fn names(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[a-zA-Z_:][a-zA-Z0-9_:]*$"},
    })
}

/// Any object: `apiVersion`, `kind` and `metadata` may be left out.
fn embedded(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}
