//! Metadata of the objects that a resource becomes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;

/// Labels or annotations.
pub type Pairs = BTreeMap<String, String>;

/// Labels or annotations from literal pairs.
#[must_use]
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Pairs {
    pairs
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// Metadata of an object in a namespace. With an owner the garbage collector takes the object
/// when the owner goes.
#[must_use]
pub fn namespaced(
    name: &str,
    namespace: &str,
    labels: Pairs,
    owner: Option<&OwnerReference>,
) -> ObjectMeta {
    ObjectMeta {
        namespace: Some(namespace.to_owned()),
        owner_references: owner.map(|owner| vec![owner.clone()]),
        ..cluster(name, labels)
    }
}

/// Metadata of a cluster-scoped object. It has no owner: the garbage collector cannot follow a
/// reference to something in a namespace.
#[must_use]
pub fn cluster(name: &str, labels: Pairs) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// `meta` with these annotations; none when the map is empty.
#[must_use]
pub fn annotated(meta: ObjectMeta, annotations: Pairs) -> ObjectMeta {
    ObjectMeta {
        annotations: Some(annotations).filter(|map| !map.is_empty()),
        ..meta
    }
}
