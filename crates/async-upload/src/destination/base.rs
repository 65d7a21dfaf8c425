//! The base image: read from its registry, its layers brought to the destination.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::Context;
use super::turns::Turns;
use crate::failure::Failure;
use crate::oci::image::{Base, Platform, is_attestation};
use crate::oci::{Descriptor, Manifest, Repository};
use crate::pipeline::memory::Memory;
use crate::pipeline::read;
use crate::settings::OciImage;
use crate::source::{Body, File};

/// How many layers of the base are on their way at once.
const AT_ONCE: usize = 3;
/// How many blocks of memory they share.
pub(super) const MEMORY: usize = 4;
/// The largest configuration of an image that is read.
const CONFIG_LIMIT: u64 = 8 << 20;

/// Reads manifests and configurations of all platforms.
pub(super) async fn read(
    image: &OciImage,
    context: &Context,
) -> Result<(Repository, Base), Failure> {
    let repository = Repository::new(image, context.patience)?;
    let reference = &image.reference;
    let name = reference.digest().or(reference.tag()).unwrap_or("latest");
    let top = manifest(&repository, name).await?;
    let value: Value = parsed(&top)?;
    let base = if value.get("manifests").is_some() {
        let entries: Vec<Descriptor> =
            serde_json::from_value(value.get("manifests").cloned().unwrap_or_default())
                .map_err(|error| unreadable(&top, &error))?;
        let platforms = stream::iter(entries.into_iter().filter(|entry| !is_attestation(entry)))
            .map(|entry| platform(&repository, entry))
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        Base {
            index: Some(value),
            platforms,
        }
    } else {
        let mut entry = Descriptor::new(&top.media_type, top.digest.clone(), 0);
        entry.size = top.content.len() as u64;
        Base {
            index: None,
            platforms: vec![described(&repository, entry, value).await?],
        }
    };
    if base.platforms.is_empty() {
        return Err(Failure::lasting(
            format!("base image {} names no platform", image.reference),
            "Give another base image, or none",
        ));
    }
    Ok((repository, base))
}

async fn manifest(repository: &Repository, name: &str) -> Result<Manifest, Failure> {
    repository.manifest(name).await?.ok_or_else(|| {
        Failure::lasting(
            format!("there is no image {name} in {}", repository.label()),
            "Correct the base image, or mirror it to a registry that this cluster reaches",
        )
    })
}

async fn platform(repository: &Repository, entry: Descriptor) -> Result<Platform, Failure> {
    let manifest = manifest(repository, &entry.digest).await?;
    let value = parsed(&manifest)?;
    described(repository, entry, value).await
}

/// Reads the configuration that a manifest names.
async fn described(
    repository: &Repository,
    entry: Descriptor,
    manifest: Value,
) -> Result<Platform, Failure> {
    let config: Descriptor = manifest
        .get("config")
        .cloned()
        .and_then(|config| serde_json::from_value(config).ok())
        .ok_or_else(|| {
            Failure::lasting(
                format!(
                    "{}@{} is no image ({})",
                    repository.label(),
                    entry.digest,
                    entry.media_type
                ),
                "Give a base image in OCI's format or Docker's schema 2",
            )
        })?;
    let content = repository
        .small(&config.digest, config.size.min(CONFIG_LIMIT))
        .await?;
    let config = serde_json::from_slice(&content).map_err(|error| {
        Failure::lasting(
            format!("{}@{}: {error}", repository.label(), config.digest),
            "Give another base image",
        )
    })?;
    Ok(Platform {
        entry,
        manifest,
        config,
    })
}

fn parsed(manifest: &Manifest) -> Result<Value, Failure> {
    serde_json::from_slice(&manifest.content).map_err(|error| unreadable(manifest, &error))
}

fn unreadable(manifest: &Manifest, error: &serde_json::Error) -> Failure {
    Failure::lasting(
        format!(
            "manifest {} ({}): {error}",
            manifest.digest, manifest.media_type
        ),
        "Give a base image in OCI's format or Docker's schema 2",
    )
}

/// Brings the layers of the base to `destination`: mounted where both are in one registry, sent
/// where not.
pub(super) async fn copy(
    base: &Base,
    from: &Repository,
    destination: &Repository,
    turns: Option<&Turns>,
    context: &Context,
) -> Result<(), Failure> {
    // Taken before the model's layers take theirs: who has its turn must not wait for memory.
    let memory = context.memory.share(MEMORY).await;
    stream::iter(base.layers()?)
        .map(Ok)
        .try_for_each_concurrent(AT_ONCE, |layer| {
            bring(layer, from, destination, turns, &memory, context)
        })
        .await
}

/// Brings one layer.
async fn bring(
    layer: Descriptor,
    from: &Repository,
    destination: &Repository,
    turns: Option<&Turns>,
    memory: &Memory,
    context: &Context,
) -> Result<(), Failure> {
    // Layers that only their maker may distribute stay where they are.
    if layer.rest.contains_key("urls") && layer.media_type.contains("nondistributable") {
        return Ok(());
    }
    if destination.blob_size(&layer.digest).await? == Some(layer.size) {
        return Ok(());
    }
    if from.registry() == destination.registry()
        && destination.mount(&layer.digest, &from.name).await
    {
        return Ok(());
    }
    let files: Arc<[File]> = Arc::new([File {
        path: layer.digest.clone(),
        size: layer.size,
        identity: None,
        sha256: None,
        body: Body::Range {
            object: from.object(&layer.digest),
            offset: 0,
            parallel: false,
        },
    }]);
    let turn = Turns::turn(turns, layer.size);
    let pieces = || read::ahead(files.clone(), memory.clone(), 2, context.patience).into_content();
    destination
        .put_content(
            &layer.digest,
            layer.size,
            async || turn.wait().await,
            pieces,
        )
        .await
        .map_err(|failure| failure.while_doing("base image"))
}
