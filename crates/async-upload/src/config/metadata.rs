//! The metadata directory: a mounted ConfigMap that says what to create.
//!
//! A file is a key, such as `ModelVersion.name`. Empty is unset.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{Environment, Error};
use crate::registry::properties::{self, Properties};

/// What the metadata says. Every part of it may be missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metadata {
    /// `RegisteredModel.*`
    pub(crate) model: Entity,
    /// `ModelVersion.*`
    pub(crate) version: Entity,
    /// `ModelArtifact.*`
    pub(crate) artifact: Entity,
    /// Keys that nothing reads.
    pub(crate) unknown: Vec<String>,
}

/// What it says about one of the three.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entity {
    /// Values by name, such as `description`; none is empty.
    pub fields: BTreeMap<&'static str, String>,
    /// The custom properties, encoded.
    pub properties: Properties,
}

impl Entity {
    /// A value, if there is one.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field).map(String::as_str)
    }
}

const MODEL_FIELDS: &[&str] = &["name", "id", "description", "owner"];
const VERSION_FIELDS: &[&str] = &["name", "id", "description", "author"];
const ARTIFACT_FIELDS: &[&str] = &[
    "name",
    "id",
    "description",
    "model_format_name",
    "model_format_version",
    "storage_key",
    "storage_path",
    "service_account_name",
    "model_source_kind",
    "model_source_class",
    "model_source_group",
    "model_source_id",
    "model_source_name",
];

/// Both spellings that callers use.
const PROPERTIES: [&str; 2] = ["custom_properties", "customProperties"];

impl Metadata {
    /// Reads a directory. Files through links count, because a mounted ConfigMap is made of them;
    /// directories do not.
    pub(crate) fn read(environment: &Environment, field: &str, dir: &Path) -> Result<Self, Error> {
        let unreadable = |error: std::io::Error| {
            let remedy = "Mount the ConfigMap there, or leave the flag out.";
            let problem = format!("the directory cannot be read: {error}");
            Error::wrong(field, dir.display(), problem, remedy)
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(environment.path(dir)).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if let Some(name) = path.file_name().and_then(|name| name.to_str())
                && path.is_file()
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        let mut metadata = Self::default();
        for name in names {
            if let Some(value) = environment.read(field, &dir.join(&name))? {
                metadata.set(&name, value)?;
            }
        }
        Ok(metadata)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), Error> {
        let (entity, known, field) = match key.split_once('.') {
            Some(("RegisteredModel", field)) => (&mut self.model, MODEL_FIELDS, field),
            Some(("ModelVersion", field)) => (&mut self.version, VERSION_FIELDS, field),
            Some(("ModelArtifact", field)) => (&mut self.artifact, ARTIFACT_FIELDS, field),
            _ => {
                self.unknown.push(key.to_owned());
                return Ok(());
            }
        };
        if PROPERTIES.contains(&field) {
            if !value.is_empty() {
                entity.properties.extend(parse_properties(key, &value)?);
            }
        } else if let Some(&field) = known.iter().find(|&&name| name == field) {
            if !value.is_empty() {
                entity.fields.insert(field, value);
            }
        } else {
            self.unknown.push(key.to_owned());
        }
        Ok(())
    }
}

fn parse_properties(key: &str, text: &str) -> Result<Properties, Error> {
    let remedy = r#"Write a JSON object, such as {"team": "nlp"}."#;
    let field = format!("key {key} of the metadata");
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(properties::encode(&map)),
        Ok(_) => Err(Error::wrong(field, text, "it is no JSON object", remedy)),
        Err(error) => Err(Error::wrong(
            field,
            text,
            format!("it is no JSON: {error}"),
            remedy,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Metadata, Error> {
        let root = tempfile::tempdir().unwrap();
        // As a kubelet mounts it: files are links to a directory that is a link.
        let data = root.path().join("..2026_01_01");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink("..2026_01_01", root.path().join("..data")).unwrap();
        for (name, text) in files {
            std::fs::write(data.join(name), text).unwrap();
            let link = root.path().join(name);
            std::os::unix::fs::symlink(Path::new("..data").join(name), link).unwrap();
        }
        let environment = Environment {
            variables: BTreeMap::new(),
            root: "/".into(),
        };
        Metadata::read(&environment, "--metadata-configmap-path", root.path())
    }

    #[test]
    fn a_mounted_config_map_is_read() {
        let metadata = read(&[
            ("RegisteredModel.name", "m\n"),
            ("RegisteredModel.id", ""),
            ("ModelVersion.custom_properties", r#"{"a": 1}"#),
            ("ModelVersion.customProperties", r#"{"b": true}"#),
            ("ModelArtifact.customProperties", ""),
            ("ModelArtifact.description", "d"),
            ("ModelArtifact.colour", "red"),
            ("README", "x"),
        ])
        .unwrap();
        assert_eq!(metadata.model.get("name"), Some("m"));
        assert_eq!(metadata.model.get("id"), None);
        assert_eq!(metadata.version.properties.len(), 2, "both spellings");
        assert_eq!(metadata.artifact.get("description"), Some("d"));
        assert!(metadata.artifact.properties.is_empty());
        assert_eq!(metadata.unknown, ["ModelArtifact.colour", "README"]);
    }

    #[test]
    fn properties_that_are_no_object_are_refused_with_their_key() {
        for text in ["{", "[1]", "7"] {
            let error = read(&[("ModelVersion.custom_properties", text)]).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains("ModelVersion.custom_properties"),
                "{message}"
            );
            assert!(message.contains("JSON object"), "{message}");
        }
    }
}
