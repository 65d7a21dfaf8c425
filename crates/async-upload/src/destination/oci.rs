//! A model as an image: layers are made and sent while the model is read; at the end manifests and
//! a tag make them an image.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::checkpoint::{self, Checkpoint};
use super::reuse::{self, FILES, KEY, Known};
use super::{Context, base};
use crate::failure::Failure;
use crate::oci::image::{Base, Built, ModelLayer};
use crate::oci::{Descriptor, Repository, media};
use crate::pipeline::hash::Hashing;
use crate::pipeline::layer;
use crate::pipeline::meter::Attempt;
use crate::pipeline::read;
use crate::settings::OciDestination;
use crate::source::{File, Listing};
use crate::transfer::{Error, ExtraFile, FileDigest, Outcome, Phase};

/// How many layers are on their way at once.
const LAYERS_AT_ONCE: usize = 4;
/// How many requests read the files of one layer.
const CONNECTIONS: usize = 4;
/// How many pieces wait between reading and sending.
const QUEUE: usize = 4;
/// Notes on the files of a layer beyond this many are left out: manifests have a limit.
const NOTED_FILES: usize = 2000;

/// Content that is in the registry and that no image names yet.
#[derive(Debug)]
pub struct Staged {
    repository: Repository,
    destination: OciDestination,
    base: Base,
    layers: Vec<ModelLayer>,
    checkpoint: Option<Checkpoint>,
    context: Context,
    /// Every file, sorted by path.
    pub files: Vec<FileDigest>,
}

/// A layer that is in the registry.
#[derive(Debug)]
struct Sent {
    layer: ModelLayer,
    files: Vec<FileDigest>,
}

/// Brings the content of the model and of the base to the registry.
pub async fn stage(
    destination: &OciDestination,
    listing: Listing,
    job_id: Option<&str>,
    context: &Context,
) -> Result<Staged, Error> {
    let repository = Repository::new(&destination.image, context.patience)
        .map_err(|failure| failure.in_phase(Phase::Base))?;
    context.meter.phase(Phase::Base);
    let tag = job_id.map(|id| checkpoint::tag(id, &destination.written));
    let (base, known) = tokio::join!(
        read_base(destination, context),
        known(&repository, destination, tag.as_deref()),
    );
    let (base_source, base) =
        base.map_err(|failure| failure.while_doing("base image").in_phase(Phase::Base))?;
    let (found, known) = known;
    let checkpoint = tag.map(|tag| Checkpoint::start(&repository, tag, found));

    context.meter.phase(Phase::Copy);
    let room = destination.layer_cap.saturating_sub(base.depth()).max(1);
    let sizes: Vec<u64> = listing.files.iter().map(|file| file.size).collect();
    let plan = layer::plan(&sizes, room);
    if plan.len() < sizes.len() {
        tracing::info!(
            "{} files in {} layers, because an image may have {} layers and the base has {}",
            sizes.len(),
            plan.len(),
            destination.layer_cap,
            base.depth()
        );
    }
    let sender = Sender {
        repository: &repository,
        mount_from: destination.mount_from.as_deref(),
        known: &known,
        checkpoint: checkpoint.as_ref(),
        context,
    };
    let at_once = if listing.sequential {
        1
    } else {
        LAYERS_AT_ONCE
    };
    let model = async {
        let mut sent: Vec<(usize, Sent)> = stream::iter(plan)
            .map(|range| async {
                let place = range.start;
                Ok::<_, Failure>((place, sender.layer(&listing.files, range).await?))
            })
            .buffer_unordered(at_once)
            .try_collect()
            .await?;
        // A big layer holds up nobody, so they end in any order.
        sent.sort_by_key(|(place, _)| *place);
        Ok(sent)
    };
    let below = async {
        match &base_source {
            Some(from) => base::copy(&base, from, &repository, context).await,
            None => Ok(()),
        }
    };
    let sent = tokio::try_join!(model, below);
    let sent = match sent {
        Ok((sent, ())) => sent,
        Err(failure) => {
            // What is finished is what a retry begins with.
            if let Some(checkpoint) = checkpoint {
                checkpoint.flush().await;
            }
            return Err(failure.in_phase(Phase::Copy));
        }
    };
    let mut files: Vec<FileDigest> = Vec::new();
    let mut layers = Vec::new();
    for (_, one) in sent {
        files.extend(one.files);
        layers.push(one.layer);
    }
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(Staged {
        repository,
        destination: destination.clone(),
        base,
        layers,
        checkpoint,
        context: context.clone(),
        files,
    })
}

async fn read_base(
    destination: &OciDestination,
    context: &Context,
) -> Result<(Option<Repository>, Base), Failure> {
    match &destination.base {
        None => Ok((None, Base::none())),
        Some(image) => {
            let (repository, base) = base::read(image, context).await?;
            Ok((Some(repository), base))
        }
    }
}

/// What this Job has finished before, and all layers that are there already.
async fn known(
    repository: &Repository,
    destination: &OciDestination,
    tag: Option<&str>,
) -> (Option<(String, Vec<Descriptor>)>, Known) {
    let own_tag = destination.image.reference.tag();
    let (found, mut known, elsewhere) = tokio::join!(
        async {
            match tag {
                Some(tag) => reuse::of_tag(repository, tag).await,
                None => None,
            }
        },
        reuse::of_images(repository, own_tag),
        async {
            match &destination.mount_from {
                Some(name) => reuse::of_images(&repository.sibling(name), None).await,
                None => Known::new(),
            }
        }
    );
    for layer in found.iter().flat_map(|(_, layers)| layers) {
        known.insert(
            layer.annotation(KEY).unwrap_or_default().to_owned(),
            layer.clone(),
        );
    }
    for layer in elsewhere.into_values() {
        reuse::add(&mut known, layer);
    }
    (found, known)
}

/// What sending a layer needs.
#[derive(Debug)]
struct Sender<'a> {
    repository: &'a Repository,
    mount_from: Option<&'a str>,
    known: &'a Known,
    checkpoint: Option<&'a Checkpoint>,
    context: &'a Context,
}

impl Sender<'_> {
    /// Brings the layer of the files in `range` to the registry.
    async fn layer(&self, files: &[File], range: Range<usize>) -> Result<Sent, Failure> {
        let files: Arc<[File]> = files.get(range).unwrap_or_default().into();
        let key = layer::key(&files);
        let sent = match self.there(key.as_deref(), &files).await? {
            Some(sent) => sent,
            None => self.send(&files, key.as_deref()).await?,
        };
        if let (Some(checkpoint), Some(_)) = (self.checkpoint, &key) {
            checkpoint.add(&sent.layer.descriptor);
        }
        Ok(sent)
    }

    /// The layer, if the registry has it.
    async fn there(&self, key: Option<&str>, files: &[File]) -> Result<Option<Sent>, Failure> {
        let Some(descriptor) = key.and_then(|key| self.known.get(key)) else {
            return Ok(None);
        };
        let Some(files) = noted(descriptor, files) else {
            return Ok(None);
        };
        let mut there =
            self.repository.blob_size(&descriptor.digest).await? == Some(descriptor.size);
        if let (false, Some(from)) = (there, self.mount_from) {
            there = self.repository.mount(&descriptor.digest, from).await;
        }
        if !there {
            return Ok(None);
        }
        let bytes = files.iter().map(|file| file.size).sum();
        self.context.meter.skipped(bytes);
        Ok(Some(Sent {
            layer: ModelLayer {
                title: title(&files),
                descriptor: descriptor.clone(),
            },
            files,
        }))
    }

    async fn send(&self, files: &Arc<[File]>, key: Option<&str>) -> Result<Sent, Failure> {
        let length = layer::length(files)?;
        let what = match &**files {
            [one] => format!("sending {:?}", one.path),
            many => format!("sending a layer of {} files", many.len()),
        };
        let (digest, digests) = self
            .context
            .patience
            .retry(&what, || self.attempt(files, length))
            .await?;
        let digests: Vec<FileDigest> = files
            .iter()
            .zip(digests)
            .map(|(file, sha256)| FileDigest {
                path: file.path.clone(),
                size: file.size,
                sha256,
            })
            .collect();
        let mut descriptor = Descriptor::new(media::LAYER, digest, length);
        annotate(&mut descriptor, &digests, key);
        Ok(Sent {
            layer: ModelLayer {
                descriptor,
                title: title(&digests),
            },
            files: digests,
        })
    }

    /// Reads, packs, hashes and sends a layer, once. Gives its digest and those of its files.
    async fn attempt(
        &self,
        files: &Arc<[File]>,
        length: u64,
    ) -> Result<(String, Vec<String>), Failure> {
        let mut upload = self.repository.begin().await?;
        let (queue, pieces) = mpsc::channel(QUEUE);
        let mut counted = self.context.meter.attempt();
        let pieces = as_content(pieces);
        let (packed, sent) = tokio::join!(
            self.pack(files, queue, &mut counted),
            upload.send(pieces, length, false),
        );
        // The source's failure comes first: the broken request follows from it.
        let (digest, digests) = match (packed, sent) {
            (Ok(Some(packed)), Ok(())) => packed,
            (Err(failure), _) | (_, Err(failure)) => return Err(failure),
            (Ok(None), Ok(())) => {
                return Err(Failure::passing("the registry stopped listening"));
            }
        };
        let digest = format!("sha256:{digest}");
        upload.finish(&digest).await?;
        counted.succeed();
        Ok((digest, digests))
    }

    /// Reads and packs. `None` if the other end of `queue` went away, which knows the reason.
    async fn pack(
        &self,
        files: &Arc<[File]>,
        queue: mpsc::Sender<Result<Bytes, Failure>>,
        counted: &mut Attempt,
    ) -> Result<Option<(String, Vec<String>)>, Failure> {
        let mut ahead = read::ahead(
            files.clone(),
            self.context.memory.clone(),
            CONNECTIONS,
            self.context.patience,
        );
        let whole = Hashing::start();
        let give = async |data: Bytes| {
            whole.add(data.clone());
            queue.send(Ok(data)).await.is_ok()
        };
        let mut digests = Vec::new();
        for file in files.iter() {
            if !give(layer::header(&file.path, file.size)?).await {
                return Ok(None);
            }
            let content = Hashing::start();
            let mut left = file.size;
            while left > 0 {
                let piece = match ahead.next().await {
                    Some(Ok(piece)) => piece,
                    Some(Err(failure)) => {
                        let failure = failure.while_doing(&file.path);
                        // Without this the registry would wait for the rest.
                        let _ = queue.send(Err(failure.clone())).await;
                        return Err(failure);
                    }
                    None => {
                        return Err(Failure::passing(format!("{:?} ended early", file.path)));
                    }
                };
                let size = piece.data.len() as u64;
                left = left.saturating_sub(size);
                content.add(piece.data.clone());
                if !give(piece.data).await {
                    return Ok(None);
                }
                counted.add(size);
            }
            if !give(layer::padding(file.size)).await {
                return Ok(None);
            }
            digests.push(verified(file, content.finish().await?)?);
        }
        if !give(layer::END).await {
            return Ok(None);
        }
        drop(queue);
        Ok(Some((whole.finish().await?, digests)))
    }
}

/// A channel as a stream.
fn as_content(pieces: mpsc::Receiver<Result<Bytes, Failure>>) -> crate::source::Content {
    stream::unfold(pieces, |mut pieces| async move {
        Some((pieces.recv().await?, pieces))
    })
    .boxed()
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
fn title(files: &[FileDigest]) -> String {
    match files {
        [one] => basename(&one.path).to_owned(),
        many => format!("{} files", many.len()),
    }
}

fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What is in a layer: as olot says it for a layer with one file, and for reuse.
fn annotate(descriptor: &mut Descriptor, files: &[FileDigest], key: Option<&str>) {
    let mut note = |key: &str, value: String| {
        descriptor.annotations.insert(key.to_owned(), json!(value));
    };
    note("org.opencontainers.image.title", title(files));
    if let [file] = files {
        note(
            "olot.layer.content.digest",
            format!("sha256:{}", file.sha256),
        );
        note("olot.layer.content.type", "file".to_owned());
        note(
            "olot.layer.content.inlayerpath",
            format!("/{}{}", layer::ROOT, file.path),
        );
        note("olot.layer.content.name", basename(&file.path).to_owned());
    }
    if let (Some(key), true) = (key, files.len() <= NOTED_FILES) {
        let digests: Vec<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
        note(KEY, key.to_owned());
        note(FILES, digests.join(" "));
    }
}

/// The files of a layer that was made before, with the digests that it notes.
fn noted(descriptor: &Descriptor, files: &[File]) -> Option<Vec<FileDigest>> {
    let digests: Vec<&str> = descriptor.annotation(FILES)?.split(' ').collect();
    if digests.len() != files.len() {
        return None;
    }
    files
        .iter()
        .zip(digests)
        .map(|(file, sha256)| {
            let right = file.sha256.as_deref().is_none_or(|known| known == sha256);
            right.then(|| FileDigest {
                path: file.path.clone(),
                size: file.size,
                sha256: sha256.to_owned(),
            })
        })
        .collect()
}

impl Staged {
    /// Adds `extra`, writes manifests and the tag, and reads them back.
    pub async fn commit(mut self, extra: Vec<ExtraFile>) -> Result<Outcome, Error> {
        self.context.meter.phase(Phase::Commit);
        self.committed(extra)
            .await
            .map_err(|failure| failure.in_phase(Phase::Commit))
    }

    async fn committed(&mut self, extra: Vec<ExtraFile>) -> Result<Outcome, Failure> {
        for file in extra {
            self.add(file).await?;
        }
        let built: Vec<Built> = self
            .base
            .platforms
            .iter()
            .map(|platform| platform.with(&self.layers))
            .collect::<Result<_, _>>()?;
        let index = self.base.finished(&built);
        let reference = &self.destination.image.reference;
        let name = reference.tag().unwrap_or("latest").to_owned();
        for one in &built {
            self.repository
                .put_blob(media::CONFIG, one.config.clone())
                .await?;
            let name = match &index {
                Some(_) => &one.entry.digest,
                None => &name,
            };
            self.repository
                .put_manifest(name, media::MANIFEST, &one.manifest)
                .await?;
        }
        let manifests: Vec<String> = built.iter().map(|one| one.entry.digest.clone()).collect();
        let digest = match index {
            Some(index) => {
                let (digest, _) = self
                    .repository
                    .put_manifest(&name, media::INDEX, &index)
                    .await?;
                digest
            }
            None => manifests.first().cloned().unwrap_or_default(),
        };
        self.compare(&name, &digest).await?;
        if let Some(checkpoint) = self.checkpoint.take() {
            checkpoint.remove().await;
        }
        let now = self.context.meter.now();
        Ok(Outcome {
            uri: format!("oci://{}", self.destination.written),
            digest: Some(digest),
            manifests,
            bytes: now.done,
            sent: now.done - now.skipped,
            layers: self.layers.len(),
            files: std::mem::take(&mut self.files),
        })
    }

    /// What the tag names is what was written.
    async fn compare(&self, name: &str, digest: &str) -> Result<(), Failure> {
        let there = self.repository.manifest(name).await?;
        match there {
            Some(there) if there.digest == digest => Ok(()),
            Some(there) => Err(Failure::passing(format!(
                "tag {name} of {} names {} instead of {digest}: somebody else wrote it",
                self.repository.label(),
                there.digest
            ))),
            None => Err(Failure::passing(format!(
                "tag {name} of {} is gone right after it was written",
                self.repository.label()
            ))),
        }
    }

    /// A small file as a layer of its own.
    async fn add(&mut self, extra: ExtraFile) -> Result<(), Failure> {
        let content = Bytes::from(extra.content);
        let size = content.len() as u64;
        let file = FileDigest {
            path: crate::source::relative(&extra.path)?,
            size,
            sha256: crate::oci::hex(&Sha256::digest(&content)),
        };
        let mut tar = layer::header(&file.path, size)?.to_vec();
        tar.extend_from_slice(&content);
        tar.extend_from_slice(&layer::padding(size));
        tar.extend_from_slice(&layer::END);
        let mut descriptor = self.repository.put_blob(media::LAYER, tar.into()).await?;
        let files = [file];
        annotate(&mut descriptor, &files, None);
        self.layers.push(ModelLayer {
            descriptor,
            title: title(&files),
        });
        Ok(())
    }
}
