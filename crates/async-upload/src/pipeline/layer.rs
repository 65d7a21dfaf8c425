//! Layers: which files share one, and how they lie in it. All of it follows from names and sizes,
//! so the length is known before a byte is read, and the same files always make the same layer.

use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header};

use crate::failure::Failure;
use crate::oci::hex;
use crate::source::File;

/// Where the model is in the image.
pub const ROOT: &str = "models/";
/// Two empty records end an archive.
pub const END: Bytes = Bytes::from_static(&[0; 2 * RECORD]);
const RECORD: usize = 512;
/// The smallest limit for layers of several files. It grows until there is room for all layers.
const SHARED: u64 = 4 << 20;

/// Which files share a layer, as ranges of the list. One layer for each file if there is room for
/// as many; otherwise neighbours share one up to a limit, so that big files keep their own. The limit
/// is no higher than it must be: short layers are on their way side by side, and cost less when they
/// must be sent again.
#[must_use]
pub fn plan(sizes: &[u64], room: usize) -> Vec<Range<usize>> {
    let mut limit = 0;
    loop {
        let layers = grouped(sizes, limit);
        if layers.len() <= room.max(1) {
            return layers;
        }
        limit = match limit.checked_ilog2() {
            None => SHARED,
            // By a quarter to a fifth: steps, so that a file more leaves most layers as they were.
            Some(power) => limit.saturating_add(1 << power.saturating_sub(2)),
        };
    }
}

fn grouped(sizes: &[u64], limit: u64) -> Vec<Range<usize>> {
    let mut layers: Vec<Range<usize>> = Vec::new();
    let mut filled = 0_u64;
    for (index, size) in sizes.iter().enumerate() {
        let together = filled.saturating_add(*size);
        match layers.last_mut() {
            Some(layer) if limit > 0 && together <= limit => {
                layer.end = index + 1;
                filled = together;
            }
            _ => {
                layers.push(index..index + 1);
                filled = *size;
            }
        }
    }
    layers
}

/// What stands before a file's content: mode 0664, owner root, no time. GNU format, because some
/// scanners cannot read the sizes of the other one beyond 8 GiB.
pub fn header(path: &str, size: u64) -> Result<Bytes, Failure> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o664);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    let written = header
        .set_username("root")
        .and_then(|()| header.set_groupname("root"))
        .and_then(|()| {
            // The builder adds what a long name needs; it does not look at the content.
            let mut builder = tar::Builder::new(Vec::new());
            builder.append_data(&mut header, format!("{ROOT}{path}"), std::io::empty())?;
            // Not finished: what ends an archive comes after the content.
            Ok(builder.get_ref().clone())
        });
    written
        .map(Bytes::from)
        .map_err(|error| Failure::lasting(format!("{path:?}: {error}"), "Rename it in the source"))
}

/// What fills the last record of a file.
#[must_use]
pub fn padding(size: u64) -> Bytes {
    let used = usize::try_from(size % RECORD as u64).unwrap_or_default();
    END.slice(..(RECORD - used) % RECORD)
}

/// The length of a layer.
pub fn length(files: &[File]) -> Result<u64, Failure> {
    files.iter().try_fold(END.len() as u64, |sum, file| {
        let header = header(&file.path, file.size)?.len() as u64;
        Ok(sum + header + file.size + padding(file.size).len() as u64)
    })
}

/// A name for what a layer is made of, without reading it: equal names mean equal layers. `None`
/// if the source cannot tell its versions apart.
#[must_use]
pub fn key(files: &[File]) -> Option<String> {
    let mut hash = Sha256::new();
    // What the layer looks like is part of its name.
    hash.update(b"tar 1");
    for file in files {
        let content = match &file.sha256 {
            Some(sha256) => format!("sha256:{sha256}"),
            None => file.identity.clone()?,
        };
        for part in [&file.path, &file.size.to_string(), &content] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    Some(hex(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::source::Body;

    #[test]
    fn each_file_has_its_layer_while_there_is_room() {
        assert_eq!(plan(&[1, 2, 3], 3), [0..1, 1..2, 2..3]);
        assert!(plan(&[], 3).is_empty());
    }

    #[test]
    fn neighbours_share_when_there_is_none() {
        let mega = 1 << 20;
        let sizes = vec![3 * mega; 200];
        let layers = plan(&sizes, 100);
        assert_eq!(layers.len(), 100);
        assert_eq!(layers[0], 0..2);
        // No longer than they must be.
        let layers = plan(&sizes, 99);
        assert_eq!(layers.len(), 67);
        assert_eq!(layers[0], 0..3);
        // Files of some bytes share one.
        assert_eq!(plan(&vec![9; 5000], 100).len(), 1);
        // Big files keep their own.
        let sizes = [mega, mega, 900 * mega, mega, mega];
        assert_eq!(plan(&sizes, 4), [0..2, 2..3, 3..5]);
        // Whatever there is fits.
        assert_eq!(plan(&[u64::MAX; 5], 1).len(), 1);
        assert_eq!(plan(&[900 * mega; 5], 0).len(), 1);
    }

    #[test]
    fn a_layer_is_what_tar_reads() {
        let long = format!("{}/model.bin", "d".repeat(180));
        let names = ["a.txt", &long, "ünï/ä.json"];
        let mut layer = Vec::new();
        let mut files = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let content = vec![b'x'; index * 511];
            layer.extend_from_slice(&header(name, content.len() as u64).unwrap());
            layer.extend_from_slice(&content);
            layer.extend_from_slice(&padding(content.len() as u64));
            files.push(File {
                path: (*name).to_owned(),
                size: content.len() as u64,
                identity: None,
                sha256: None,
                body: Body::Inline(Bytes::new()),
            });
        }
        layer.extend_from_slice(&END);
        assert_eq!(length(&files).unwrap(), layer.len() as u64);
        let mut archive = tar::Archive::new(layer.as_slice());
        for (index, entry) in archive.entries().unwrap().enumerate() {
            let mut entry = entry.unwrap();
            assert_eq!(
                entry.path().unwrap().to_str().unwrap(),
                format!("models/{}", names[index])
            );
            let header = entry.header();
            assert_eq!(header.mode().unwrap(), 0o664);
            assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 0));
            assert_eq!(header.username().unwrap(), Some("root"));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            assert_eq!(content.len(), index * 511);
        }
    }

    #[test]
    fn a_file_of_many_gigabytes_has_its_size() {
        let bytes = header("big", 20 << 30).unwrap();
        let header = Header::from_byte_slice(&bytes);
        assert_eq!(header.size().unwrap(), 20 << 30);
    }

    #[test]
    fn a_key_follows_content_and_name() {
        let file = |path: &str, identity: Option<&str>, sha256: Option<&str>| File {
            path: path.to_owned(),
            size: 3,
            identity: identity.map(str::to_owned),
            sha256: sha256.map(str::to_owned),
            body: Body::Inline(Bytes::new()),
        };
        let one = key(&[file("a", Some("x"), Some("s"))]);
        assert_eq!(one, key(&[file("a", Some("y"), Some("s"))]));
        assert_ne!(one, key(&[file("b", Some("x"), Some("s"))]));
        assert_ne!(
            key(&[file("a", Some("x"), None)]),
            key(&[file("a", Some("y"), None)])
        );
        assert_eq!(key(&[file("a", None, None)]), None);
    }
}
