//! The claim as it is.

use k8s_openapi::api::core::v1::{PersistentVolumeClaimSpec, PersistentVolumeClaimStatus};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use resources::kind::PERSISTENT_VOLUME_CLAIM;
use runtime::inputs::{InputError, Inputs};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::names::Names;

/// The claim as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveClaim {
    /// Its volume is there.
    pub bound: bool,
    /// What it was asked for with.
    pub spec: PersistentVolumeClaimSpec,
    /// Size of the volume.
    pub capacity: Option<Quantity>,
}

impl LiveClaim {
    /// Size asked for.
    #[must_use]
    pub fn size(&self) -> Option<&Quantity> {
        self.spec
            .resources
            .as_ref()?
            .requests
            .as_ref()?
            .get("storage")
    }
}

/// The claim of an MLflow, whether it made it or somebody prepared it.
pub(super) async fn claim<I: Inputs>(
    names: &Names,
    namespace: &str,
    inputs: &I,
) -> Result<Option<LiveClaim>, InputError> {
    let name = names.claim.as_str();
    if let Some(claim) = inputs.child(PERSISTENT_VOLUME_CLAIM, Some(namespace), name) {
        return Ok(Some(live(&claim)));
    }
    let claim = inputs.get(PERSISTENT_VOLUME_CLAIM, name).await?;
    Ok(claim.map(|claim| live(&claim)))
}

fn live(claim: &Value) -> LiveClaim {
    let status: PersistentVolumeClaimStatus = member(claim, "status");
    LiveClaim {
        bound: status.phase.as_deref() == Some("Bound"),
        spec: member(claim, "spec"),
        capacity: status.capacity.and_then(|mut all| all.remove("storage")),
    }
}

/// A member of an object, as its type; its default where it is missing.
fn member<T: DeserializeOwned + Default>(object: &Value, name: &str) -> T {
    let found = object.get(name).cloned();
    found
        .and_then(|member| serde_json::from_value(member).ok())
        .unwrap_or_default()
}
