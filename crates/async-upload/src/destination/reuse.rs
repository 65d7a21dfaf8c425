//! Layers that are in the registry already: from an earlier run of this Job, or from an earlier
//! version of the model.

use std::collections::HashMap;

use futures::{StreamExt as _, stream};
use serde_json::Value;

use crate::oci::{Descriptor, Manifest, Repository, image};

/// The annotation that names what a layer was made of, as [`crate::pipeline::layer::key`] does.
pub(super) const KEY: &str = "modelops.upload.key";
/// How many other images are looked at.
const IMAGES: usize = 10;
/// How many are asked for at once.
const AT_ONCE: usize = 4;

/// Layers by what they were made of.
pub(super) type Known = HashMap<String, Descriptor>;

/// The layers that the manifest called `reference` names, and its own digest.
pub(super) async fn of_tag(
    repository: &Repository,
    reference: &str,
) -> Option<(String, Vec<Descriptor>)> {
    let manifest = repository.manifest(reference).await.ok()??;
    let digest = manifest.digest.clone();
    let value: Value = serde_json::from_slice(&manifest.content).ok()?;
    if let Some(first) = value.pointer("/manifests/0/digest").and_then(Value::as_str) {
        // Each platform has the same layers of the model.
        let manifest = repository.manifest(first).await.ok()??;
        return Some((digest, layers(&manifest)));
    }
    Some((digest, layers(&manifest)))
}

fn layers(manifest: &Manifest) -> Vec<Descriptor> {
    serde_json::from_slice(&manifest.content)
        .ok()
        .and_then(|manifest| image::layers(&manifest).ok())
        .unwrap_or_default()
        .into_iter()
        .filter(|layer| layer.annotation(KEY).is_some())
        .collect()
}

/// Layers of some other images in `repository`, `first` before all others. A registry that does
/// not tell its tags, or tells them slowly, only costs what could have been saved.
pub(super) async fn of_images(repository: &Repository, first: Option<&str>) -> Known {
    let mut tags = repository.tags().await;
    // Versions that count upwards stand at the end.
    tags.sort_unstable();
    tags.reverse();
    tags.retain(|tag| !tag.starts_with("sha256-") && Some(tag.as_str()) != first);
    tags.truncate(IMAGES);
    if let Some(first) = first {
        tags.insert(0, first.to_owned());
    }
    stream::iter(tags)
        .map(|tag| async move { of_tag(repository, &tag).await })
        .buffered(AT_ONCE)
        .filter_map(|found| async move { found })
        .flat_map(|(_, layers)| stream::iter(layers))
        .fold(Known::new(), |mut known, layer| async move {
            add(&mut known, layer);
            known
        })
        .await
}

/// Adds a layer that is not known yet.
pub(super) fn add(known: &mut Known, layer: Descriptor) {
    if let Some(key) = layer.annotation(KEY) {
        known.entry(key.to_owned()).or_insert(layer);
    }
}
