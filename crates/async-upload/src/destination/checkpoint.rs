//! Which layers a run has finished, for the run that comes after a kill: a tag in the destination
//! repository. It also keeps the registry from collecting layers that no image names yet.

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

/// Writes what is finished, beside the transfer: layers that finish while one writes go with the
/// next write.
#[derive(Debug)]
pub(super) struct Checkpoint {
    finished: watch::Sender<Vec<Descriptor>>,
    /// How many of them are written. All, when nothing more can be.
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
        let (finished, changes) = watch::channel(layers);
        Self {
            finished,
            written,
            writer: tokio::spawn(write(repository.clone(), tag, changes, progress, digest)),
            repository: repository.clone(),
        }
    }

    /// One more layer is in the repository. The result waits until that is written, or cannot be.
    pub(super) fn add(&self, layer: &Descriptor) -> impl Future<Output = ()> + use<> {
        self.finished.send_if_modified(|all| {
            let new = !all.iter().any(|one| one.digest == layer.digest);
            if new {
                all.push(layer.clone());
            }
            new
        });
        let count = self.finished.borrow().len();
        let mut written = self.written.clone();
        async move {
            let _ = written.wait_for(|written| *written >= count).await;
        }
    }

    /// Waits until all that was added is written.
    pub(super) async fn flush(self) -> Option<String> {
        drop(self.finished);
        self.writer.await.unwrap_or_default()
    }

    /// The image is there: nobody needs the notes any more.
    pub(super) async fn remove(self) {
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
    mut changes: watch::Receiver<Vec<Descriptor>>,
    progress: watch::Sender<usize>,
    mut digest: Option<String>,
) -> Option<String> {
    let mut config = None;
    // The last change is seen even if the sender went right after it.
    while changes.changed().await.is_ok() {
        let layers = changes.borrow_and_update().clone();
        match put(&repository, &tag, &mut config, &layers).await {
            Ok(written) => {
                digest = Some(written);
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
