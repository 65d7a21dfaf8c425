//! The run: list, read, pack, push, and at last the names that make it an image.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::destination::{self, Context};
use crate::failure::{Failure, Patience};
use crate::pipeline::memory::Memory;
use crate::pipeline::meter::Meter;
use crate::settings::{Destination, MEMORY_BUDGET_MIN, S3, Transfer};
use crate::source::{self, File, Listing};

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Reading the names and sizes of the model's files, and beside it the base image.
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
    /// SHA-256 of the content, in lower-case hex. `None` where it was not needed: only a
    /// [signature](Transfer::signed) needs all of them.
    pub sha256: Option<String>,
}

impl FileDigest {
    pub(crate) fn of(file: &File, sha256: Option<String>) -> Self {
        Self {
            path: file.path.clone(),
            size: file.size,
            sha256,
        }
    }
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

/// A model that is listed, and what its destination needs before anything moves.
#[derive(Debug)]
pub struct Found<'a> {
    transfer: &'a Transfer,
    context: Context,
    listing: Listing,
    place: Place,
}

/// A destination that was looked at.
#[derive(Debug)]
enum Place {
    Image(Box<destination::oci::Found>),
    Bucket(Box<S3>),
}

/// Lists the source and looks at the destination, side by side. Nothing is changed.
pub async fn look<'a>(
    transfer: &'a Transfer,
    progress: &watch::Sender<Progress>,
) -> Result<Found<'a>, Error> {
    let context = Context {
        patience: Patience {
            retries: transfer.retries,
        },
        memory: Memory::new(transfer.memory_budget.max(MEMORY_BUDGET_MIN)),
        meter: Meter::new(progress.clone()),
        signed: transfer.signed,
    };
    context.meter.phase(Phase::List);
    let list = async {
        let spool = transfer.spool.as_deref();
        let listed = source::list(&transfer.source, spool, context.patience).await;
        listed.map_err(|failure| failure.in_phase(Phase::List))
    };
    let place = async {
        Ok(match &transfer.destination {
            Destination::Oci(destination) => {
                let job = transfer.checkpoint.then_some(transfer.job_id.as_str());
                let found = destination::oci::look(destination, job, &context).await;
                Place::Image(Box::new(
                    found.map_err(|failure| failure.in_phase(Phase::Base))?,
                ))
            }
            Destination::S3(place) => Place::Bucket(Box::new(place.clone())),
        })
    };
    let (listing, place) = tokio::try_join!(list, place)?;
    let total = listing.files.iter().map(|file| file.size).sum();
    context.meter.listed(listing.files.len(), total);
    Ok(Found {
        transfer,
        context,
        listing,
        place,
    })
}

impl Found<'_> {
    /// Moves the content. Ends early, with an error that can be tried again, when `cancel` is
    /// cancelled; what was finished until then is remembered in the checkpoint.
    pub async fn upload(self, cancel: &CancellationToken) -> Result<Uploaded, Error> {
        let context = self.context.clone();
        tokio::select! {
            result = self.stage() => result,
            () = cancel.cancelled() => Err(Failure::passing("cancelled")
                .in_phase(context.meter.now().phase)),
        }
    }

    async fn stage(self) -> Result<Uploaded, Error> {
        self.context.meter.phase(Phase::Copy);
        let staged = match self.place {
            Place::Image(found) => {
                let staged = found.stage(self.listing, &self.context);
                Staged::Image(Box::new(staged.await?))
            }
            Place::Bucket(place) => {
                let checkpoint = self.transfer.checkpoint;
                let staged =
                    destination::s3::stage(&place, self.listing, checkpoint, &self.context);
                Staged::Bucket(Box::new(staged.await?))
            }
        };
        Ok(Uploaded(staged))
    }
}
