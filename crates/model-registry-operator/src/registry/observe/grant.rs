//! The ReferenceGrant that the registries of a namespace share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde_json::Value;

/// The ReferenceGrant that registries of a namespace share.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Grant {
    /// There is none.
    #[default]
    Missing,
    /// It belongs to registries, by owner references; or the Go operator made it, without any.
    Shared {
        /// Who owns it.
        owners: Vec<OwnerReference>,
        /// Version that was read.
        version: String,
    },
    /// It belongs to nobody: an administrator made it.
    Given,
}

pub(crate) fn grant(live: Option<&Value>) -> Grant {
    let Some(live) = live else {
        return Grant::Missing;
    };
    let owners = live
        .pointer("/metadata/ownerReferences")
        .cloned()
        .and_then(|owners| serde_json::from_value::<Vec<_>>(owners).ok())
        .unwrap_or_default();
    let maker = live.pointer("/metadata/labels/app.kubernetes.io~1created-by");
    // The Go operator's has no owner either, and its label.
    if owners.is_empty() && maker.and_then(Value::as_str) != Some("model-registry-operator") {
        return Grant::Given;
    }
    let version = live
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Grant::Shared {
        owners,
        version: version.to_owned(),
    }
}
