//! The claim of the volume with the data.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::ObjectMeta;
use resources::kind::PERSISTENT_VOLUME_CLAIM;
use resources::meta::{annotated, pairs};
use resources::{Plan, PlanError, Planned};

use super::metadata::{called, identity};
use crate::service::names::CLAIM_FIXED;
use crate::service::validated::{Fixed, Validated};

pub(super) fn claim(service: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(claim) = &service.claim else {
        return Ok(());
    };
    let name = service.names.claim.as_str();
    let Fixed {
        access_modes,
        storage_class_name,
        volume_name,
        volume_mode,
    } = claim.fixed.clone();
    let mut metadata = called(service, name);
    if claim.retain {
        // Without an owner it outlives the resource.
        metadata = ObjectMeta {
            owner_references: None,
            ..metadata
        };
    }
    // Only what is chosen needs to be remembered: a claim says its modes itself.
    if storage_class_name.is_some() || volume_name.is_some() || volume_mode.is_some() {
        let fixed = serde_json::to_string(&claim.fixed).map_err(|source| PlanError::Json {
            kind: PERSISTENT_VOLUME_CLAIM.kind,
            source,
        })?;
        metadata = annotated(metadata, pairs([(CLAIM_FIXED, fixed.as_str())]));
    }
    let size = BTreeMap::from([("storage".to_owned(), Quantity(claim.size.clone()))]);
    let object = PersistentVolumeClaim {
        metadata,
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(access_modes),
            resources: Some(VolumeResourceRequirements {
                requests: Some(size),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name,
            volume_mode,
            volume_name,
            ..PersistentVolumeClaimSpec::default()
        }),
        status: None,
    };
    let planned = Planned::new(PERSISTENT_VOLUME_CLAIM, &object)?;
    plan.push(planned.identified_by(identity(service)).use_foreign());
    Ok(())
}
