//! Tar archives. One that is not compressed is read in place; a compressed one is read twice: once
//! to know what is in it, once to move it, and both must agree.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};
use tar::EntryType;
use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

use super::{Archive, Entry, followed, member_identity, resolve};
use crate::failure::Failure;
use crate::oci::hex;
use crate::source::blocking::{self, Reader};
use crate::source::{Body, Content, File, Listing, Members, relative};

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::source) enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

type Trouble = Box<dyn std::error::Error + Send + Sync>;

impl Compression {
    fn decoder(self, reader: Reader) -> Box<dyn Read> {
        let reader = std::io::BufReader::with_capacity(256 << 10, reader);
        match self {
            Self::None => Box::new(reader),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(reader)),
            Self::Xz => Box::new(lzma_rust2::XzReader::new(reader, true)),
            Self::Zstd => Box::new(super::zstd::Frames::new(reader)),
        }
    }
}

/// What is in an archive.
pub(super) async fn list(archive: Archive, compression: Compression) -> Result<Listing, Failure> {
    let in_place = compression == Compression::None && archive.ranged;
    let name = archive.object.name();
    let members: Arc<dyn Members> = Arc::new(Tarball {
        archive: archive.clone(),
        compression,
        cursor: Arc::default(),
    });
    let entries = blocking::wait(move || {
        let found = if in_place {
            index(&archive)
        } else {
            unpack(&archive, compression, &members)
        };
        found.map_err(|error| match error.downcast::<Refused>() {
            Ok(refused) => refused.0,
            Err(error) => blocking::failure(&name, &*error),
        })
    })
    .await?;
    Ok(Listing {
        files: resolve(entries)?,
        sequential: !in_place,
    })
}

/// A failure on its way through code that knows only errors.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.cause)]
struct Refused(Failure);

fn refused(failure: Failure) -> Trouble {
    Box::new(Refused(failure))
}

/// Reads headers only, and jumps over what is between.
fn index(archive: &Archive) -> Result<Vec<Entry>, Trouble> {
    let reader = Reader::new(archive.object.clone(), archive.size, archive.patience);
    let mut tar = tar::Archive::new(reader);
    let mut entries = Vec::new();
    for entry in tar.entries_with_seek()? {
        let entry = entry?;
        let (kind, size) = (entry.header().entry_type(), entry.size());
        let offset = entry.raw_file_position();
        if kind.is_gnu_sparse() {
            return Err(refused(sparse(&entry.path_bytes())));
        }
        if offset + size > archive.size {
            return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
        }
        entries.extend(described(&entry, kind, |path| File {
            identity: member_identity(archive, &path),
            path,
            size,
            sha256: None,
            body: Body::Range {
                object: archive.object.clone(),
                offset,
                parallel: true,
            },
        })?);
    }
    Ok(entries)
}

/// Reads everything.
fn unpack(
    archive: &Archive,
    compression: Compression,
    members: &Arc<dyn Members>,
) -> Result<Vec<Entry>, Trouble> {
    let reader = Reader::new(archive.object.clone(), archive.size, archive.patience);
    let mut tar = tar::Archive::new(compression.decoder(reader));
    let mut entries = Vec::new();
    for (index, entry) in tar.entries()?.enumerate() {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        let size = entry.size();
        let mut hash = Sha256::new();
        if kind.is_file() {
            std::io::copy(&mut entry, &mut hash)?;
        }
        entries.extend(described(&entry, kind, |path| File {
            identity: member_identity(archive, &path),
            path,
            size,
            sha256: Some(hex(&hash.finalize())),
            body: Body::Member {
                archive: members.clone(),
                index,
            },
        })?);
    }
    Ok(entries)
}

fn sparse(path: &[u8]) -> Failure {
    Failure::lasting(
        format!("{:?} is stored with holes", String::from_utf8_lossy(path)),
        "Pack it without --sparse",
    )
}

/// An entry as a file or a link; `None` for directories and what is no file.
fn described<R: Read>(
    entry: &tar::Entry<'_, R>,
    kind: EntryType,
    file: impl FnOnce(String) -> File,
) -> Result<Option<Entry>, Trouble> {
    let bytes = entry.path_bytes();
    let name = String::from_utf8(bytes.into_owned())?;
    if kind.is_dir() || matches!(kind, EntryType::XGlobalHeader) {
        return Ok(None);
    }
    let path = relative(&name).map_err(refused)?;
    if kind.is_file() {
        return Ok(Some(Entry::File(file(path))));
    }
    let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned);
    let Some(target) = target.filter(|_| kind.is_symlink() || kind.is_hard_link()) else {
        tracing::warn!("{name:?} in the archive is no file and is left out");
        return Ok(None);
    };
    let target = String::from_utf8(target)?;
    let target = if kind.is_symlink() {
        followed(&path, &target)
    } else {
        relative(&target)
    };
    Ok(Some(Entry::Link {
        path,
        target: target.map_err(refused)?,
    }))
}

/// An archive that is read from its start to its end, again and again if need be.
#[derive(Debug)]
struct Tarball {
    archive: Archive,
    compression: Compression,
    cursor: Arc<Mutex<Option<Cursor>>>,
}

/// A reading that stands before the member `next`.
#[derive(Debug)]
struct Cursor {
    events: mpsc::Receiver<Result<Event, Failure>>,
    next: usize,
}

#[derive(Debug)]
enum Event {
    Begin,
    Data(Bytes),
    End,
}

impl Tarball {
    fn start(&self) -> Cursor {
        let (archive, compression) = (self.archive.clone(), self.compression);
        let events = blocking::events(archive.object.name(), move |output| {
            let reader = Reader::new(archive.object.clone(), archive.size, archive.patience);
            let mut tar = tar::Archive::new(compression.decoder(reader));
            for entry in tar.entries()? {
                let mut entry = entry?;
                output.put(Event::Begin)?;
                output.copy(&mut entry, Event::Data)?;
                output.put(Event::End)?;
            }
            Ok(())
        });
        Cursor { events, next: 0 }
    }
}

impl Members for Tarball {
    fn read(self: Arc<Self>, index: usize) -> Content {
        struct Reading {
            place: OwnedMutexGuard<Option<Cursor>>,
            cursor: Cursor,
        }
        let begin = async move {
            let mut place = self.cursor.clone().lock_owned().await;
            // Taken out: a reading that ends in the middle of a member is of no use to the next.
            let cursor = place.take().filter(|cursor| cursor.next <= index);
            let mut cursor = cursor.unwrap_or_else(|| self.start());
            loop {
                match cursor.events.recv().await {
                    Some(Ok(Event::Begin)) if cursor.next == index => {
                        return Ok(Reading { place, cursor });
                    }
                    Some(Ok(Event::End)) => cursor.next += 1,
                    Some(Ok(_)) => {}
                    Some(Err(failure)) => return Err(failure),
                    None => return Err(Failure::passing("the archive is shorter than before")),
                }
            }
        };
        futures::stream::once(begin)
            .flat_map(|reading| {
                let mut reading = Some(reading);
                futures::stream::poll_fn(move |context| {
                    use std::task::Poll;
                    let Some(now) = reading.as_mut() else {
                        return Poll::Ready(None);
                    };
                    let event = match now {
                        Ok(now) => std::task::ready!(now.cursor.events.poll_recv(context)),
                        Err(failure) => Some(Err(failure.clone())),
                    };
                    match event {
                        Some(Ok(Event::Data(data))) => Poll::Ready(Some(Ok(data))),
                        Some(Ok(_)) => {
                            if let Some(Ok(mut done)) = reading.take() {
                                done.cursor.next += 1;
                                *done.place = Some(done.cursor);
                            }
                            Poll::Ready(None)
                        }
                        Some(Err(failure)) => {
                            reading = None;
                            Poll::Ready(Some(Err(failure)))
                        }
                        None => {
                            reading = None;
                            let failure = Failure::passing("the archive is shorter than before");
                            Poll::Ready(Some(Err(failure)))
                        }
                    }
                })
            })
            .boxed()
    }
}
