//! Where models come from. A source is listed once: every file with its size and a way to read it.

mod archive;
mod blocking;
mod dir;
mod hf;
mod object;
mod oci;
mod s3;
mod unsized_file;
mod web;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;

pub use object::{Object, steady};

use crate::failure::{Failure, Patience};
use crate::settings;

/// The content of something, in order. Ends after the first error.
pub type Content = BoxStream<'static, Result<Bytes, Failure>>;

/// A model as its source shows it.
#[derive(Debug)]
pub struct Listing {
    /// Every file, in the order in which reading is cheapest.
    pub files: Vec<File>,
    /// Files can only be read one after the other, in the order of `files`.
    pub sequential: bool,
}

/// A file of a model.
#[derive(Debug, Clone)]
pub struct File {
    /// Relative, with `/`, without `.` and `..`; see [`relative`].
    pub path: String,
    /// In bytes.
    pub size: u64,
    /// What changes when the content changes: an ETag with its place, a content hash. `None` where
    /// the source has no such thing.
    pub identity: Option<String>,
    /// SHA-256 of the content in lower-case hex, where the source knows it.
    pub sha256: Option<String>,
    /// How to read it.
    pub body: Body,
}

/// How to read a file.
#[derive(Debug, Clone)]
pub enum Body {
    /// A range of an object.
    Range {
        /// What the file is in.
        object: Arc<dyn Object>,
        /// Where the file begins in it.
        offset: u64,
        /// Whether several connections at once make it faster.
        parallel: bool,
    },
    /// A member of an archive, which can only be read from its start.
    Member {
        /// The archive.
        archive: Arc<dyn Members>,
        /// The place of the file in it.
        index: usize,
    },
    /// In memory already.
    Inline(Bytes),
}

/// An archive whose members have to be unpacked.
pub trait Members: fmt::Debug + Send + Sync {
    /// Unpacks a member, from its start.
    fn read(self: Arc<Self>, index: usize) -> Content;
}

/// Reads the names and sizes of a model's files.
pub async fn list(
    source: &settings::Source,
    spool: Option<&Path>,
    patience: Patience,
) -> Result<Listing, Failure> {
    let mut listing = match source {
        settings::Source::S3(place) => s3::list(place, patience).await?,
        settings::Source::Http(place) => web::list(place, spool, patience).await?,
        settings::Source::Hf(place) => hf::list(place, patience).await?,
        settings::Source::Oci(place) => oci::list(place, patience).await?,
        settings::Source::Dir(place) => dir::list(place).await?,
    };
    refuse_collisions(&listing.files)?;
    if !listing.sequential {
        listing
            .files
            .sort_by(|one, other| one.path.cmp(&other.path));
    }
    Ok(listing)
}

/// A name from outside as a path inside the model. Names that leave the model's directory are
/// refused, not mended: what they would overwrite is not ours to guess.
pub(crate) fn relative(name: &str) -> Result<String, Failure> {
    let refuse = |why: &str| {
        Failure::lasting(
            format!("{name:?} {why}"),
            "Rename it in the source; a model's files stay below its directory",
        )
    };
    if name.contains('\0') || name.contains('\\') {
        return Err(refuse("holds a character that no path may hold"));
    }
    if name.starts_with('/') {
        return Err(refuse("is an absolute path"));
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(refuse("leaves the model's directory")),
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        return Err(refuse("is no file name"));
    }
    Ok(parts.join("/"))
}

/// What tools keep beside a model for themselves.
pub(crate) fn bookkeeping(path: &str) -> bool {
    const NAMES: [&str; 7] = [
        ".git",
        ".gitattributes",
        ".gitignore",
        ".github",
        ".cache",
        ".huggingface",
        "lost+found",
    ];
    let first = path.split('/').next().unwrap_or(path);
    NAMES.contains(&first) || path.ends_with("/.gitattributes") || path.ends_with("/.gitignore")
}

/// Two files with one name, or a file where another has its directory: neither can be unpacked.
fn refuse_collisions(files: &[File]) -> Result<(), Failure> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let rename = "Rename one of them in the source";
    for file in files {
        if !seen.insert(&file.path) {
            return Err(Failure::lasting(
                format!("two files are called {:?}", file.path),
                rename,
            ));
        }
    }
    for file in files {
        let mut directory = file.path.as_str();
        while let Some((parent, _)) = directory.rsplit_once('/') {
            if seen.contains(parent) {
                return Err(Failure::lasting(
                    format!("{parent:?} is a file and the directory of {:?}", file.path),
                    rename,
                ));
            }
            directory = parent;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside() {
        assert_eq!(relative("a//./b").unwrap(), "a/b");
        for name in [
            "../x",
            "a/../../x",
            "/etc/passwd",
            "",
            ".",
            "a\0b",
            "a\\..\\b",
        ] {
            assert!(relative(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_file_is_no_directory() {
        let file = |path: &str| File {
            path: path.to_owned(),
            size: 0,
            identity: None,
            sha256: None,
            body: Body::Inline(Bytes::new()),
        };
        assert!(refuse_collisions(&[file("a/b"), file("a/c"), file("ab")]).is_ok());
        assert!(refuse_collisions(&[file("a"), file("a/b/c")]).is_err());
        assert!(refuse_collisions(&[file("a"), file("a")]).is_err());
    }
}
