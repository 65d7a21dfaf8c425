//! From the text that templates rendered to objects, in the order in which Helm installs them.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::yaml;

/// Helm's order of kinds: what others need comes first. Other kinds come last, by name.
const INSTALL_ORDER: [&str; 36] = [
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// One object that a chart rendered.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The template it is from: `templates/service.yaml`.
    pub file: String,
    /// The object. Its `apiVersion`, `kind` and `metadata.name` are texts and not empty.
    pub value: Value,
}

impl Object {
    /// `apiVersion`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// `kind`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The object as a type: one of `k8s-openapi`, or `DynamicObject` of `kube`.
    ///
    /// # Errors
    ///
    /// The field that has another type, with the template that rendered it.
    pub fn typed<K: DeserializeOwned>(&self) -> Result<K, Error> {
        K::deserialize(&self.value).map_err(|error| Error::Object {
            file: self.file.clone(),
            message: format!("{} {}: {error}", self.kind(), self.name()),
        })
    }

    fn text(&self, pointer: &str) -> &str {
        self.value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn is_hook(&self) -> bool {
        self.value
            .pointer("/metadata/annotations/helm.sh~1hook")
            .is_some()
    }
}

/// What a chart rendered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rendered {
    /// The objects, in the order in which Helm installs them.
    pub objects: Vec<Object>,
    /// The objects annotated `helm.sh/hook`: tests, and what runs before or after. Helm runs them;
    /// whoever renders in process decides alone.
    pub hooks: Vec<Object>,
    /// What `NOTES.txt` says.
    pub notes: Option<String>,
}

/// The objects of one rendered file.
pub(crate) fn split(file: &str, text: &str) -> Result<Vec<Object>, Error> {
    let mut objects = Vec::new();
    for (before, text) in manifests(text) {
        let documents = yaml::read(text).map_err(|problem| Error::Yaml {
            file: format!("{file} (rendered)"),
            line: before + problem.line,
            message: problem.message,
        })?;
        for document in documents {
            if !document.value.is_null() {
                objects.push(object(file, before + document.line, document.value)?);
            }
        }
    }
    Ok(objects)
}

/// The documents of a text, each with the number of lines before it. As Helm cuts them: at every
/// line that begins with `---`, and without the space around them, which is why a text at the end
/// of a document loses the space at its own end.
fn manifests(text: &str) -> Vec<(usize, &str)> {
    let mut starts = vec![(0, 0)];
    let mut ends = Vec::new();
    let mut offset = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if line.starts_with("---") {
            ends.push(offset);
            starts.push((index, offset + "---".len()));
        }
        offset += line.len();
    }
    ends.push(text.len());
    let documents = starts.into_iter().zip(ends);
    let trimmed = documents.filter_map(|((lines, start), end)| {
        let document = text.get(start..end)?;
        let space = document.len() - document.trim_start().len();
        let lines = lines + document.get(..space)?.matches('\n').count();
        Some((lines, document.trim())).filter(|(_, document)| !document.is_empty())
    });
    trimmed.collect()
}

fn object(file: &str, line: usize, value: Value) -> Result<Object, Error> {
    let object = Object {
        file: file.to_owned(),
        value,
    };
    for (pointer, field) in [
        ("/apiVersion", "apiVersion"),
        ("/kind", "kind"),
        ("/metadata/name", "metadata.name"),
    ] {
        if object.text(pointer).is_empty() {
            return Err(Error::Object {
                file: file.to_owned(),
                message: format!(
                    "what it renders at line {line} has no {field}, so it is no object"
                ),
            });
        }
    }
    Ok(object)
}

/// Hooks apart, the rest in Helm's order. Equal kinds keep the order they come in, which is that of
/// their files' names.
pub(crate) fn sort(objects: Vec<Object>) -> (Vec<Object>, Vec<Object>) {
    let (hooks, mut objects): (Vec<_>, Vec<_>) = objects.into_iter().partition(Object::is_hook);
    let rank = |object: &Object| {
        let kind = object.kind();
        match INSTALL_ORDER.iter().position(|known| *known == kind) {
            Some(rank) => (rank, String::new()),
            None => (INSTALL_ORDER.len(), kind.to_owned()),
        }
    };
    objects.sort_by_cached_key(rank);
    (objects, hooks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_as_helm_cuts_it() {
        let text = "\n\na: 1\n--- # words\n\n---\n  b: |\n    ---\n    x  \n---c\n---";
        assert_eq!(
            manifests(text),
            [
                (2, "a: 1"),
                (3, "# words"),
                (6, "b: |\n    ---\n    x"),
                (9, "c")
            ]
        );
        assert_eq!(manifests(" \n"), []);
    }
}
