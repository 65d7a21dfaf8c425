//! The last words of the container: the result, or why there is none.
//!
//! Kubernetes shows the file in the pod's status. The dashboard reads the ids from it.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::IntentName;
use crate::registry::Ids;

/// What Kubernetes keeps of a termination message, in bytes.
const LIMIT: usize = 4096;

/// What a run has done.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// What was asked for.
    pub intent: IntentName,
    /// What was registered.
    pub ids: Ids,
    /// Where the model is.
    pub uri: String,
    /// The digest of the image.
    pub digest: Option<String>,
    /// Bytes of the model.
    pub bytes: u64,
    /// Of them, sent by this run.
    pub sent: u64,
    /// From start to end.
    pub seconds: f64,
}

impl Done {
    /// The message: the keys of the Python job, and what else is known.
    #[must_use]
    pub fn message(&self) -> String {
        let mut message = Map::new();
        message.insert("intent".to_owned(), json!(self.intent.as_str()));
        for (key, id) in [
            ("RegisteredModel", &self.ids.model),
            ("ModelVersion", &self.ids.version),
            ("ModelArtifact", &self.ids.artifact),
        ] {
            if let Some(id) = id {
                message.insert(key.to_owned(), json!({"id": id}));
            }
        }
        message.insert("uri".to_owned(), json!(self.uri));
        if let Some(digest) = &self.digest {
            message.insert("digest".to_owned(), json!(digest));
        }
        message.insert("bytes".to_owned(), json!(self.bytes));
        message.insert("bytesSent".to_owned(), json!(self.sent));
        let tenths = (self.seconds * 10.0).round() / 10.0;
        message.insert("seconds".to_owned(), json!(tenths));
        // A map of texts and numbers always becomes JSON.
        serde_json::to_string_pretty(&Value::Object(message)).unwrap_or_default()
    }
}

/// Why a run has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What it was doing.
    pub phase: String,
    /// What went wrong.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let full = |text: &str| text.trim_end_matches('.').to_owned();
        write!(f, "{} failed: {}.", self.phase, full(&self.cause))?;
        if self.remedy.is_empty() {
            return Ok(());
        }
        write!(f, " {}.", full(&self.remedy))
    }
}

/// Writes a message to where Kubernetes looks. That this fails is no reason to fail: the log has the
/// same words.
pub fn write(path: &Path, message: &str) {
    if let Err(error) = std::fs::write(path, shortened(message)) {
        tracing::warn!("{} cannot be written: {error}", path.display());
    }
}

/// At most what Kubernetes keeps. It keeps the end of a longer message, and the beginning says more.
fn shortened(message: &str) -> String {
    const MORE: &str = "…";
    if message.len() <= LIMIT {
        return message.to_owned();
    }
    let mut end = LIMIT - MORE.len();
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let (kept, _) = message.split_at(end);
    format!("{kept}{MORE}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_has_the_keys_that_others_read() {
        let done = Done {
            intent: IntentName::CreateModel,
            ids: Ids {
                model: Some("1".to_owned()),
                version: Some("2".to_owned()),
                artifact: None,
            },
            uri: "oci://r/m:v1".to_owned(),
            digest: Some("sha256:aa".to_owned()),
            bytes: 10,
            sent: 4,
            seconds: 1.26,
        };
        let message: Value = serde_json::from_str(&done.message()).unwrap();
        assert_eq!(
            message,
            json!({
                "intent": "create_model",
                "RegisteredModel": {"id": "1"},
                "ModelVersion": {"id": "2"},
                "uri": "oci://r/m:v1",
                "digest": "sha256:aa",
                "bytes": 10,
                "bytesSent": 4,
                "seconds": 1.3,
            })
        );
        assert!(done.message().contains("\n  \"intent\""), "indented by two");
    }

    #[test]
    fn a_failure_is_a_sentence_for_each_part() {
        let failed = Failed {
            phase: "copy model".to_owned(),
            cause: "no space".to_owned(),
            remedy: "Make some.".to_owned(),
        };
        assert_eq!(
            failed.to_string(),
            "copy model failed: no space. Make some."
        );
    }

    #[test]
    fn a_long_message_keeps_its_beginning() {
        let long = "ä".repeat(5000);
        let short = shortened(&long);
        assert!(short.len() <= LIMIT && short.len() > LIMIT - 4);
        assert!(short.ends_with('…') && long.starts_with(short.trim_end_matches('…')));
    }

    #[test]
    fn a_place_that_cannot_be_written_is_no_failure() {
        write(Path::new("/no/such/dir/file"), "x");
    }
}
