//! What the installation sets: environment variables of the Go operator.

use std::path::Path;

use crate::registry::values::Image;

use crate::registry::config::ConfigError;

/// Where the Go operator reads what it deploys.
pub const MANIFESTS: &str = "/opt/manifests-template";

/// Images that the operators run, passed on to them.
const IMAGES: [&str; 5] = [
    "RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE",
    "RELATED_IMAGE_POSTGRESQL_16_IMAGE",
    "RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE",
    "RELATED_IMAGE_ODH_MODEL_METADATA_COLLECTION_IMAGE",
    "RELATED_IMAGE_ODH_MODEL_PERFORMANCE_DATA_IMAGE",
];

/// What the installation sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `RELATED_IMAGE_ODH_MODEL_REGISTRY_OPERATOR_IMAGE`: the image of the operators that are
    /// deployed. Absent means the one of the manifests.
    pub operator_image: Option<String>,
    /// `RELATED_IMAGE_ODH_MODEL_REGISTRY_JOB_ASYNC_UPLOAD_IMAGE`: the image that Templates of upload
    /// jobs begin with. Absent means the one of the manifests.
    pub upload_image: Option<String>,
    /// Variables that are passed on, with their values.
    pub images: Vec<(&'static str, String)>,
}

/// Somebody mounted manifests, which would have no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is there: this operator deploys what it was built with and reads no manifests; remove the \
     volume, and set images by RELATED_IMAGE_* variables"
)]
pub struct Mounted(String);

impl Config {
    /// Reads the variables through `lookup`. Values are trimmed, empty ones count as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let image = |variable: &'static str| {
            let value = lookup(variable).map(|value| value.trim().to_owned());
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                return Ok(None);
            };
            match Image::parse(&value) {
                Ok(_) => Ok(Some(value)),
                Err(error) => Err(ConfigError::Value {
                    variable,
                    reason: error.to_string(),
                }),
            }
        };
        let mut images = Vec::new();
        for variable in IMAGES {
            images.extend(image(variable)?.map(|value| (variable, value)));
        }
        Ok(Self {
            operator_image: image("RELATED_IMAGE_ODH_MODEL_REGISTRY_OPERATOR_IMAGE")?,
            upload_image: image("RELATED_IMAGE_ODH_MODEL_REGISTRY_JOB_ASYNC_UPLOAD_IMAGE")?,
            images,
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

/// Refuses a directory with manifests at `path`, so that nobody believes in their effect.
pub fn refuse_manifests(path: &Path) -> Result<(), Mounted> {
    if path.exists() {
        Err(Mounted(path.display().to_string()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_passed_on_and_what_is_no_image_is_an_error() {
        let config = |value: &'static str| {
            Config::from_lookup(move |name| (name == IMAGES[1]).then(|| value.to_owned()))
        };
        let set = config(" example.test/postgres:1 ").unwrap();
        assert_eq!(
            set.images,
            [(IMAGES[1], "example.test/postgres:1".to_owned())]
        );
        assert_eq!(config(" ").unwrap(), Config::default());
        assert!(config("a b").is_err());
    }

    #[test]
    fn mounted_manifests_are_refused_with_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let refused = refuse_manifests(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("remove the volume"), "{refused}");
        assert_eq!(refuse_manifests(&folder.path().join("none")), Ok(()));
    }
}
