//! A cluster made of documents: what `render` and `validate` read instead of an API server.

pub mod admission;
mod command;
pub mod documents;
pub mod render;
pub mod validate;
mod work;

use std::sync::Arc;

pub use command::{Also, Command};
pub use work::{Around, Files, Kinds, Offline, OfflineError, PlatformArg, Worked, say, work};

use jiff::Timestamp;
use kube::{Resource, core::ObjectMeta};
use resources::{Kind, Scope, meta};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::capabilities::Capabilities;
use crate::component::{Component, Landmark, Owner, Which};
use crate::inputs::{InputError, Inputs};

/// What sort of cluster the documents are said to be in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Platform {
    /// Nothing but Kubernetes itself.
    #[default]
    Kubernetes,
    /// Everything that a component looks for, without the service mesh.
    OpenShift,
}

impl Platform {
    /// The kinds that such a cluster serves, of those that `component` knows and `more` that it
    /// looks up.
    pub fn capabilities<C: Component>(self, component: &C, more: &[Kind]) -> Capabilities {
        let of_kubernetes = |kind: &Kind| {
            matches!(kind.group, "" | "apps" | "batch" | "policy" | "autoscaling")
                || kind.group.ends_with(".k8s.io")
        };
        // Gateway API has a group of Kubernetes' and is not part of it.
        let of_mesh =
            |kind: &Kind| kind.group.ends_with("istio.io") || kind.group.ends_with("kuadrant.io");
        let served = |kind: &Kind| {
            (self == Self::OpenShift && !of_mesh(kind))
                || (of_kubernetes(kind) && kind.group != "gateway.networking.k8s.io")
        };
        let known = component.kinds().iter().map(|watched| watched.kind);
        Capabilities::of(known.chain(more.iter().copied()).filter(served))
    }
}

/// Documents as one resource sees them.
#[derive(Clone, Debug)]
pub struct OfflineInputs {
    namespace: String,
    objects: Vec<Arc<Value>>,
    /// Whether the object at the same place belongs to the resource.
    owned: Vec<bool>,
    namesakes: Vec<ObjectMeta>,
    neighbours: Vec<ObjectMeta>,
    landmarks: Vec<Landmark>,
    capabilities: Arc<Capabilities>,
    now: Timestamp,
}

impl OfflineInputs {
    /// `documents` as `resource` sees them: its own namespace, cluster-scoped objects, and
    /// resources of its kind. A document without a namespace is in that of the resource. What a
    /// CustomResourceDefinition among them defines is served beside `capabilities`.
    pub fn new<C: Component>(
        component: &C,
        resource: &C::Resource,
        documents: &[Value],
        mut capabilities: Capabilities,
        now: Timestamp,
    ) -> Self {
        for document in documents {
            define(document, &mut capabilities);
        }
        let place = || component.inputs_namespace().map(str::to_owned);
        let namespace = resource.meta().namespace.clone().or_else(place);
        let namespace = namespace.unwrap_or_default();
        let name = resource.meta().name.clone().unwrap_or_default();
        let group = C::Resource::group(&());
        let kind = C::Resource::kind(&());
        let is_resource = |document: &Value| {
            text(document, "/kind") == kind
                && text(document, "/apiVersion")
                    .rsplit_once('/')
                    .is_some_and(|(found, _)| found == group)
        };

        let objects: Vec<_> = documents
            .iter()
            .filter(|d| !is_resource(d))
            .cloned()
            .map(Arc::new)
            .collect();
        let owned = objects
            .iter()
            .map(|object| {
                let meta = meta::of(object);
                let by_reference = meta.owner_references.iter().flatten().any(|owner| {
                    owner.kind == kind
                        && owner.name == name
                        && owner.api_version.starts_with(&*group)
                });
                let by_label = || {
                    let kinds = component.kinds().iter().map(|watched| watched.kind);
                    kinds.filter(|kind| is(object, *kind)).any(|kind| {
                        component.owner(kind, &meta, object).is_some_and(
                            |Owner {
                                 namespace: owner,
                                 name: owner_name,
                             }| {
                                (owner_name == name || owner_name.is_empty())
                                    && owner.is_none_or(|owner| owner == namespace)
                            },
                        )
                    })
                };
                by_reference || by_label()
            })
            .collect();
        let is_here =
            |other: &ObjectMeta| other.namespace.as_deref().unwrap_or(&namespace) == namespace;
        let is_named = |other: &ObjectMeta| other.name.as_deref() == Some(&name);
        let others = || documents.iter().filter(|d| is_resource(d)).map(meta::of);
        let namesakes = others().filter(|other| is_named(other) && !is_here(other));
        let namesakes = namesakes.chain([resource.meta().clone()]).collect();
        let neighbours = others()
            .filter(|other| is_here(other) && !is_named(other))
            .collect();
        Self {
            namespace,
            objects,
            owned,
            namesakes,
            neighbours,
            landmarks: component.landmarks().to_vec(),
            capabilities: Arc::new(capabilities),
            now,
        }
    }

    fn find(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<&Arc<Value>> {
        self.objects.iter().find(|object| {
            is(object, kind)
                && text(object, "/metadata/name") == name
                && self.namespace_of(object, kind) == namespace
        })
    }

    fn namespace_of<'a>(&'a self, object: &'a Value, kind: Kind) -> Option<&'a str> {
        match (kind.scope, text(object, "/metadata/namespace")) {
            (Scope::Cluster, _) => None,
            (Scope::Namespaced, "") => Some(&self.namespace),
            (Scope::Namespaced, namespace) => Some(namespace),
        }
    }
}

impl Inputs for OfflineInputs {
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Arc<Value>>, InputError> {
        let namespace = (kind.scope == Scope::Namespaced).then_some(self.namespace.as_str());
        Ok(self.find(kind, namespace, name).cloned())
    }

    fn child_as<K: DeserializeOwned>(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<K> {
        K::deserialize(&**self.find(kind, namespace, name)?).ok()
    }

    fn children_as<K: DeserializeOwned>(&self, kind: Kind) -> Vec<K> {
        let owned = self
            .objects
            .iter()
            .zip(&self.owned)
            .filter(|(object, owned)| **owned && is(object, kind));
        owned
            .filter_map(|(object, _)| K::deserialize(&**object).ok())
            .collect()
    }

    fn landmarks(&self, kind: Kind) -> Vec<ObjectMeta> {
        let is_one = |meta: &ObjectMeta| {
            let mut known = self.landmarks.iter();
            known.any(|landmark| {
                let which = match landmark.which {
                    Which::Labelled(key) => meta.labels.iter().flatten().any(|(k, _)| k == key),
                    Which::Named(name) => meta.name.as_deref() == Some(name),
                };
                landmark.kind == kind && which
            })
        };
        let all = self.objects.iter().filter(|object| is(object, kind));
        all.map(|object| meta::of(object)).filter(is_one).collect()
    }

    fn landmark(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let found = self.landmarks(kind).into_iter().any(|meta| {
            let of = meta.namespace.as_deref().unwrap_or(&self.namespace);
            meta.name.as_deref() == Some(name) && of == namespace
        });
        self.find(kind, Some(namespace), name)
            .filter(|_| found)
            .cloned()
    }

    fn namesakes(&self, _name: &str) -> Vec<ObjectMeta> {
        self.namesakes.clone()
    }

    fn neighbours(&self) -> Vec<ObjectMeta> {
        self.neighbours.clone()
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        Arc::clone(&self.capabilities)
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// Adds what `document` defines, if it is a CustomResourceDefinition.
fn define(document: &Value, capabilities: &mut Capabilities) {
    if text(document, "/kind") != "CustomResourceDefinition" {
        return;
    }
    let versions = document.pointer("/spec/versions").and_then(Value::as_array);
    for version in versions.into_iter().flatten() {
        if version.get("served") == Some(&Value::Bool(true)) {
            capabilities.add(
                text(document, "/spec/group"),
                text(version, "/name"),
                text(document, "/spec/names/plural"),
            );
        }
    }
}

fn is(object: &Value, kind: Kind) -> bool {
    kind.matches(text(object, "/apiVersion"), text(object, "/kind"))
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
