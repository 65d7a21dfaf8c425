//! Objects for decoders that know nothing of asynchronous reading. Only for threads that may wait.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures::StreamExt as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::object::{Object, steady};
use super::{Content, Members};
use crate::failure::{Failure, Patience};

/// A seek forward by no more than this reads on instead of asking anew.
const READ_ON: u64 = 1 << 20;
/// The length of a piece that a decoder gives.
const PIECE: usize = 256 << 10;
/// How many pieces wait.
const PIECES: usize = 4;

/// An object as a file.
#[derive(Debug)]
pub(super) struct Reader {
    object: Arc<dyn Object>,
    size: u64,
    patience: Patience,
    at: u64,
    open: Option<Open>,
}

struct Open {
    content: Content,
    at: u64,
    rest: Bytes,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "open at {}", self.at)
    }
}

impl Reader {
    pub(super) fn new(object: Arc<dyn Object>, size: u64, patience: Patience) -> Self {
        Self {
            object,
            size,
            patience,
            at: 0,
            open: None,
        }
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        Self::new(self.object.clone(), self.size, self.patience)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if self.at >= self.size || buffer.is_empty() {
                return Ok(0);
            }
            let near = |open: &Open| self.at >= open.at && self.at - open.at <= READ_ON;
            let mut open = match self.open.take().filter(near) {
                Some(open) => open,
                None => Open {
                    content: steady(self.object.clone(), self.at..self.size, self.patience),
                    at: self.at,
                    rest: Bytes::new(),
                },
            };
            if open.rest.is_empty() {
                open.rest = match Handle::current().block_on(open.content.next()) {
                    Some(Ok(data)) => data,
                    Some(Err(failure)) => return Err(carry(failure)),
                    None => return Ok(0),
                };
            }
            let skip = usize::try_from(self.at - open.at)
                .unwrap_or(usize::MAX)
                .min(open.rest.len());
            open.rest.advance(skip);
            let taken = if skip as u64 == self.at - open.at {
                buffer.len().min(open.rest.len())
            } else {
                0
            };
            if let Some(target) = buffer.get_mut(..taken) {
                open.rest.copy_to_slice(target);
            }
            open.at += (skip + taken) as u64;
            self.at += taken as u64;
            self.open = Some(open);
            if taken > 0 {
                return Ok(taken);
            }
        }
    }
}

impl Seek for Reader {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let target = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

/// A failure as the error of a reader, found again by [`failure`].
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.cause)]
struct Carried(Failure);

fn carry(failure: Failure) -> io::Error {
    io::Error::other(Carried(failure))
}

/// What a decoder's error means: the failure of its reader, or content that is no archive.
pub(super) fn failure(name: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
    let mut next = Some(error);
    while let Some(cause) = next {
        let carried = cause.downcast_ref::<Carried>().or_else(|| {
            let error = cause.downcast_ref::<io::Error>()?;
            error.get_ref()?.downcast_ref::<Carried>()
        });
        if let Some(Carried(failure)) = carried {
            return failure.clone();
        }
        next = cause.source();
    }
    Failure::lasting(
        format!(
            "{name} cannot be unpacked: {}",
            crate::failure::chain(error)
        ),
        "Check that the file is whole and is the archive that its name says",
    )
}

/// Runs a decoder on a thread that may wait, and gives what it puts out.
pub(super) fn decoded<D>(name: String, decode: D) -> Content
where
    D: FnOnce(&mut Output<Bytes>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
{
    let pieces = events(name, decode);
    futures::stream::unfold(pieces, |mut pieces| async move {
        Some((pieces.recv().await?, pieces))
    })
    .boxed()
}

/// As [`decoded`], for output of any kind.
pub(super) fn events<T, D>(name: String, decode: D) -> mpsc::Receiver<Result<T, Failure>>
where
    T: Send + 'static,
    D: FnOnce(&mut Output<T>) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
        + Send
        + 'static,
{
    let (sender, receiver) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        let mut output = Output {
            sender: sender.clone(),
        };
        match decode(&mut output) {
            Ok(()) => {}
            // Nobody listens any more.
            Err(error) if error.is::<Closed>() => {}
            Err(error) => {
                let _ = sender.blocking_send(Err(failure(&name, &*error)));
            }
        }
    });
    receiver
}

/// Where a decoder puts what it makes.
#[derive(Debug)]
pub(super) struct Output<T> {
    sender: mpsc::Sender<Result<T, Failure>>,
}

/// Nobody listens any more.
#[derive(Debug, thiserror::Error)]
#[error("nobody listens")]
struct Closed;

impl<T> Output<T> {
    pub(super) fn put(&self, value: T) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.sender
            .blocking_send(Ok(value))
            .map_err(|_| Box::from(Closed))
    }

    /// Puts out all of `reader`, in pieces.
    pub(super) fn copy(
        &self,
        mut reader: impl Read,
        wrap: impl Fn(Bytes) -> T,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let length = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece)?;
            if length == 0 {
                return Ok(());
            }
            self.put(wrap(piece.into()))?;
        }
    }
}

/// Does something that waits, on a thread that may.
pub(super) async fn wait<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Failure::passing(format!("a reader ended early: {error}")))?
}

/// The content of a whole encoded object, as an archive with one member.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) object: Arc<dyn Object>,
    pub(super) size: u64,
    pub(super) patience: Patience,
}

impl Members for Encoded {
    fn read(self: Arc<Self>, _index: usize) -> Content {
        let name = self.object.name();
        decoded(name, move |output| {
            let decoder = flate2::read::MultiGzDecoder::new(Reader::new(
                self.object.clone(),
                self.size,
                self.patience,
            ));
            output.copy(decoder, |piece| piece)
        })
    }
}
