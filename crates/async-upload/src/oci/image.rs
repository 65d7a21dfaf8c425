//! The image: what the base says, with the model's layers on top. Pure.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::{Descriptor, media};
use crate::failure::Failure;

/// The moment that new history entries carry: the same model makes the same image at any time.
const CREATED: &str = "1970-01-01T00:00:00Z";
/// What the tools that look for ModelCars look for.
const AUTHOR: (&str, &str) = ("io.opendatahub.author", "olot");
/// The platforms of an image that stands on nothing. The model is the same on all of them.
const PLATFORMS: [&str; 4] = ["amd64", "arm64", "ppc64le", "s390x"];
/// What describes the manifest of a platform by a digest that no longer exists.
const ATTESTATION: &str = "vnd.docker.reference.digest";

/// A layer of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLayer {
    /// As it stands in manifests.
    pub descriptor: Descriptor,
    /// What the history calls it.
    pub title: String,
}

/// What an image stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// The index, if there is one.
    pub index: Option<Value>,
    /// One for each platform, in the order of the index.
    pub platforms: Vec<Platform>,
}

/// The base for one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// The entry of the index; without an index, only its annotations and platform are empty.
    pub entry: Descriptor,
    /// The manifest.
    pub manifest: Value,
    /// The configuration of the image.
    pub config: Value,
}

/// A finished manifest with its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The configuration, to be stored as a blob.
    pub config: Bytes,
    /// The manifest.
    pub manifest: Bytes,
    /// The entry of an index.
    pub entry: Descriptor,
}

impl Base {
    /// Nothing at all, for as many platforms as there may be nodes.
    #[must_use]
    pub fn none() -> Self {
        let platforms = PLATFORMS.map(|architecture| {
            let platform = json!({"architecture": architecture, "os": "linux"});
            let mut entry = Descriptor::new(media::MANIFEST, String::new(), 0);
            entry.rest.insert("platform".to_owned(), platform);
            Platform {
                entry,
                manifest: json!({"schemaVersion": 2, "mediaType": media::MANIFEST, "layers": []}),
                config: json!({
                    "architecture": architecture,
                    "os": "linux",
                    "config": {},
                    "rootfs": {"type": "layers", "diff_ids": []},
                }),
            }
        });
        Self {
            index: Some(json!({"schemaVersion": 2, "mediaType": media::INDEX})),
            platforms: platforms.into(),
        }
    }

    /// The layers of all platforms, each once.
    pub fn layers(&self) -> Result<Vec<Descriptor>, Failure> {
        let mut all: Vec<Descriptor> = Vec::new();
        for platform in &self.platforms {
            for layer in layers(&platform.manifest)? {
                if !all.iter().any(|one| one.digest == layer.digest) {
                    all.push(layer);
                }
            }
        }
        Ok(all)
    }

    /// How many layers the platform with the most of them has.
    #[must_use]
    pub fn depth(&self) -> usize {
        let depth = |platform: &Platform| {
            let layers = platform.manifest.get("layers").and_then(Value::as_array);
            layers.map_or(0, Vec::len)
        };
        self.platforms.iter().map(depth).max().unwrap_or_default()
    }

    /// The index over the finished manifests; `None` if the base has none.
    #[must_use]
    pub fn finished(&self, manifests: &[Built]) -> Option<Bytes> {
        let mut index = self.index.clone()?;
        if let Some(index) = index.as_object_mut() {
            index.insert("mediaType".to_owned(), json!(media::INDEX));
            let entries: Vec<&Descriptor> = manifests.iter().map(|built| &built.entry).collect();
            index.insert("manifests".to_owned(), json!(entries));
        }
        Some(index.to_string().into())
    }
}

impl Platform {
    /// The base with `model` on top.
    pub fn with(&self, model: &[ModelLayer]) -> Result<Built, Failure> {
        let config = Bytes::from(configured(&self.config, &self.manifest, model)?.to_string());
        let mut all: Vec<Descriptor> = layers(&self.manifest)?;
        all.extend(model.iter().map(|layer| layer.descriptor.clone()));
        let mut manifest = self.manifest.clone();
        let fields = manifest.as_object_mut().ok_or_else(no_manifest)?;
        fields.insert("mediaType".to_owned(), json!(media::MANIFEST));
        fields.insert(
            "config".to_owned(),
            json!(Descriptor::of(media::CONFIG, &config)),
        );
        fields.insert("layers".to_owned(), json!(all));
        let annotations = fields
            .entry("annotations")
            .or_insert_with(|| Value::Object(Map::new()));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert(AUTHOR.0.to_owned(), json!(AUTHOR.1));
        }
        let manifest = Bytes::from(manifest.to_string());
        let mut entry = Descriptor::of(media::MANIFEST, &manifest);
        entry.annotations.clone_from(&self.entry.annotations);
        entry.rest.clone_from(&self.entry.rest);
        Ok(Built {
            config,
            manifest,
            entry,
        })
    }
}

/// Whether an entry of an index is about another entry, which will have another digest.
#[must_use]
pub fn is_attestation(entry: &Descriptor) -> bool {
    entry.annotation(ATTESTATION).is_some()
        || entry
            .rest
            .get("platform")
            .and_then(|platform| platform.get("os"))
            .is_some_and(|os| os == "unknown")
}

/// The layers of a manifest, with the media types of OCI instead of Docker's.
pub fn layers(manifest: &Value) -> Result<Vec<Descriptor>, Failure> {
    let layers = manifest.get("layers").cloned().ok_or_else(no_manifest)?;
    let mut layers: Vec<Descriptor> = serde_json::from_value(layers).map_err(|_| no_manifest())?;
    for layer in &mut layers {
        let oci = match layer.media_type.as_str() {
            "application/vnd.docker.image.rootfs.diff.tar" => media::LAYER,
            "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
                "application/vnd.oci.image.layer.v1.tar+gzip"
            }
            "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                "application/vnd.oci.image.layer.v1.tar+zstd"
            }
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => {
                "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            }
            _ => continue,
        };
        oci.clone_into(&mut layer.media_type);
    }
    Ok(layers)
}

fn no_manifest() -> Failure {
    Failure::lasting(
        "the base image's manifest is not one of an image (OCI, or Docker schema 2)",
        "Give another base image, or none",
    )
}

/// The configuration with the layers of the model. Builders want one history entry for each layer.
fn configured(config: &Value, manifest: &Value, model: &[ModelLayer]) -> Result<Value, Failure> {
    let mut config = config.clone();
    let fields = config.as_object_mut().ok_or_else(no_manifest)?;
    let below = layers(manifest)?.len();
    let diffs = fields
        .entry("rootfs")
        .or_insert_with(|| json!({"type": "layers"}))
        .as_object_mut()
        .ok_or_else(no_manifest)?
        .entry("diff_ids")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .ok_or_else(no_manifest)?;
    // A layer that is not compressed is its own content.
    diffs.extend(model.iter().map(|layer| json!(layer.descriptor.digest)));
    let history = fields
        .entry("history")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .ok_or_else(no_manifest)?;
    let told = history
        .iter()
        .filter(|item| item.get("empty_layer") != Some(&Value::Bool(true)))
        .count();
    for _ in told..below {
        history.push(json!({"created": CREATED, "created_by": "base image"}));
    }
    history.extend(model.iter().map(|layer| {
        json!({"created": CREATED, "created_by": format!("olot oci_layers_on_top {}", layer.title)})
    }));
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> ModelLayer {
        ModelLayer {
            descriptor: Descriptor::of(media::LAYER, name.as_bytes()),
            title: name.to_owned(),
        }
    }

    #[test]
    fn a_docker_base_becomes_an_oci_image_and_keeps_what_it_says() {
        let platform = Platform {
            entry: Descriptor::new(media::DOCKER_MANIFEST, "sha256:old".to_owned(), 1),
            manifest: json!({
                "schemaVersion": 2,
                "mediaType": media::DOCKER_MANIFEST,
                "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                           "digest": "sha256:c", "size": 1},
                "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                            "digest": "sha256:l", "size": 5}],
            }),
            config: json!({
                "architecture": "amd64", "os": "linux",
                "config": {"Cmd": ["sh"]}, "container_config": {"Hostname": "x"},
                "rootfs": {"type": "layers", "diff_ids": ["sha256:d"]},
                "history": [{"created_by": "ADD"}, {"created_by": "CMD", "empty_layer": true}],
            }),
        };
        let built = platform.with(&[layer("a"), layer("b")]).unwrap();
        let manifest: Value = serde_json::from_slice(&built.manifest).unwrap();
        let config: Value = serde_json::from_slice(&built.config).unwrap();
        assert_eq!(manifest["mediaType"], media::MANIFEST);
        assert_eq!(manifest["config"]["mediaType"], media::CONFIG);
        assert_eq!(
            manifest["layers"][0]["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 3);
        assert_eq!(manifest["annotations"]["io.opendatahub.author"], "olot");
        assert_eq!(config["config"]["Cmd"][0], "sh");
        assert_eq!(config["container_config"]["Hostname"], "x");
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 3);
        let history = config["history"].as_array().unwrap();
        assert_eq!(history.len(), 4);
        assert_eq!(history[3]["created_by"], "olot oci_layers_on_top b");
        assert_eq!(built.entry.media_type, media::MANIFEST);
        // The same in, the same out.
        assert_eq!(built, platform.with(&[layer("a"), layer("b")]).unwrap());
    }

    #[test]
    fn a_base_that_tells_no_history_gets_one() {
        let platform = Platform {
            entry: Descriptor::new(media::MANIFEST, String::new(), 0),
            manifest: json!({"layers": [{"mediaType": media::LAYER, "digest": "sha256:l", "size": 1}]}),
            config: json!({"rootfs": {"type": "layers", "diff_ids": ["sha256:l"]}}),
        };
        let built = platform.with(&[layer("a")]).unwrap();
        let config: Value = serde_json::from_slice(&built.config).unwrap();
        assert_eq!(config["history"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn nothing_as_a_base_is_an_index_over_all_platforms() {
        let base = Base::none();
        let built: Vec<Built> = base
            .platforms
            .iter()
            .map(|platform| platform.with(&[layer("a")]).unwrap())
            .collect();
        let index: Value = serde_json::from_slice(&base.finished(&built).unwrap()).unwrap();
        assert_eq!(index["manifests"].as_array().unwrap().len(), 4);
        assert_eq!(index["manifests"][1]["platform"]["architecture"], "arm64");
        assert_eq!(base.depth(), 0);
    }
}
