//! Changes of other people's objects that no apply can express: an item of a list that is written
//! as one string.

use kube::Client;
use serde_json::{Value, json};

use super::{
    apply::meta_of,
    objects::{Objects, RequestError},
};
use crate::outcome::Target;

/// Attempts in all, when somebody else keeps writing between our read and our write.
const ATTEMPTS: u8 = 5;

/// What an edit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    /// It was written.
    Changed,
    /// It was so already.
    Unchanged,
    /// The object with this uid is not there any more.
    Gone,
}

/// Why an edit failed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// Others wrote between every read and write.
    #[error("{0} was changed by others during each of {ATTEMPTS} attempts: try again")]
    Busy(Target),
    /// The server refused, or did not answer.
    #[error("{target}: {message}")]
    Refused {
        /// Object.
        target: Target,
        /// The server's sentence.
        message: String,
    },
}

/// Reads the object, asks `change` for the merge patch that it needs (`None`: nothing), and writes
/// it over the version that was read; from the start when somebody was faster.
///
/// Only the object with this `uid` is touched. `change` may be called several times.
pub async fn edit(
    client: &Client,
    manager: &'static str,
    target: &Target,
    uid: &str,
    change: impl Fn(&Value) -> Option<Value>,
) -> Result<Edited, EditError> {
    let objects = Objects::new(client.clone(), manager);
    let refused = |error: &RequestError| EditError::Refused {
        target: target.clone(),
        message: error.sentence(),
    };
    for _ in 0..ATTEMPTS {
        let live = objects.get(target).await.map_err(|error| refused(&error))?;
        let Some(live) = live else {
            return Ok(Edited::Gone);
        };
        let meta = meta_of(&live);
        if meta.uid.as_deref() != Some(uid) {
            return Ok(Edited::Gone);
        }
        let Some(mut patch) = change(&live) else {
            return Ok(Edited::Unchanged);
        };
        let guard = json!({"metadata": {"resourceVersion": meta.resource_version}});
        json_patch::merge(&mut patch, &guard);
        match objects.merge::<Value>(target, None, &patch).await {
            Ok(_) => return Ok(Edited::Changed),
            Err(error) if error.is_conflict() => {}
            Err(error) if error.is_not_found() => return Ok(Edited::Gone),
            Err(error) => return Err(refused(&error)),
        }
    }
    Err(EditError::Busy(target.clone()))
}
