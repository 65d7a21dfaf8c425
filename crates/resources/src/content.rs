//! What can be said of an object as it was read, without its type.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::Value;

use crate::kind::{CONFIG_MAP, Kind};
use crate::plan::Precondition;

/// `data` of a Secret or ConfigMap.
#[must_use]
pub fn data(kind: Kind, value: &Value) -> BTreeMap<String, ByteString> {
    if kind == CONFIG_MAP {
        let map: ConfigMap = serde_json::from_value(value.clone()).unwrap_or_default();
        let text = map
            .data
            .into_iter()
            .flatten()
            .map(|(k, v)| (k, ByteString(v.into_bytes())));
        text.chain(map.binary_data.into_iter().flatten()).collect()
    } else {
        let secret: Secret = serde_json::from_value(value.clone()).unwrap_or_default();
        // `stringData` is only there in a document that no API server has seen.
        let text = secret
            .string_data
            .into_iter()
            .flatten()
            .map(|(k, v)| (k, ByteString(v.into_bytes())));
        secret.data.into_iter().flatten().chain(text).collect()
    }
}

/// All certificates in the values, in the order of the keys. Nothing else: a Secret may hold
/// private keys beside them.
#[must_use]
pub fn bundle(data: &BTreeMap<String, ByteString>) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut bundle = String::new();
    for ByteString(value) in data.values() {
        let text = String::from_utf8_lossy(value);
        for block in text.split(BEGIN).skip(1) {
            if let Some((body, _)) = block.split_once(END) {
                bundle.extend([BEGIN, body, END, "\n"]);
            }
        }
    }
    bundle
}

/// The certificates under `key`, and nothing else that may be there. `None` when there are none.
#[must_use]
pub fn certificates_in(data: &BTreeMap<String, ByteString>, key: &str) -> Option<String> {
    let value = data.get(key)?.clone();
    let found = bundle(&BTreeMap::from([(key.to_owned(), value)]));
    (!found.is_empty()).then_some(found)
}

/// What must hold for something made of `live` to be written: that it is still the same.
#[must_use]
pub fn precondition(live: Option<&Value>) -> Precondition {
    live.map_or(Precondition::Absent, |live| {
        live.pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .map_or(Precondition::None, |version| {
                Precondition::Version(version.to_owned())
            })
    })
}

/// Whether OpenShift's service CA made the Secret. It renews those as long as the Service asks.
#[must_use]
pub fn made_by_service_ca(secret: &Value) -> bool {
    [
        "/metadata/annotations/service.beta.openshift.io~1originating-service-name",
        "/metadata/annotations/service.alpha.openshift.io~1originating-service-name",
    ]
    .iter()
    .any(|pointer| secret.pointer(pointer).is_some())
}

/// Whether the controller of the object has this uid. Nothing that has none controls anything.
#[must_use]
pub fn is_controlled_by(object: &Value, uid: Option<&str>) -> bool {
    let owners = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| {
        uid.is_some()
            && owner.get("uid").and_then(Value::as_str) == uid
            && owner.get("controller").and_then(Value::as_bool) == Some(true)
    })
}

/// A digest as a short text: 64 bits are enough to see a change.
#[must_use]
pub fn short(digest: &[u8]) -> String {
    digest
        .iter()
        .take(8)
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}
