//! The run: list, read, pack, push, and at last the names that make it an image.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::destination::{self, Context};
use crate::failure::{Failure, Patience};
use crate::pipeline::memory::Memory;
use crate::pipeline::meter::Meter;
use crate::settings::{Destination, MEMORY_BUDGET_MIN, Transfer};
use crate::source;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading the names and sizes of the model's files.
    List,
    /// Reading the base image.
    Base,
    /// Moving the model.
    Copy,
    /// Writing manifests and tags, or comparing what arrived.
    Commit,
}

impl Phase {
    /// The word in messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::List => "list source",
            Self::Base => "read base image",
            Self::Copy => "copy model",
            Self::Commit => "commit image",
        }
    }
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// Bytes of the model in the destination, also those that were there before.
    pub done: u64,
    /// Of them, bytes that this run did not have to send.
    pub skipped: u64,
    /// Bytes of the model; 0 until it is listed.
    pub total: u64,
    /// Files of the model; 0 until it is listed.
    pub files: usize,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            phase: Phase::List,
            done: 0,
            skipped: 0,
            total: 0,
            files: 0,
        }
    }
}

/// One file of the model and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDigest {
    /// Relative to the model's directory, with `/`.
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// SHA-256 of the content, in lower-case hex.
    pub sha256: String,
}

/// A small file that becomes part of the model after its content is known: the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraFile {
    /// Relative to the model's directory.
    pub path: String,
    /// The content.
    pub content: Vec<u8>,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What the model registry records: `oci://…` as written by the user, or
    /// `s3://bucket/key?endpoint=…`.
    pub uri: String,
    /// The digest of the top-level manifest or index (`sha256:…`); `None` for a bucket.
    pub digest: Option<String>,
    /// The digests of the manifests that an index names; the one of `digest` if there is no index.
    pub manifests: Vec<String>,
    /// Bytes of the model.
    pub bytes: u64,
    /// Of them, bytes that were sent by this run.
    pub sent: u64,
    /// Layers of the model, without those of the base; objects for a bucket.
    pub layers: usize,
    /// Every file, sorted by path.
    pub files: Vec<FileDigest>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {cause}. {remedy}", .phase.word())]
pub struct Error {
    /// What it was doing.
    pub phase: Phase,
    /// What went wrong, with the name and value it went wrong with; never a secret.
    pub cause: String,
    /// What to do about it, as one sentence.
    pub remedy: String,
    /// Whether the same run may succeed later.
    pub retriable: bool,
}

/// A model whose content is in the destination, and which nobody can see yet: no tag and no
/// manifest names it.
#[derive(Debug)]
pub struct Uploaded(Staged);

/// What is in the destination so far.
#[derive(Debug)]
enum Staged {
    Image(Box<destination::oci::Staged>),
    Bucket(Box<destination::s3::Staged>),
}

impl Uploaded {
    /// Every file, sorted by path: what a signature of the model covers.
    #[must_use]
    pub fn files(&self) -> &[FileDigest] {
        match &self.0 {
            Staged::Image(staged) => &staged.files,
            Staged::Bucket(staged) => &staged.files,
        }
    }

    /// Adds small files and makes it visible: manifests and the tag, or the last objects.
    pub async fn commit(self, extra: Vec<ExtraFile>) -> Result<Outcome, Error> {
        match self.0 {
            Staged::Image(staged) => staged.commit(extra).await,
            Staged::Bucket(staged) => staged.commit(extra).await,
        }
    }
}

/// Moves the content of a model. Ends early, with an error that can be tried again, when `cancel`
/// is cancelled; what was finished until then is remembered in the checkpoint.
pub async fn upload(
    transfer: &Transfer,
    progress: &watch::Sender<Progress>,
    cancel: &CancellationToken,
) -> Result<Uploaded, Error> {
    let context = Context {
        patience: Patience {
            retries: transfer.retries,
        },
        memory: Memory::new(transfer.memory_budget.max(MEMORY_BUDGET_MIN)),
        meter: Meter::new(progress.clone()),
        notes_hold: transfer.notes_hold,
    };
    tokio::select! {
        result = stage(transfer, &context) => result,
        () = cancel.cancelled() => Err(Failure::passing("cancelled")
            .in_phase(context.meter.now().phase)),
    }
}

async fn stage(transfer: &Transfer, context: &Context) -> Result<Uploaded, Error> {
    context.meter.phase(Phase::List);
    let listing = source::list(
        &transfer.source,
        transfer.spool.as_deref(),
        context.patience,
    )
    .await
    .map_err(|failure| failure.in_phase(Phase::List))?;
    let total = listing.files.iter().map(|file| file.size).sum();
    context.meter.listed(listing.files.len(), total);
    let staged = match &transfer.destination {
        Destination::Oci(destination) => {
            let job = transfer.checkpoint.then_some(transfer.job_id.as_str());
            let staged = destination::oci::stage(destination, listing, job, context).await?;
            Staged::Image(Box::new(staged))
        }
        Destination::S3(place) => {
            let staged = destination::s3::stage(place, listing, context).await?;
            Staged::Bucket(Box::new(staged))
        }
    };
    Ok(Uploaded(staged))
}
