//! A model as an image: layers are made and sent while the model is read; at the end manifests and
//! a tag make them an image.

use std::ops::Range;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::checkpoint::{self, Checkpoint};
use super::layers::{READ_AT_ONCE, Sender, annotate, title};
use super::reuse::{self, KEY, Known};
use super::turns::Turns;
use super::{Context, base};
use crate::failure::Failure;
use crate::oci::image::{Base, Built, ModelLayer};
use crate::oci::{Descriptor, Repository, media};
use crate::pipeline::layer;
use crate::settings::OciDestination;
use crate::source::{File, Listing};
use crate::transfer::{Error, ExtraFile, FileDigest, Outcome, Phase};

/// How many platforms are written at once.
const PLATFORMS_AT_ONCE: usize = 8;

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

/// The notes of an earlier run of this Job, and their digest.
type Noted = Option<(String, Vec<Descriptor>)>;

/// A destination as it was found: the base image, and what is in the repository already.
#[derive(Debug)]
pub struct Found {
    repository: Repository,
    destination: OciDestination,
    base_source: Option<Repository>,
    base: Base,
    known: Known,
    /// The tag of this Job's notes; none are written without.
    tag: Option<String>,
    noted: Noted,
}

/// Reads the base image, and what the repository has. Without `job_id` nothing is noted.
pub async fn look(
    destination: &OciDestination,
    job_id: Option<&str>,
    context: &Context,
) -> Result<Found, Failure> {
    let repository = Repository::new(&destination.image, context.patience)?;
    let tag = job_id.map(|id| checkpoint::tag(id, &destination.written));
    let base = async {
        let read = read_base(destination, context).await;
        read.map_err(|failure| failure.while_doing("base image"))
    };
    let known = async { Ok(known(&repository, destination, tag.as_deref()).await) };
    let ((base_source, base), (noted, known)) = tokio::try_join!(base, known)?;
    Ok(Found {
        repository,
        destination: destination.clone(),
        base_source,
        base,
        known,
        tag,
        noted,
    })
}

impl Found {
    /// Brings the content of the model and of the base to the registry.
    pub async fn stage(self, listing: Listing, context: &Context) -> Result<Staged, Error> {
        let Self {
            repository,
            destination,
            base_source,
            base,
            known,
            tag,
            noted,
        } = self;
        let checkpoint = tag.map(|tag| Checkpoint::start(&repository, tag, noted));
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
        // Where nothing is taken up again, nothing has to wait for its turn.
        let turns = checkpoint
            .is_some()
            .then(|| longest(&listing.files, &plan).map(Turns::new))
            .transpose()
            .map_err(|failure| failure.in_phase(Phase::Copy))?;
        let sender = Sender {
            repository: &repository,
            mount_from: destination.mount_from.as_deref(),
            known: &known,
            checkpoint: checkpoint.as_ref(),
            turns: turns.as_ref(),
            readers: Semaphore::new(READ_AT_ONCE),
            context,
        };
        let model = sender.layers(&listing.files, plan, listing.sequential);
        let below = async {
            match &base_source {
                Some(from) => base::copy(&base, from, &repository, turns.as_ref(), context).await,
                None => Ok(()),
            }
        };
        // The base first: it is small, and its turn comes before that of the model.
        let sent = match tokio::try_join!(below, model) {
            Ok(((), sent)) => sent,
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
        for one in sent {
            files.extend(one.files);
            layers.push(one.layer);
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Staged {
            repository,
            destination,
            base,
            layers,
            checkpoint,
            context: context.clone(),
            files,
        })
    }
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
) -> (Noted, Known) {
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

/// The length of the longest layer.
fn longest(files: &[File], plan: &[Range<usize>]) -> Result<u64, Failure> {
    plan.iter().try_fold(0, |longest, range| {
        let files = files.get(range.clone()).unwrap_or_default();
        Ok(layer::length(files)?.max(longest))
    })
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
        stream::iter(&built)
            .map(Ok)
            .try_for_each_concurrent(PLATFORMS_AT_ONCE, async |one| {
                self.repository
                    .put_blob(media::CONFIG, one.config.clone())
                    .await?;
                let name = match &index {
                    Some(_) => &one.entry.digest,
                    None => &name,
                };
                let manifest = &one.manifest;
                let put = self
                    .repository
                    .put_manifest(name, media::MANIFEST, manifest);
                put.await.map(drop)
            })
            .await?;
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
        let checkpoint = self.checkpoint.take();
        // An image names all layers now, so the notes lead nowhere else, whatever comes of the look.
        let forget = async {
            if let Some(checkpoint) = checkpoint {
                checkpoint.remove().await;
            }
        };
        let (right, ()) = tokio::join!(self.compare(&name, &digest), forget);
        right?;
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
            sha256: Some(crate::oci::hex(&Sha256::digest(&content))),
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
