//! Secrets and ConfigMaps that the resource refers to.
//!
//! What is kept of them are digests and the verdict about characters, and of authorities the
//! certificates.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use resources::Kind;
use resources::kind::CONFIG_MAP;
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::super::references::Holder;

/// A referenced Secret or ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is known of each key.
    pub keys: BTreeMap<String, Entry>,
}

/// The value of a key, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of the value.
    pub digest: [u8; 32],
    /// What makes the value useless in places.
    pub oddity: Option<Oddity>,
}

/// What makes a value useless in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It is empty.
    Empty,
    /// It is not UTF-8, which no environment variable can hold.
    NotText,
    /// It has a NUL, which no environment variable can hold.
    Nul,
    /// It has a question mark, which ends the address for the server's MySQL parser.
    QuestionMark,
}

/// `data` of a referenced Secret or ConfigMap.
pub(super) async fn read<I: Inputs>(
    holder: &Holder,
    inputs: &I,
) -> Result<Option<BTreeMap<String, ByteString>>, InputError> {
    let kind = holder.kind();
    let Some(value) = inputs.get(kind, holder.name()).await? else {
        return Ok(None);
    };
    Ok(Some(data(kind, &value)))
}

/// `data` of a Secret or ConfigMap as it was read.
pub(crate) fn data(kind: Kind, value: &Value) -> BTreeMap<String, ByteString> {
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

pub(super) fn seen(data: &BTreeMap<String, ByteString>) -> Seen {
    let keys = data.iter().map(|(key, ByteString(value))| {
        (
            key.clone(),
            Entry {
                digest: Sha256::digest(value).into(),
                oddity: oddity(value),
            },
        )
    });
    Seen {
        keys: keys.collect(),
    }
}

fn oddity(value: &[u8]) -> Option<Oddity> {
    if value.is_empty() {
        Some(Oddity::Empty)
    } else if value.contains(&0) {
        Some(Oddity::Nul)
    } else if std::str::from_utf8(value).is_err() {
        Some(Oddity::NotText)
    } else if value.contains(&b'?') {
        Some(Oddity::QuestionMark)
    } else {
        None
    }
}

/// All certificates in the values, in the order of the keys. Nothing else: a Secret may hold
/// private keys beside them.
pub(super) fn bundle(data: &BTreeMap<String, ByteString>) -> String {
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
