//! Inputs from the cluster: memory first, one request when memory does not know.

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Resource, core::ObjectMeta};
use resources::{Kind, Scope};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Engine, memory::RootKey};
use crate::{
    capabilities::Capabilities,
    component::Component,
    inputs::{InputError, Inputs},
    outcome::Target,
};

/// Inputs of one resource during one pass.
pub(super) struct ClusterInputs<'a, C: Component> {
    pub(super) engine: &'a Engine<C>,
    pub(super) root: &'a RootKey,
    pub(super) now: Timestamp,
}

impl<C: Component> ClusterInputs<'_, C> {
    fn target(&self, kind: Kind, name: &str) -> Target {
        let namespace = match kind.scope {
            Scope::Namespaced => {
                let place = || self.engine.component.inputs_namespace().map(str::to_owned);
                self.root.namespace.clone().or_else(place)
            }
            Scope::Cluster => None,
        };
        Target {
            kind,
            namespace,
            name: name.to_owned(),
        }
    }

    fn is_served(&self, kind: Kind) -> bool {
        let optional = self
            .engine
            .component
            .kinds()
            .iter()
            .any(|w| w.kind == kind && w.optional);
        !optional || self.engine.capabilities.borrow().has(kind)
    }
}

impl<C: Component> Inputs for ClusterInputs<'_, C> {
    async fn get(&self, kind: Kind, name: &str) -> Result<Option<Arc<Value>>, InputError> {
        let target = self.target(kind, name);
        if name.is_empty() || !self.is_served(kind) {
            return Ok(None);
        }
        if let Some(known) = self
            .engine
            .with_memory(|memory| memory.begin_read(self.root, &target))
        {
            return Ok(known.into());
        }
        let forbidden = || InputError::Forbidden {
            kind: kind.kind,
            resource: kind.resource(),
            name: name.to_owned(),
        };
        let rule = self.engine.rule("get", kind, name);
        if !self
            .engine
            .permissions
            .allows_in(&rule, target.namespace.as_deref())
        {
            return Err(forbidden());
        }
        match self.engine.objects.get(&target).await {
            Ok(value) => {
                let value = value.map(|mut value| {
                    // Who owns its fields is of no interest to a reader, and half of the object.
                    if let Some(meta) = value.get_mut("metadata").and_then(Value::as_object_mut) {
                        meta.remove("managedFields");
                    }
                    Arc::new(value)
                });
                self.engine
                    .with_memory(|memory| memory.end_read(&target, value.clone()));
                Ok(value)
            }
            Err(error) if error.is_missing_right() => {
                self.engine.permissions.note_forbidden(&rule);
                Err(forbidden())
            }
            Err(error) => Err(InputError::Unavailable {
                kind: kind.kind,
                name: name.to_owned(),
                message: error.sentence(),
            }),
        }
    }

    fn child_as<K: DeserializeOwned>(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<K> {
        let target = Target {
            kind,
            namespace: namespace.map(ToOwned::to_owned),
            name: name.to_owned(),
        };
        self.engine.with_memory(|memory| {
            let seen = memory.seen(&target)?;
            let is_ours = seen.roots.iter().any(|key| key.means(self.root));
            parse(seen.part.as_deref().filter(|_| is_ours)?)
        })
    }

    fn children_as<K: DeserializeOwned>(&self, kind: Kind) -> Vec<K> {
        self.engine.with_memory(|memory| {
            memory
                .of_root(self.root)
                .filter(|(target, _)| target.kind == kind)
                .filter_map(|(_, seen)| parse(seen.part.as_deref()?))
                .collect()
        })
    }

    fn landmarks(&self, kind: Kind) -> Vec<ObjectMeta> {
        self.engine.landmarks.of(kind)
    }

    fn landmark(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.engine.landmarks.get(kind, namespace, name)
    }

    fn namesakes(&self, name: &str) -> Vec<ObjectMeta> {
        self.engine
            .store
            .state()
            .iter()
            .filter(|root| root.meta().name.as_deref() == Some(name))
            .map(|root| root.meta().clone())
            .collect()
    }

    fn neighbours(&self) -> Vec<ObjectMeta> {
        self.engine
            .with_memory(|memory| memory.root(self.root).heeds_neighbours = true);
        let all = self.engine.store.state();
        let others = all.iter().map(|root| root.meta()).filter(|meta| {
            meta.namespace == self.root.namespace && meta.name.as_ref() != Some(&self.root.name)
        });
        others.cloned().collect()
    }

    fn capabilities(&self) -> Arc<Capabilities> {
        self.engine.capabilities.borrow().clone()
    }

    fn now(&self) -> Timestamp {
        self.now
    }
}

/// The kept part of an object, which is text in memory.
fn parse<K: DeserializeOwned>(part: &str) -> Option<K> {
    serde_json::from_str(part).ok()
}
