//! Archives: what is in them, and how to read one file of them.

mod tarball;
mod zipped;
mod zstd;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::object::Object;
use super::{File, Listing, relative};
use crate::failure::{Failure, Patience};

pub(super) use tarball::Compression;

/// What a name says about what is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Tar(Compression),
    Zip,
}

/// The format of a file called `name`; `None` if it is taken as it is. A file that is only
/// compressed stays as it is: what reads models reads those.
pub(super) fn format(name: &str) -> Option<Format> {
    let name = name.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".zip"]) {
        Some(Format::Zip)
    } else if ends(&[".tar"]) {
        Some(Format::Tar(Compression::None))
    } else if ends(&[".tar.gz", ".tgz"]) {
        Some(Format::Tar(Compression::Gzip))
    } else if ends(&[".tar.bz2", ".tbz2", ".tbz"]) {
        Some(Format::Tar(Compression::Bzip2))
    } else if ends(&[".tar.xz", ".txz"]) {
        Some(Format::Tar(Compression::Xz))
    } else if ends(&[".tar.zst", ".tzst"]) {
        Some(Format::Tar(Compression::Zstd))
    } else {
        None
    }
}

/// An archive and what is known about it.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    pub(super) object: Arc<dyn Object>,
    pub(super) size: u64,
    /// What changes when the archive changes.
    pub(super) identity: Option<String>,
    /// Whether any range of it can be read without reading what comes before.
    pub(super) ranged: bool,
    pub(super) patience: Patience,
}

/// The files in an archive.
pub(super) async fn list(archive: Archive, format: Format) -> Result<Listing, Failure> {
    match format {
        Format::Zip => zipped::list(archive).await,
        Format::Tar(compression) => tarball::list(archive, compression).await,
    }
}

/// An entry of an archive, before links are resolved.
#[derive(Debug, Clone)]
enum Entry {
    File(File),
    /// Another name for the file at a path.
    Link {
        path: String,
        target: String,
    },
}

/// Entries as files. Of two with one name the later one counts, as it does for those who unpack.
/// A link becomes the file that it leads to, which must be in the archive.
fn resolve(entries: Vec<Entry>) -> Result<Vec<File>, Failure> {
    let mut order = Vec::new();
    let mut by_path: BTreeMap<String, Entry> = BTreeMap::new();
    for entry in entries {
        let path = match &entry {
            Entry::File(file) => file.path.clone(),
            Entry::Link { path, .. } => path.clone(),
        };
        if by_path.insert(path.clone(), entry).is_some() {
            order.retain(|known| *known != path);
        }
        order.push(path);
    }
    order
        .into_iter()
        .map(|path| {
            let mut place = path.clone();
            // A chain that is longer than the archive goes in a circle.
            for _ in 0..=by_path.len() {
                match by_path.get(&place) {
                    Some(Entry::File(file)) => {
                        return Ok(File {
                            path,
                            ..file.clone()
                        });
                    }
                    Some(Entry::Link { target, .. }) => place.clone_from(target),
                    None => break,
                }
            }
            Err(Failure::lasting(
                format!("link {path:?} leads to {place:?}, which is no file of the archive"),
                "Pack the file itself instead of a link",
            ))
        })
        .collect()
}

/// Where a symbolic link at `path` leads. Links that leave the archive are refused.
fn followed(path: &str, target: &str) -> Result<String, Failure> {
    let refuse = || {
        Failure::lasting(
            format!("link {path:?} leads to {target:?}, outside of the model"),
            "Pack the file itself instead of a link",
        )
    };
    if target.starts_with('/') {
        return Err(refuse());
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop().ok_or_else(refuse)?;
            }
            part => parts.push(part),
        }
    }
    relative(&parts.join("/"))
}

/// The identity of one member.
fn member_identity(archive: &Archive, path: &str) -> Option<String> {
    archive
        .identity
        .as_ref()
        .map(|identity| format!("{identity} member {path}"))
}

#[cfg(test)]
mod tests {
    use super::super::Body;
    use super::*;

    #[test]
    fn names_tell_archives() {
        assert_eq!(format("m.ZIP"), Some(Format::Zip));
        assert_eq!(format("m.tar.gz"), Some(Format::Tar(Compression::Gzip)));
        assert_eq!(format("m.tar"), Some(Format::Tar(Compression::None)));
        assert_eq!(format("m.gz"), None);
        assert_eq!(format("model.safetensors"), None);
    }

    #[test]
    fn links_stay_inside() {
        assert_eq!(followed("a/b/link", "../c").unwrap(), "a/c");
        assert_eq!(followed("link", "./x/y").unwrap(), "x/y");
        for target in ["/etc/passwd", "../../x", "../x"] {
            assert!(followed("link", target).is_err(), "{target}");
        }
    }

    #[test]
    fn links_become_the_files_they_lead_to() {
        let file = |path: &str, size| {
            Entry::File(File {
                path: path.to_owned(),
                size,
                identity: None,
                sha256: None,
                body: Body::Inline(bytes::Bytes::new()),
            })
        };
        let link = |path: &str, target: &str| Entry::Link {
            path: path.to_owned(),
            target: target.to_owned(),
        };
        let files = resolve(vec![
            file("blob", 1),
            link("a", "b"),
            link("b", "blob"),
            file("blob", 7),
        ])
        .unwrap();
        let names: Vec<_> = files.iter().map(|file| (&*file.path, file.size)).collect();
        assert_eq!(names, [("a", 7), ("b", 7), ("blob", 7)]);
        assert!(resolve(vec![link("a", "b"), link("b", "a")]).is_err());
        assert!(resolve(vec![link("a", "gone")]).is_err());
    }
}
