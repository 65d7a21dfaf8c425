//! Volumes of the server.

use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{kubernetes, rules};
use crate::schema as schemas;

/// The volume at `/mlflow`, in a short shape or in that of a PersistentVolumeClaim.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Size of the volume, in the short shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// How nodes may use the volume, in the short shape.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_mode: Option<String>,
    /// What a claim is made with.
    #[serde(flatten)]
    pub claim: PersistentVolumeClaimSpec,
}

impl Storage {
    /// The claim, whichever shape it was given in, as far as it was given.
    #[must_use]
    pub fn claim(&self) -> PersistentVolumeClaimSpec {
        let mut claim = self.claim.clone();
        if let Some(mode) = &self.access_mode {
            claim.access_modes = Some(vec![mode.clone()]);
        }
        if let Some(size) = &self.size {
            let resources = claim.resources.get_or_insert_default();
            let requests = resources.requests.get_or_insert_default();
            requests.insert("storage".to_owned(), size.clone());
        }
        claim
    }
}

/// That of a claim, with two fields more.
pub(super) fn schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = kubernetes::schema::<PersistentVolumeClaimSpec>(generator);
    let mut size = schemas::size(generator);
    size.insert(
        "description".into(),
        "Size of the volume, as `20Gi`: short for `resources.requests.storage`. It can grow where the storage class allows it, never shrink. Absent means 2Gi."
            .into(),
    );
    let mode = json_schema!({
        "description": "How nodes may use the volume, fixed once it exists: short for one entry of `accessModes`. Absent means `ReadWriteOnce`.",
        "type": "string",
        "enum": ["ReadWriteOnce", "ReadWriteMany", "ReadWriteOncePod"],
    });
    if let Some(properties) = schema
        .get_mut("properties")
        .and_then(|properties| properties.as_object_mut())
    {
        properties.insert("size".into(), size.into());
        properties.insert("accessMode".into(), mode.into());
    }
    schema.insert(
        "x-kubernetes-validations".into(),
        crate::rules::extension(rules::STORAGE),
    );
    schema
}

/// The directory `/tmp`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(transform = schemas::described_by_field)]
pub struct TemporaryStorage {
    /// Most that it holds; artifacts on their way through the server are here. Absent means 1Gi.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "limit")]
    pub size_limit: Option<Quantity>,
}

fn limit(_: &mut SchemaGenerator) -> Schema {
    schemas::quantity()
}
