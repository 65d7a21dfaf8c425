//! Which layers a run has finished, for the run that comes after a kill: a tag in the destination
//! repository. It also keeps the registry from collecting layers that no image names yet.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::turns::Turn;
use crate::failure::Failure;
use crate::oci::{Descriptor, Repository, hex, media};

/// What a checkpoint says that it is.
const ARTIFACT: &str = "application/vnd.modelops.upload.checkpoint.v1+json";

/// The tag of a Job's checkpoint.
#[must_use]
pub(super) fn tag(job_id: &str, destination: &str) -> String {
    let mut hash = Sha256::new();
    for part in [job_id, destination] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let hash = hex(&hash.finalize());
    format!("upload-{}", hash.get(..16).unwrap_or(&hash))
}

/// How long a note waits for others, where its layer is found without it too: each write has all of
/// them, and the registry looks at each.
const PAUSE: Duration = Duration::from_secs(1);

/// What the writer hears.
#[derive(Debug)]
enum Note {
    /// One more layer is there. Who gives its turn along has it until the layer is written.
    Layer(Descriptor, Option<Turn>),
    /// The image is there: nothing has to be written any more.
    Over,
}

/// Writes what is finished, beside the transfer: layers that finish while one writes go with the
/// next write.
#[derive(Debug)]
pub(super) struct Checkpoint {
    notes: mpsc::UnboundedSender<Note>,
    writer: JoinHandle<Option<String>>,
    repository: Repository,
}

impl Checkpoint {
    /// Goes on from `found`, which an earlier run has written under the digest.
    pub(super) fn start(
        repository: &Repository,
        tag: String,
        found: Option<(String, Vec<Descriptor>)>,
    ) -> Self {
        let (digest, layers) = found.unzip();
        let layers = layers.unwrap_or_default();
        let (notes, heard) = mpsc::unbounded_channel();
        Self {
            notes,
            writer: tokio::spawn(write(repository.clone(), tag, heard, layers, digest)),
            repository: repository.clone(),
        }
    }

    /// One more layer is in the repository. A `turn` ends when that is written, or cannot be: so what
    /// only a note leads to is noted before the next one is sent.
    pub(super) fn add(&self, layer: &Descriptor, turn: Option<Turn>) {
        // A writer that has given up has said so.
        let _ = self.notes.send(Note::Layer(layer.clone(), turn));
    }

    /// Waits until all that was added is written.
    pub(super) async fn flush(self) -> Option<String> {
        drop(self.notes);
        self.writer.await.unwrap_or_default()
    }

    /// The image is there: nobody needs the notes any more.
    pub(super) async fn remove(self) {
        let _ = self.notes.send(Note::Over);
        let repository = self.repository.clone();
        let Some(digest) = self.flush().await else {
            return;
        };
        if let Err(failure) = repository.delete_manifest(&digest).await {
            tracing::warn!(
                "the checkpoint in {} stays: {}; delete its tag, or run with --checkpoint=off",
                repository.label(),
                failure.cause
            );
        }
    }
}

/// Writes until nobody adds any more. Gives the digest of the last one.
async fn write(
    repository: Repository,
    tag: String,
    mut heard: mpsc::UnboundedReceiver<Note>,
    mut layers: Vec<Descriptor>,
    mut digest: Option<String>,
) -> Option<String> {
    let mut config = None;
    while let Some(first) = heard.recv().await {
        let until = Instant::now() + PAUSE;
        let written = layers.len();
        let mut turns = Vec::new();
        let mut next = Some(first);
        while let Some(note) = next {
            match note {
                Note::Over => return digest,
                Note::Layer(layer, turn) => {
                    if !layers.iter().any(|one| one.digest == layer.digest) {
                        layers.push(layer);
                    }
                    turns.extend(turn);
                }
            }
            next = if turns.is_empty() {
                // Those who would add more may be gone: then it is now, too.
                let more = tokio::time::timeout_at(until, heard.recv()).await;
                more.ok().flatten()
            } else {
                heard.try_recv().ok()
            };
        }
        if layers.len() == written {
            continue;
        }
        match put(&repository, &tag, &mut config, &layers).await {
            Ok(new) => digest = Some(new),
            Err(failure) => {
                tracing::warn!(
                    "no checkpoint, so a retry starts over: {}; run with --checkpoint=off if this \
                     repository does not allow it",
                    failure.cause
                );
                return digest;
            }
        }
    }
    digest
}

async fn put(
    repository: &Repository,
    tag: &str,
    config: &mut Option<Descriptor>,
    layers: &[Descriptor],
) -> Result<String, Failure> {
    if config.is_none() {
        let empty = Bytes::from_static(b"{}");
        *config = Some(repository.put_blob(media::EMPTY, empty).await?);
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media::MANIFEST,
        "artifactType": ARTIFACT,
        "config": config,
        "layers": layers,
    });
    let content = Bytes::from(manifest.to_string());
    let (digest, _) = repository
        .put_manifest(tag, media::MANIFEST, &content)
        .await?;
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_of_the_job_and_the_destination() {
        let one = tag("job", "r/m:1");
        assert_eq!(one.len(), "upload-".len() + 16);
        assert_eq!(one, tag("job", "r/m:1"));
        assert_ne!(one, tag("job", "r/m:2"));
        assert_ne!(tag("a", "bc"), tag("ab", "c"));
    }
}
