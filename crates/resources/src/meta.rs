//! Metadata of the objects that a resource becomes.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::Resource;
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};

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

/// `resource` as the controlling owner of its objects, which block its deletion in the foreground.
/// `None` for one that is in no cluster.
#[must_use]
pub fn owner<R: Resource<DynamicType = ()>>(resource: &R) -> Option<OwnerReference> {
    let owner = resource.controller_owner_ref(&())?;
    Some(OwnerReference {
        block_owner_deletion: Some(true),
        ..owner
    })
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

/// An object that is only a spec.
#[must_use]
pub fn with_spec(metadata: ObjectMeta, spec: &Value) -> DynamicObject {
    DynamicObject {
        types: None,
        metadata,
        data: json!({"spec": spec}),
    }
}

/// Metadata of an object as the API server has it; empty where there is none.
#[must_use]
pub fn of(object: &Value) -> ObjectMeta {
    object
        .get("metadata")
        .and_then(|meta| serde_json::from_value(meta.clone()).ok())
        .unwrap_or_default()
}

/// Annotations of a Deployment and of its pods, by which pods are new when what they read once is.
///
/// A template without a hash is one of an earlier operator, or the first: it stays. So the Deployment
/// remembers, as `baseline`, the hash of what its pods were first made with, and only a `current` one
/// that differs appears in the template. The keys are those of the baseline and of the template.
#[must_use]
pub fn since(
    (baseline_key, hash_key): (&str, &str),
    baseline: Option<&str>,
    current: &str,
) -> (Pairs, Pairs) {
    let baseline = baseline.unwrap_or(current);
    let template = (baseline != current).then_some((hash_key, current));
    (pairs([(baseline_key, baseline)]), pairs(template))
}
