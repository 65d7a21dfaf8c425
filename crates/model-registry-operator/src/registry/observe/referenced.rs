//! Secrets and ConfigMaps that the resource refers to.
//!
//! What is kept of them are digests and the verdict about characters, and of authorities the
//! certificates.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use resources::content::data;
use runtime::inputs::{InputError, Inputs};
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
