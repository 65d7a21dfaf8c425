//! Where a service keeps its data, and the schemas that derive does not give.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::rules;
use crate::schema;

/// Kinds of storage.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[schemars(transform = schema::described_by_field)]
pub enum StorageFormat {
    /// Files in a volume.
    #[default]
    #[serde(rename = "PVC")]
    Pvc,
    /// A MariaDB or MySQL database.
    #[serde(rename = "DATABASE")]
    Database,
}

/// Where a service keeps its data.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = crate::rules::extension(rules::STORAGE)))]
pub struct Storage {
    /// `PVC`: files in a volume. `DATABASE`: a MariaDB or MySQL database.
    pub format: StorageFormat,
    /// Directory that the volume is mounted at. With `DATABASE`, the directory whose data moves to
    /// the database; `data.filename` must be set as well then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Size of the volume, as `1Gi`. It can grow where the storage class allows it, never shrink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<String>,
    /// Name of the Secret with the database's address and credentials. Absent means
    /// `NAME-db-credentials`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_configurations: Option<String>,
    /// Name of an existing PersistentVolume that the claim is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub pv: Option<String>,
    /// Storage class of the claim, fixed once it exists; empty for none. Absent means that of
    /// `pv`, or without `pv` the cluster's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub storage_class_name: Option<String>,
    /// How nodes may use the volume, fixed once the claim exists. Absent means `ReadWriteOnce`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "access_modes")]
    pub access_modes: Vec<AccessMode>,
    /// Name of an existing PersistentVolumeClaim in the namespace, used as it is. No claim is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), regex(pattern = schema::SUBDOMAIN))]
    pub existing_claim: Option<String>,
}

/// How nodes may use a volume.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub enum AccessMode {
    /// One node writes.
    ReadWriteOnce,
    /// Many nodes write.
    ReadWriteMany,
    /// One pod writes.
    ReadWriteOncePod,
}

impl AccessMode {
    /// As Kubernetes writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteMany => "ReadWriteMany",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
        }
    }
}

/// The files that hold the data.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// Suffix of the files' names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Format of the files, as `CSV`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
}

fn access_modes(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 3,
        "x-kubernetes-list-type": "set",
        "items": (generator.subschema_for::<AccessMode>()),
    })
}

/// An integer of any size: the Go operator's schema gives none.
pub(super) fn any_integer(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer"})
}

/// Conditions, of which only type and status are required: earlier operators stored such.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One aspect of the state of the resource.",
            "type": "object",
            "required": ["status", "type"],
            "properties": {
                "type": {"description": "Name of the condition.", "type": "string"},
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {"description": "Why, as one word for programs.", "type": "string"},
                "message": {"description": "Why, as a sentence for people.", "type": "string"},
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "lastUpdateTime": {
                    "description": "When the condition was last written, where its writer says so.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "Generation of the resource that the condition speaks of. Older than metadata.generation means out of date.",
                    "type": "integer",
                    "format": "int64",
                },
            },
        },
    })
}

/// Conditions as they may be stored. What is missing in one is filled in: a resource that cannot be
/// read would keep the whole list from being read.
pub(super) fn stored_conditions<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Condition>, D::Error> {
    let stored = Option::<Vec<Map<String, Value>>>::deserialize(deserializer)?;
    let completed = stored.unwrap_or_default().into_iter().map(|mut condition| {
        for (name, filler) in [
            ("lastTransitionTime", "1970-01-01T00:00:00Z"),
            ("message", ""),
            ("reason", ""),
        ] {
            let field = condition.entry(name).or_insert(Value::Null);
            if field.is_null() {
                *field = filler.into();
            }
        }
        serde_json::from_value(condition.into()).map_err(serde::de::Error::custom)
    });
    completed.collect()
}
