//! The claim and the volume as they are.

use std::collections::BTreeMap;

use api::trustyai::v1::Storage;
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaimSpec, PersistentVolumeClaimStatus, PersistentVolumeSpec,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use resources::kind::{PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM};
use runtime::inputs::{InputError, Inputs};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::names::{CLAIM, CLAIM_FIXED};

/// A claim as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveClaim {
    /// It belongs to the resource.
    pub ours: bool,
    /// Its volume is there.
    pub bound: bool,
    /// Size asked for.
    pub size: Option<String>,
    /// Size of the volume.
    pub capacity: Option<String>,
    /// How nodes may use it.
    pub access_modes: Vec<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// What our apply asked for and cannot change, as [`CLAIM_FIXED`] has it.
    pub fixed: Option<String>,
}

/// A volume as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveVolume {
    /// Its storage class; empty for none.
    pub storage_class: String,
    /// `Filesystem` or `Block`.
    pub mode: String,
}

/// The claim that the pods mount.
pub(super) async fn claim<I: Inputs>(
    name: &str,
    namespace: &str,
    storage: &Storage,
    inputs: &I,
) -> Result<Option<LiveClaim>, InputError> {
    if let Some(existing) = &storage.existing_claim {
        let claim = inputs.get(PERSISTENT_VOLUME_CLAIM, existing).await?;
        return Ok(claim.map(|claim| live(&claim)));
    }
    let name = format!("{name}{CLAIM}");
    if let Some(claim) = inputs.child(PERSISTENT_VOLUME_CLAIM, Some(namespace), &name) {
        return Ok(Some(LiveClaim {
            ours: true,
            ..live(&claim)
        }));
    }
    // One that somebody prepared.
    let claim = inputs.get(PERSISTENT_VOLUME_CLAIM, &name).await?;
    Ok(claim.map(|claim| live(&claim)))
}

fn live(claim: &Value) -> LiveClaim {
    let annotations = claim.pointer("/metadata/annotations");
    let fixed = annotations.and_then(|all| all.get(CLAIM_FIXED)?.as_str());
    let fixed = fixed.map(str::to_owned);
    let spec: PersistentVolumeClaimSpec = member(claim, "spec");
    let status: PersistentVolumeClaimStatus = member(claim, "status");
    let requests = spec.resources.and_then(|resources| resources.requests);
    let storage = |amounts: Option<BTreeMap<String, Quantity>>| Some(amounts?.remove("storage")?.0);
    LiveClaim {
        ours: false,
        bound: status.phase.as_deref() == Some("Bound"),
        size: storage(requests),
        capacity: storage(status.capacity),
        access_modes: spec.access_modes.unwrap_or_default(),
        storage_class: spec.storage_class_name,
        fixed,
    }
}

/// A member of an object, as its type; its default where it is missing.
fn member<T: DeserializeOwned + Default>(object: &Value, name: &str) -> T {
    let found = object.get(name).cloned();
    found
        .and_then(|member| serde_json::from_value(member).ok())
        .unwrap_or_default()
}

/// The volume of this name.
pub(super) async fn volume<I: Inputs>(
    name: &str,
    inputs: &I,
) -> Result<Option<LiveVolume>, InputError> {
    let Some(volume) = inputs.get(PERSISTENT_VOLUME, name).await? else {
        return Ok(None);
    };
    let spec: PersistentVolumeSpec = member(&volume, "spec");
    Ok(Some(LiveVolume {
        storage_class: spec.storage_class_name.unwrap_or_default(),
        mode: spec.volume_mode.unwrap_or_else(|| "Filesystem".to_owned()),
    }))
}
