//! A mounted directory, or one file of it.

use std::fmt;
use std::fs::{self, Metadata};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;

use super::{Body, Content, File, Listing, Object, blocking, bookkeeping, relative};
use crate::failure::Failure;

/// How much is read at once.
const PIECE: u64 = 1 << 20;

/// Lists the regular files below `dir`, or `dir` itself if it is a file.
pub(super) async fn list(dir: &Path) -> Result<Listing, Failure> {
    let dir = dir.to_owned();
    let files = blocking::wait(move || {
        let root = dir.canonicalize().map_err(trouble(&dir))?;
        let mut files = Vec::new();
        if root.is_file() {
            let name = dir.file_name().unwrap_or_default().to_string_lossy();
            files.push(file(&root, relative(&name)?)?);
        } else {
            walk(&root, &root, "", &mut files)?;
        }
        if files.is_empty() {
            return Err(Failure::lasting(
                format!("{} holds no file", dir.display()),
                "Correct --source-path, or check what the volume holds",
            ));
        }
        Ok(files)
    })
    .await?;
    Ok(Listing {
        files,
        sequential: false,
    })
}

fn trouble(path: &Path) -> impl Fn(std::io::Error) -> Failure {
    move |error| {
        Failure::lasting(
            format!("{}: {error}", path.display()),
            "Check the mount, its path and its rights (the Job runs without root)",
        )
    }
}

fn walk(root: &Path, dir: &Path, prefix: &str, files: &mut Vec<File>) -> Result<(), Failure> {
    for entry in fs::read_dir(dir).map_err(trouble(dir))? {
        let entry = entry.map_err(trouble(dir))?;
        let place = entry.path();
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            return Err(Failure::lasting(
                format!("{} is no text (UTF-8)", place.display()),
                "Rename it",
            ));
        };
        let path = format!("{prefix}{name}");
        if bookkeeping(&path) {
            continue;
        }
        // A link may lead to another place of the directory, as a hub's cache has it, not out.
        let real = place.canonicalize().map_err(trouble(&place))?;
        if !real.starts_with(root) {
            return Err(Failure::lasting(
                format!(
                    "{} leads to {}, out of the model",
                    place.display(),
                    real.display()
                ),
                "Copy the file itself into the directory",
            ));
        }
        if real.is_file() {
            files.push(file(&real, relative(&path)?)?);
        } else if real.is_dir() {
            let here = dir.canonicalize().map_err(trouble(dir))?;
            if here.starts_with(&real) {
                return Err(Failure::lasting(
                    format!("{} leads back to where it is in", place.display()),
                    "Remove the link",
                ));
            }
            walk(root, &place, &format!("{path}/"), files)?;
        }
    }
    Ok(())
}

fn file(place: &Path, path: String) -> Result<File, Failure> {
    let object = FileObject::looked_at(place).map_err(trouble(place))?;
    Ok(File {
        path,
        size: object.size,
        identity: Some(format!("{} {}", place.display(), object.version)),
        sha256: None,
        body: Body::Range {
            object: Arc::new(object),
            offset: 0,
            parallel: true,
        },
    })
}

/// A file in one version.
pub(super) struct FileObject {
    place: PathBuf,
    pub(super) size: u64,
    version: String,
    /// It was made by this run, and goes when nobody reads it any more.
    temporary: bool,
}

impl Drop for FileObject {
    fn drop(&mut self) {
        if self.temporary {
            // What cannot be removed is overwritten by the next run.
            let _ = fs::remove_file(&self.place);
        }
    }
}

impl fmt::Debug for FileObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FileObject {
    /// A file of this run's own.
    pub(super) async fn temporary(place: &Path) -> Result<Arc<dyn Object>, Failure> {
        let place = place.to_owned();
        blocking::wait(move || {
            let mut object = Self::looked_at(&place).map_err(trouble(&place))?;
            object.temporary = true;
            let object: Arc<dyn Object> = Arc::new(object);
            Ok(object)
        })
        .await
    }

    fn looked_at(place: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(place)?;
        Ok(Self {
            place: place.to_owned(),
            size: metadata.len(),
            version: version(&metadata),
            temporary: false,
        })
    }

    fn piece(&self, at: u64, length: u64) -> Result<Bytes, Failure> {
        let mut file = fs::File::open(&self.place).map_err(trouble(&self.place))?;
        let now = file.metadata().map_err(trouble(&self.place))?;
        if version(&now) != self.version {
            return Err(Failure::lasting(
                format!("{} changed while it was read", self.place.display()),
                "Run the Job again when nobody writes to the volume",
            ));
        }
        let mut piece = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        file.seek(SeekFrom::Start(at))
            .map_err(trouble(&self.place))?;
        file.take(length)
            .read_to_end(&mut piece)
            .map_err(trouble(&self.place))?;
        Ok(piece.into())
    }
}

/// What changes when a file is written to; the change time cannot be set back.
fn version(metadata: &Metadata) -> String {
    format!(
        "{} {} {}.{} {}.{}",
        metadata.ino(),
        metadata.len(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    )
}

impl Object for FileObject {
    fn read(self: Arc<Self>, range: Range<u64>) -> Content {
        futures::stream::unfold((self, range.start), move |(object, at)| async move {
            let length = range.end.checked_sub(at)?.min(PIECE);
            if length == 0 {
                return None;
            }
            let reader = object.clone();
            let piece = blocking::wait(move || reader.piece(at, length)).await;
            let next = match &piece {
                Ok(piece) if piece.is_empty() => return None,
                Ok(piece) => at + piece.len() as u64,
                // The last thing that is given.
                Err(_) => range.end,
            };
            Some((piece, (object, next)))
        })
        .boxed()
    }

    fn name(&self) -> String {
        self.place.display().to_string()
    }
}
