//! Layers on their way to a registry: found there, or read, packed, hashed and sent.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};

use super::checkpoint::Checkpoint;
use super::reuse::{KEY, Known};
use super::turns::{Turn, Turns};
use super::{Context, base};
use crate::failure::Failure;
use crate::oci::image::ModelLayer;
use crate::oci::{Descriptor, Form, Repository, as_content, media};
use crate::pipeline::hash::Hashing;
use crate::pipeline::layer;
use crate::pipeline::memory::Memory;
use crate::pipeline::read;
use crate::source::File;
use crate::transfer::FileDigest;

/// How many layers are read or sent at once, if they are not so small that they wait for answers
/// more than for content.
const AT_ONCE: usize = 3;
/// How many if they are and memory holds them: most of them wait for the registry to store what it
/// has.
const SMALL_AT_ONCE: usize = 16;
/// How many requests read one large file, at most.
const CONNECTIONS: usize = 8;
/// How many read small files: each waits for its answer more than for content.
const SMALL_CONNECTIONS: usize = 16;
/// How many small layers are being read. With more, the first would be ready with the last, and
/// nothing on its way until then.
pub(super) const READ_AT_ONCE: usize = 6;
/// How many pieces wait between reading and sending.
const QUEUE: usize = 4;
/// A layer of at most so many blocks is in memory before it is sent, so it goes in one request that
/// begins with its digest, and only if nobody has sent it before.
const HELD: usize = 16;

/// A layer that is in the registry.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) layer: ModelLayer,
    pub(super) files: Vec<FileDigest>,
}

/// What sending layers needs.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    pub(super) repository: &'a Repository,
    pub(super) mount_from: Option<&'a str>,
    pub(super) known: &'a Known,
    pub(super) checkpoint: Option<&'a Checkpoint>,
    pub(super) turns: Option<&'a Turns>,
    /// Who reads a small layer, of [`READ_AT_ONCE`].
    pub(super) readers: Semaphore,
    pub(super) context: &'a Context,
}

/// What reading a layer tells.
#[derive(Debug)]
struct Packed {
    /// `sha256:…` of the layer.
    digest: String,
    /// The files, with their hashes as far as they were made.
    files: Vec<FileDigest>,
}

/// How many layers are on their way at once, and how many blocks of memory each has. `longest` is how
/// many the longest needs as a whole.
fn shares(layers: usize, longest: usize, blocks: usize) -> (usize, usize) {
    let room = blocks.saturating_sub(base::MEMORY);
    let most = if longest <= HELD {
        (room / longest.max(1)).clamp(AT_ONCE, SMALL_AT_ONCE)
    } else {
        AT_ONCE
    };
    let at_once = most.min(layers).min(blocks / read::PART).max(1);
    let each = room / at_once;
    (at_once, each.max(1))
}

impl Sender<'_> {
    /// Brings the layers of `plan` to the registry.
    pub(super) async fn layers(
        &self,
        files: &[File],
        plan: Vec<Range<usize>>,
        sequential: bool,
    ) -> Result<Vec<Sent>, Failure> {
        let blocks = self.context.memory.blocks();
        let part = |range: &Range<usize>| files.get(range.clone()).unwrap_or_default();
        let needs = |range| read::blocks(part(range)).unwrap_or(usize::MAX);
        let longest = plan.iter().map(needs).max().unwrap_or_default();
        let layers = if sequential { 1 } else { plan.len() };
        let (at_once, share) = shares(layers, longest, blocks);
        let mut open = plan.len();
        let mut brought = stream::iter(plan)
            .map(|range| async move {
                let (sent, turn) = self.layer(part(&range).into(), share).await?;
                Ok::<_, Failure>((range.start, sent, turn))
            })
            .buffer_unordered(at_once);
        let mut all: Vec<(usize, Sent)> = Vec::with_capacity(open);
        while let Some((place, sent, turn)) = brought.try_next().await? {
            open -= 1;
            let layer = &sent.layer.descriptor;
            if let (Some(checkpoint), true) = (self.checkpoint, layer.annotation(KEY).is_some()) {
                // After the last one nobody waits, and the image is there before the note would be.
                checkpoint.add(layer, turn.filter(|_| open > 0));
            }
            all.push((place, sent));
        }
        // A big layer holds up nobody, so they end in any order.
        all.sort_by_key(|(place, _)| *place);
        Ok(all.into_iter().map(|(_, sent)| sent).collect())
    }

    /// Brings one layer. Gives the turn of one that only a note leads to.
    async fn layer(
        &self,
        files: Arc<[File]>,
        share: usize,
    ) -> Result<(Sent, Option<Turn>), Failure> {
        let key = layer::key(&files);
        let hint = key.as_deref().and_then(|key| self.known.get(key));
        if let (false, Some(hint)) = (self.context.signed, hint)
            && let Some(sent) = self.noted(hint, &files).await?
        {
            return Ok((sent, None));
        }
        let hint = hint.filter(|_| self.context.signed);
        let length = layer::length(&files)?;
        let memory = self.context.memory.share(share).await;
        let turn = Turns::turn(self.turns.filter(|_| key.is_some()), length);
        let (packed, turn) = if read::blocks(&files).is_some_and(|it| it <= HELD.min(share)) {
            let packed = self.held(&files, &memory, length, hint, turn).await?;
            (packed, None)
        } else {
            let packed = self.streamed(&files, &memory, length, hint, &turn).await?;
            (packed, Some(turn))
        };
        let mut descriptor = Descriptor::new(media::LAYER, packed.digest, length);
        annotate(&mut descriptor, &packed.files, key.as_deref());
        let sent = Sent {
            layer: ModelLayer {
                descriptor,
                title: title(&packed.files),
            },
            files: packed.files,
        };
        Ok((sent, turn))
    }

    /// The layer that a note names, if the registry has it.
    async fn noted(&self, hint: &Descriptor, files: &[File]) -> Result<Option<Sent>, Failure> {
        if !self.there(&hint.digest, hint.size, Some(hint)).await? {
            return Ok(None);
        }
        self.skipped(files.iter().map(|file| file.size));
        // What the note's name is made of includes the hashes that the source knows.
        let files: Vec<_> = files
            .iter()
            .map(|file| FileDigest::of(file, file.sha256.clone()))
            .collect();
        Ok(Some(Sent {
            layer: ModelLayer {
                title: title(&files),
                descriptor: hint.clone(),
            },
            files,
        }))
    }

    /// Whether the registry has a blob, or takes it over from where the note was found.
    async fn there(
        &self,
        digest: &str,
        length: u64,
        hint: Option<&Descriptor>,
    ) -> Result<bool, Failure> {
        if self.repository.blob_size(digest).await? == Some(length) {
            return Ok(true);
        }
        match self.mount_from {
            Some(from) if hint.is_some_and(|hint| hint.digest == digest) => {
                Ok(self.repository.mount(digest, from).await)
            }
            _ => Ok(false),
        }
    }

    fn skipped(&self, sizes: impl Iterator<Item = u64>) {
        self.context.meter.skipped(sizes.sum());
    }

    /// A small layer: read, looked for, and sent if nobody has done so before.
    async fn held(
        &self,
        files: &Arc<[File]>,
        memory: &Memory,
        length: u64,
        hint: Option<&Descriptor>,
        turn: Turn,
    ) -> Result<Packed, Failure> {
        // The semaphore is never closed.
        let reading = self.readers.acquire().await.ok();
        let (packed, content) = self
            .context
            .patience
            .retry(&label(files), || async {
                let mut content = Vec::new();
                let keep = async |data: Bytes, _| {
                    content.push(data);
                    true
                };
                let packed = self.pack(files, memory, keep).await?;
                Ok((packed, content))
            })
            .await?;
        drop(reading);
        let size = files.iter().map(|file| file.size).sum();
        if self.there(&packed.digest, length, hint).await? {
            self.context.meter.skipped(size);
            return Ok(packed);
        }
        let pieces = || turn.passing(content.clone()).map(Ok).boxed();
        let wait = async || turn.wait().await;
        self.repository
            .put_content(&packed.digest, length, wait, pieces)
            .await
            .map_err(|failure| failure.while_doing(&label(files)))?;
        let mut counted = self.context.meter.attempt();
        counted.add(size);
        counted.succeed();
        Ok(packed)
    }

    /// A layer that is sent while it is read.
    async fn streamed(
        &self,
        files: &Arc<[File]>,
        memory: &Memory,
        length: u64,
        hint: Option<&Descriptor>,
        turn: &Turn,
    ) -> Result<Packed, Failure> {
        let mut read = None;
        if let Some(hint) = hint {
            // It may be there, and reading it to be sure is cheaper than sending it.
            let packed = self.read(files, memory).await?;
            if self.there(&packed.digest, length, Some(hint)).await? {
                self.skipped(files.iter().map(|file| file.size));
                return Ok(packed);
            }
            read = Some(packed);
        }
        loop {
            let form = self.repository.form(length);
            if let (Form::Whole, None) = (form, &read) {
                read = Some(self.read(files, memory).await?);
            }
            let digest = read.as_ref().map(|packed| packed.digest.as_str());
            let what = label(files);
            let sent = self.context.patience.retry(&what, || {
                self.attempt(files, memory, length, form, digest, turn)
            });
            match sent.await {
                Err(failure) if self.repository.learn(&failure, form, length) => {}
                result => return result,
            }
        }
    }

    /// Reads and hashes.
    async fn read(&self, files: &Arc<[File]>, memory: &Memory) -> Result<Packed, Failure> {
        self.context
            .patience
            .retry(&label(files), || {
                self.pack(files, memory, async |_, _| true)
            })
            .await
    }

    /// Reads, packs, hashes and sends a layer, once.
    async fn attempt(
        &self,
        files: &Arc<[File]>,
        memory: &Memory,
        length: u64,
        form: Form,
        digest: Option<&str>,
        turn: &Turn,
    ) -> Result<Packed, Failure> {
        let (queue, pieces) = mpsc::channel(QUEUE);
        let mut counted = self.context.meter.attempt();
        let packing = async {
            let give = async |data: Bytes, content| {
                counted.add(content);
                queue.send(Ok(data)).await.is_ok()
            };
            let packed = self.pack(files, memory, give).await;
            if let Err(failure) = &packed {
                // Without this the registry would wait for the rest.
                let _ = queue.send(Err(failure.clone())).await;
            }
            drop(queue);
            packed
        };
        let sending = async {
            let pieces = as_content(pieces);
            let mut upload = self.repository.begin().await?;
            turn.wait().await;
            match (form, digest) {
                (Form::Whole, Some(digest)) => upload.put(digest, pieces, length).await,
                (Form::Chunks(longest), _) => upload.patch_in(pieces, length, longest).await,
                _ => upload.patch(pieces, length).await,
            }?;
            Ok(upload)
        };
        let (packed, sent) = tokio::join!(packing, sending);
        // A registry that refuses stops listening; then packing failed for no reason of its own.
        let (packed, upload) = match (packed, sent) {
            (Ok(packed), Ok(upload)) => (packed, upload),
            (Err(failure), Ok(_)) | (_, Err(failure)) => return Err(failure),
        };
        if form != Form::Whole {
            upload.finish(&packed.digest, length).await?;
        }
        counted.succeed();
        Ok(packed)
    }

    /// Reads and packs, and hands out each piece with how much of the model is in it, until nobody
    /// takes it any more.
    async fn pack(
        &self,
        files: &Arc<[File]>,
        memory: &Memory,
        mut give: impl AsyncFnMut(Bytes, u64) -> bool,
    ) -> Result<Packed, Failure> {
        let connections = match files.len() {
            1 => memory.blocks().div_ceil(read::PART).min(CONNECTIONS),
            _ => SMALL_CONNECTIONS,
        };
        let patience = self.context.patience;
        let mut ahead = read::ahead(files.clone(), memory.clone(), connections, patience);
        let whole = Hashing::start();
        let mut give = async |data: Bytes, content: u64| {
            whole.add(data.clone());
            if give(data, content).await {
                Ok(())
            } else {
                Err(Failure::passing("the registry stopped listening"))
            }
        };
        // A layer of one file notes the hash of it.
        let hashed = self.context.signed || files.len() == 1;
        let mut digests = Vec::new();
        for file in files.iter() {
            give(layer::header(&file.path, file.size)?, 0).await?;
            let content = (hashed || file.sha256.is_some()).then(Hashing::start);
            let mut left = file.size;
            while left > 0 {
                let data = match ahead.next().await {
                    Some(piece) => {
                        piece
                            .map_err(|failure| failure.while_doing(&file.path))?
                            .data
                    }
                    None => {
                        return Err(Failure::passing(format!("{:?} ended early", file.path)));
                    }
                };
                let size = data.len() as u64;
                left = left.saturating_sub(size);
                if let Some(content) = &content {
                    content.add(data.clone());
                }
                give(data, size).await?;
            }
            give(layer::padding(file.size), 0).await?;
            let sha256 = match content {
                Some(content) => Some(verified(file, content.finish().await?)?),
                None => None,
            };
            digests.push(FileDigest::of(file, sha256));
        }
        give(layer::END, 0).await?;
        Ok(Packed {
            digest: format!("sha256:{}", whole.finish().await?),
            files: digests,
        })
    }
}

/// What is being done with a layer, for messages.
fn label(files: &[File]) -> String {
    match files {
        [one] => format!("sending {:?}", one.path),
        many => format!("sending a layer of {} files", many.len()),
    }
}

/// The hash, if it is the one that the source promised.
fn verified(file: &File, sha256: String) -> Result<String, Failure> {
    match &file.sha256 {
        Some(promised) if *promised != sha256 => Err(Failure::passing(format!(
            "{:?} has SHA-256 {sha256}, and its source says {promised}",
            file.path
        ))),
        _ => Ok(sha256),
    }
}

/// What a layer is called.
pub(super) fn title(files: &[FileDigest]) -> String {
    match files {
        [one] => basename(&one.path).to_owned(),
        many => format!("{} files", many.len()),
    }
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What is in a layer: as olot says it for a layer with one file, and for reuse.
pub(super) fn annotate(descriptor: &mut Descriptor, files: &[FileDigest], key: Option<&str>) {
    let mut note = |key: &str, value: String| {
        descriptor.annotations.insert(key.to_owned(), json!(value));
    };
    note("org.opencontainers.image.title", title(files));
    if let [file] = files {
        if let Some(sha256) = &file.sha256 {
            note("olot.layer.content.digest", format!("sha256:{sha256}"));
        }
        note("olot.layer.content.type", "file".to_owned());
        note(
            "olot.layer.content.inlayerpath",
            format!("/{}{}", layer::ROOT, file.path),
        );
        note("olot.layer.content.name", basename(&file.path).to_owned());
    }
    if let Some(key) = key {
        note(KEY, key.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_share_the_memory() {
        // One big file has all of it.
        assert_eq!(shares(1, 600, 128), (1, 124));
        assert_eq!(shares(40, 600, 128), (3, 41));
        // As many as can be held.
        assert_eq!(shares(100, 6, 128), (16, 7));
        assert_eq!(shares(40, 15, 128), (8, 15));
        assert_eq!(shares(40, 15, 64), (4, 15));
        // The least that may be given: two layers, less than a whole request each.
        assert_eq!(shares(40, 600, 16), (2, 6));
        assert_eq!(shares(0, 0, 1), (1, 1));
    }
}
