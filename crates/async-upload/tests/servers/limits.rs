//! Registries that take less than the specification has: a front before a real one.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::front::{Front, Trouble, front};

/// What a registry, or a proxy before it, does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Bodies of more bytes: 413, as nginx answers with `client_max_body_size`.
    Body(u64),
    /// A PATCH: 405. A blob comes in one PUT, with its digest.
    Whole,
    /// More than one PATCH for a blob: 416, as Google's Artifact Registry answers.
    OnePatch,
}

/// Puts `limit` before `registry`. What it refuses counts as trouble.
pub async fn limited(registry: &str, limit: Limit) -> Front {
    let patched = Mutex::new(BTreeSet::new());
    front(registry, None, move |_, head| {
        let refused = match limit {
            Limit::Body(most) => (length(head) > most).then_some(413),
            Limit::Whole => upload_of_patch(head).map(|_| 405),
            Limit::OnePatch => upload_of_patch(head)
                .filter(|upload| !patched.lock().unwrap().insert((*upload).to_owned()))
                .map(|_| 416),
        };
        refused.map_or(Trouble::None, Trouble::Refuse)
    })
    .await
}

/// The path of the upload that a PATCH adds to.
fn upload_of_patch(head: &str) -> Option<&str> {
    head.strip_prefix("PATCH ")?.split(['?', ' ']).next()
}

/// How long the body is; endless where the head does not say.
pub fn length(head: &str) -> u64 {
    let value = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    match value("content-length") {
        Some(length) => length.parse().unwrap(),
        None if value("transfer-encoding").is_some() => u64::MAX,
        None => 0,
    }
}
