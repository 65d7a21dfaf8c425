//! Names, labels and owners as the Go operator gives them.

use kube::core::ObjectMeta;
use resources::meta::{Pairs, cluster, namespaced, pairs};

use crate::registry::names::NAMESPACE_LABEL;
use crate::registry::validate::{Derived, Validated};

/// Value of most labels that say what an object is part of.
const COMPONENT: &str = "model-registry";
/// Who makes the objects.
const OPERATOR: &str = "model-registry-operator";

/// Labels that all objects of all registries carry; part of what tells our objects from others'.
pub(super) const MADE_BY_US: [(&str, &str); 4] = [
    ("app.kubernetes.io/component", COMPONENT),
    ("app.kubernetes.io/created-by", OPERATOR),
    ("app.kubernetes.io/part-of", COMPONENT),
    ("component", COMPONENT),
];

/// Labels of the registry's pods, by which Deployment, Service and policies select them.
#[must_use]
pub fn pod_labels(registry: &Validated) -> Pairs {
    let name = registry.name.as_str();
    pairs([
        ("app", name),
        ("app.kubernetes.io/name", name),
        ("component", COMPONENT),
    ])
}

/// Whether Istio puts its proxy into a pod.
pub(super) fn in_mesh(inside: bool) -> Pairs {
    let inject = if inside { "true" } else { "false" };
    pairs([("sidecar.istio.io/inject", inject)])
}

/// Labels by which the pods of the generated Postgres are selected.
pub(super) fn postgres_pod_labels(registry: &Validated, postgres: &str) -> Pairs {
    pairs([
        ("app", registry.name.as_str()),
        ("app.kubernetes.io/name", postgres),
        ("component", COMPONENT),
    ])
}

/// Labels of the objects of the generated Postgres.
pub(super) fn postgres_labels(postgres: &str) -> Pairs {
    pairs([
        ("app", postgres),
        ("app.kubernetes.io/component", "database"),
        ("app.kubernetes.io/created-by", OPERATOR),
        ("app.kubernetes.io/instance", postgres),
        ("app.kubernetes.io/managed-by", OPERATOR),
        ("app.kubernetes.io/name", postgres),
        ("app.kubernetes.io/part-of", COMPONENT),
        ("component", "model-registry-postgres"),
    ])
}

fn labels(registry: &Validated, instance: &str) -> Pairs {
    let mut labels = pod_labels(registry);
    labels.extend(pairs(MADE_BY_US));
    labels.extend(pairs([
        ("app.kubernetes.io/instance", instance),
        ("app.kubernetes.io/managed-by", OPERATOR),
    ]));
    labels
}

/// Metadata of an object that is called, and labelled, like the registry.
pub(super) fn own(registry: &Validated) -> ObjectMeta {
    called(registry, registry.name.as_str())
}

/// Metadata of an object with a name of its own and the labels of the registry.
pub(super) fn called(registry: &Validated, name: &str) -> ObjectMeta {
    let labels = labels(registry, registry.name.as_str());
    namespaced(
        name,
        registry.namespace.as_str(),
        labels,
        registry.owner.as_ref(),
    )
}

/// Metadata of an object whose name is also its instance.
pub(super) fn derived(registry: &Validated, name: &Derived) -> ObjectMeta {
    let labels = labels(registry, name.label.as_str());
    namespaced(
        name.object.as_str(),
        registry.namespace.as_str(),
        labels,
        registry.owner.as_ref(),
    )
}

/// Metadata of a cluster-scoped object. Labels say whose it is.
pub(super) fn clusterwide(registry: &Validated, name: &Derived) -> ObjectMeta {
    let mut labels = labels(registry, name.label.as_str());
    labels.extend(pairs([(NAMESPACE_LABEL, registry.namespace.as_str())]));
    cluster(name.object.as_str(), labels)
}

/// Labels by which an object without an owner reference is known to be this registry's.
pub(super) fn identity(registry: &Validated) -> Vec<(&str, &str)> {
    let mut identity = MADE_BY_US.to_vec();
    identity.push(("app", registry.name.as_str()));
    identity
}
