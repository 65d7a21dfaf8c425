//! Which layers a run has finished, for the run that comes after a kill: a tag in the destination
//! repository. It also keeps the registry from collecting layers that no image names yet.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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

/// What is to be written.
#[derive(Debug, Default)]
struct Notes {
    layers: Vec<Descriptor>,
    /// So many of them must be written at once.
    urgent: usize,
    /// The image is there: nothing has to be written any more.
    over: bool,
}

/// Writes what is finished, beside the transfer: layers that finish while one writes go with the
/// next write.
#[derive(Debug)]
pub(super) struct Checkpoint {
    notes: watch::Sender<Notes>,
    /// How many layers are written. All, when nothing more can be.
    written: watch::Receiver<usize>,
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
        let (progress, written) = watch::channel(layers.len());
        let (notes, changes) = watch::channel(Notes {
            layers,
            ..Notes::default()
        });
        Self {
            notes,
            written,
            writer: tokio::spawn(write(repository.clone(), tag, changes, progress, digest)),
            repository: repository.clone(),
        }
    }

    /// One more layer is in the repository, and would be found there without a note.
    pub(super) fn add(&self, layer: &Descriptor) {
        self.notes.send_if_modified(|notes| notes.add(layer));
    }

    /// One more layer is in the repository, and only a note leads to it. Waits until that is written,
    /// or cannot be.
    pub(super) async fn add_now(&self, layer: &Descriptor) {
        self.notes.send_modify(|notes| {
            notes.add(layer);
            notes.urgent = notes.layers.len();
        });
        let count = self.notes.borrow().urgent;
        let mut written = self.written.clone();
        let _ = written.wait_for(|written| *written >= count).await;
    }

    /// Waits until all that was added is written.
    pub(super) async fn flush(self) -> Option<String> {
        drop(self.notes);
        self.writer.await.unwrap_or_default()
    }

    /// The image is there: nobody needs the notes any more.
    pub(super) async fn remove(self) {
        self.notes.send_modify(|notes| notes.over = true);
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

impl Notes {
    /// Whether this layer is new among them.
    fn add(&mut self, layer: &Descriptor) -> bool {
        let new = !self.layers.iter().any(|one| one.digest == layer.digest);
        if new {
            self.layers.push(layer.clone());
        }
        new
    }
}

/// Writes until nobody adds any more. Gives the digest of the last one.
async fn write(
    repository: Repository,
    tag: String,
    mut changes: watch::Receiver<Notes>,
    progress: watch::Sender<usize>,
    mut digest: Option<String>,
) -> Option<String> {
    let mut config = None;
    // The last change is seen even if the sender went right after it.
    while changes.changed().await.is_ok() {
        let written = *progress.borrow();
        let wanted = changes.wait_for(|notes| notes.over || notes.urgent > written);
        // Those who would add more may be gone: then it is now, too.
        let _ = tokio::time::timeout(PAUSE, wanted).await;
        let layers = {
            let notes = changes.borrow_and_update();
            if notes.over {
                return digest;
            }
            notes.layers.clone()
        };
        if layers.len() == written {
            continue;
        }
        match put(&repository, &tag, &mut config, &layers).await {
            Ok(new) => {
                digest = Some(new);
                progress.send_replace(layers.len());
            }
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
