//! A model in a registry: a ModelCar, whose files are under `models/` in its layers, or an
//! artifact, whose layers are the files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::archive::{self, Archive, Compression, Format};
use super::{Body, File, Listing, relative};
use crate::failure::{Failure, Patience};
use crate::oci::{Descriptor, Manifest, Repository, image, media};
use crate::pipeline::layer::ROOT;
use crate::settings::OciImage;

const TITLE: &str = "org.opencontainers.image.title";
/// What hides files of the layers below: one file, or the rest of a directory.
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Lists the files of the model.
pub(super) async fn list(place: &OciImage, patience: Patience) -> Result<Listing, Failure> {
    let repository = Repository::new(place, patience)?;
    let reference = &place.reference;
    let name = reference.digest().or(reference.tag()).unwrap_or("latest");
    let manifest = chosen(&repository, name).await?;
    let layers = image::layers(&manifest)?;
    let artifact = manifest.get("artifactType").is_some()
        || manifest
            .pointer("/config/mediaType")
            .is_none_or(|kind| kind != media::CONFIG && !docker_config(kind));
    let mut found = Found::default();
    for layer in &layers {
        let archive = Archive {
            object: repository.object(&layer.digest),
            size: layer.size,
            identity: Some(layer.digest.clone()),
            ranged: true,
            patience,
        };
        let kind = layer.media_type.as_str();
        match compression(kind) {
            Some(compression) => {
                let inside = archive::list(archive, Format::Tar(compression)).await?;
                found.add(inside, artifact);
            }
            None if artifact => found.whole(layer, archive)?,
            None => {
                return Err(Failure::lasting(
                    format!("{reference}: layer {} is of type {kind:?}", layer.digest),
                    "Give an image whose layers are tar archives, or an artifact",
                ));
            }
        }
    }
    if found.files.is_empty() {
        return Err(Failure::lasting(
            format!("{reference} holds nothing under /{ROOT}"),
            "Give a ModelCar, or an artifact whose layers are the files",
        ));
    }
    Ok(Listing {
        files: found.in_order(),
        sequential: found.sequential,
    })
}

fn docker_config(kind: &Value) -> bool {
    kind == "application/vnd.docker.container.image.v1+json"
}

/// How a layer is compressed; `None` if it is no archive.
fn compression(kind: &str) -> Option<Compression> {
    let (name, suffix) = kind.split_once('+').unwrap_or((kind, ""));
    match (name.rsplit('.').next()?, suffix) {
        ("tar", "gzip") | ("gzip", _) => Some(Compression::Gzip),
        ("tar", "zstd") => Some(Compression::Zstd),
        ("tar", _) => Some(Compression::None),
        _ => None,
    }
}

/// The manifest, or one of an index: the model is the same on all platforms.
async fn chosen(repository: &Repository, name: &str) -> Result<Value, Failure> {
    let top = parsed(&named(repository, name).await?)?;
    let Some(entries) = top.get("manifests").cloned() else {
        return Ok(top);
    };
    let entries: Vec<Descriptor> = serde_json::from_value(entries).unwrap_or_default();
    let amd64 = |entry: &&Descriptor| {
        let platform = entry.rest.get("platform");
        platform.and_then(|platform| platform.get("architecture")) == Some(&"amd64".into())
    };
    let images: Vec<Descriptor> = entries
        .into_iter()
        .filter(|entry| !image::is_attestation(entry))
        .collect();
    let entry = images
        .iter()
        .find(amd64)
        .or(images.first())
        .ok_or_else(|| {
            Failure::lasting(
                format!("{}:{name} is an index of nothing", repository.label()),
                "Give another image",
            )
        })?;
    parsed(&named(repository, &entry.digest).await?)
}

async fn named(repository: &Repository, name: &str) -> Result<Manifest, Failure> {
    repository.manifest(name).await?.ok_or_else(|| {
        Failure::lasting(
            format!("there is no image {name} in {}", repository.label()),
            "Correct the source's address",
        )
    })
}

fn parsed(manifest: &Manifest) -> Result<Value, Failure> {
    serde_json::from_slice(&manifest.content).map_err(|error| {
        Failure::lasting(
            format!("manifest {}: {error}", manifest.digest),
            "Give an image in OCI's format or Docker's schema 2",
        )
    })
}

/// Files by path, as the layers pile up.
#[derive(Default)]
struct Found {
    files: BTreeMap<String, (usize, File)>,
    count: usize,
    sequential: bool,
}

impl Found {
    /// The files of one more layer.
    fn add(&mut self, inside: Listing, artifact: bool) {
        self.sequential |= inside.sequential;
        let (hidden, files): (Vec<File>, Vec<File>) = inside.files.into_iter().partition(|file| {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            name.starts_with(WHITEOUT)
        });
        // What a layer hides is in the layers below, not in itself.
        for file in hidden {
            self.hide(&file.path);
        }
        for mut file in files {
            let path = match file.path.strip_prefix(ROOT) {
                Some(path) => path.to_owned(),
                None if artifact => file.path.clone(),
                None => continue,
            };
            file.path.clone_from(&path);
            self.insert(path, file);
        }
    }

    /// Takes away what a whiteout at `path` (with `models/`) names.
    fn hide(&mut self, path: &str) {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let gone = if name == OPAQUE {
            directory.to_owned()
        } else {
            format!("{directory}/{}", name.trim_start_matches(WHITEOUT))
        };
        let gone = gone.trim_start_matches('/');
        self.files.retain(|path, _| {
            let path = format!("{ROOT}{path}");
            path != gone && !path.starts_with(&format!("{gone}/"))
        });
    }

    /// A layer that is a file.
    fn whole(&mut self, layer: &Descriptor, archive: Archive) -> Result<(), Failure> {
        let Some(title) = layer.annotation(TITLE) else {
            tracing::warn!("layer {} has no name and is left out", layer.digest);
            return Ok(());
        };
        let path = relative(title)?;
        let file = File {
            path: path.clone(),
            size: layer.size,
            identity: Some(layer.digest.clone()),
            sha256: layer.digest.strip_prefix("sha256:").map(str::to_owned),
            body: Body::Range {
                object: archive.object,
                offset: 0,
                parallel: true,
            },
        };
        self.insert(path, file);
        Ok(())
    }

    fn insert(&mut self, path: String, file: File) {
        self.files.insert(path, (self.count, file));
        self.count += 1;
    }

    /// In the order in which the layers hold them.
    fn in_order(&mut self) -> Vec<File> {
        let mut files: Vec<_> = std::mem::take(&mut self.files).into_values().collect();
        files.sort_by_key(|(place, _)| *place);
        files.into_iter().map(|(_, file)| file).collect()
    }
}
