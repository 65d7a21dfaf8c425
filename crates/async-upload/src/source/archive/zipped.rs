//! Zip archives. The list is at the end, so the archive must be readable in any place.

use std::sync::{Arc, Mutex, PoisonError};

use zip::{CompressionMethod, ZipArchive};

use super::{Archive, Entry, member_identity, resolve};
use crate::failure::Failure;
use crate::source::blocking::{self, Reader, decoded};
use crate::source::{Body, Content, File, Listing, Members, relative};

type Zip = ZipArchive<Reader>;

/// What is in an archive.
pub(super) async fn list(archive: Archive) -> Result<Listing, Failure> {
    if !archive.ranged {
        return Err(Failure::lasting(
            format!(
                "{} is a zip archive on a server that does not serve ranges, and its list is at \
                 its end",
                archive.object.name()
            ),
            "Give a directory with --storage-path to keep the archive in, or pack it as .tar.gz",
        ));
    }
    blocking::wait(move || listed(&archive)).await
}

fn listed(archive: &Archive) -> Result<Listing, Failure> {
    let name = archive.object.name();
    let reader = Reader::new(archive.object.clone(), archive.size, archive.patience);
    let trouble = |error: zip::result::ZipError| blocking::failure(&name, &error);
    let mut zip = Zip::new(reader).map_err(trouble)?;
    let members: Arc<dyn Members> = Arc::new(Zipped {
        name: name.clone(),
        zip: Mutex::new(zip.clone()),
    });
    let mut entries = Vec::new();
    for index in 0..zip.len() {
        let entry = zip.by_index_raw(index).map_err(trouble)?;
        if entry.is_dir() {
            continue;
        }
        if entry.encrypted() || entry.is_symlink() {
            return Err(Failure::lasting(
                format!(
                    "{:?} in {name} is encrypted or a link",
                    entry.name().unwrap_or_default()
                ),
                "Pack plain files",
            ));
        }
        let path = relative(&entry.name().map_err(trouble)?)?;
        let in_place = entry.compression() == CompressionMethod::Stored;
        let offset = entry.data_start().filter(|_| in_place);
        entries.push(Entry::File(File {
            identity: member_identity(archive, &path).map(|it| format!("{it} {}", entry.crc32())),
            path,
            size: entry.size(),
            sha256: None,
            body: match offset {
                Some(offset) => Body::Range {
                    object: archive.object.clone(),
                    offset,
                    parallel: true,
                },
                None => Body::Member {
                    archive: members.clone(),
                    index,
                },
            },
        }));
    }
    Ok(Listing {
        files: resolve(entries)?,
        sequential: false,
    })
}

/// Members that have to be unpacked, each by itself.
#[derive(Debug)]
struct Zipped {
    name: String,
    /// Only cloned: each reading has a reader of its own.
    zip: Mutex<Zip>,
}

impl Members for Zipped {
    fn read(self: Arc<Self>, index: usize) -> Content {
        decoded(self.name.clone(), move |output| {
            let mut zip = self
                .zip
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            let mut entry = zip.by_index(index)?;
            output.copy(&mut entry, |piece| piece)
        })
    }
}
