//! The generated Postgres as it is, and the choice of its password.

use std::collections::BTreeMap;

use api::common::DeletionPolicy;
use api::modelregistry::v1beta1::ModelRegistrySpec;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::ResourceExt;
use resources::Precondition;
use resources::content::{data, precondition};
use resources::kind::SECRET;
use runtime::inputs::Inputs;
use serde_json::Value;

use super::super::error::Error;
use super::super::names;

/// What is random in a Secret that the operator makes: the password of the generated Postgres, the
/// secret of an OAuth proxy's cookies.
#[derive(Clone)]
pub struct Credentials {
    /// `data` of the Secret.
    pub data: BTreeMap<String, ByteString>,
    /// What must hold for the Secret to be written.
    pub precondition: Precondition,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("precondition", &self.precondition)
            .finish_non_exhaustive()
    }
}

/// Deployment of the generated Postgres as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivePostgres {
    /// Hash of the credentials that the pods were first made with.
    pub baseline: Option<String>,
    /// Group of its volumes.
    pub fs_group: Option<i64>,
}

/// Volume of the generated Postgres as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveVolume {
    /// Size asked for.
    pub size: Option<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// We asked for the storage class, and so own the field.
    pub class_is_ours: bool,
}

/// Content of the Secret, where it is needed or kept.
pub(super) async fn wanted_credentials<I: Inputs>(
    name: &str,
    spec: &ModelRegistrySpec,
    inputs: &I,
) -> Result<Option<Credentials>, Error> {
    let Some(postgres) = &spec.postgres else {
        return Ok(None);
    };
    let retained = postgres.deletion_policy == Some(DeletionPolicy::Retain);
    if !postgres.is_generated() && !retained {
        return Ok(None);
    }
    let secret = format!("{name}{}", names::POSTGRES_CREDENTIALS);
    let live = inputs.get(SECRET, &secret).await?;
    if live.is_none() && !postgres.is_generated() {
        return Ok(None);
    }
    credentials(live.as_deref()).map(Some)
}

/// The Secret as it is, with what is missing in it.
fn credentials(live: Option<&Value>) -> Result<Credentials, Error> {
    let mut data = live.map(|live| data(SECRET, live)).unwrap_or_default();
    data.retain(|_, ByteString(value)| !value.is_empty());
    if !data.contains_key(names::PASSWORD) {
        data.insert(names::PASSWORD.into(), ByteString(password()?.into_bytes()));
    }
    data.entry(names::USERNAME.into())
        .or_insert_with(|| ByteString(names::GENERATED_USER.as_bytes().to_vec()));
    Ok(Credentials {
        data,
        precondition: precondition(live),
    })
}

/// 128 random bits in the form that the Go operator gives them.
pub(crate) fn password() -> Result<String, Error> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 16];
    crypto::random(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(base64::engine::general_purpose::URL_SAFE.encode(bytes))
}

pub(super) fn live_postgres(deployment: &Value) -> LivePostgres {
    LivePostgres {
        baseline: deployment
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(names::CREDENTIALS_BASELINE))
            .and_then(Value::as_str)
            .map(str::to_owned),
        fs_group: deployment
            .pointer("/spec/template/spec/securityContext/fsGroup")
            .and_then(Value::as_i64),
    }
}

pub(super) fn live_volume(claim: &PersistentVolumeClaim) -> LiveVolume {
    let spec = claim.spec.as_ref();
    let requests = spec
        .and_then(|s| s.resources.as_ref())
        .and_then(|r| r.requests.as_ref());
    LiveVolume {
        size: requests
            .and_then(|r| r.get("storage"))
            .map(|size| size.0.clone()),
        storage_class: spec.and_then(|s| s.storage_class_name.clone()),
        class_is_ours: claim.annotations().contains_key(names::STORAGE_CLASS),
    }
}
