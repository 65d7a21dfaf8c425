//! Landmarks: objects of somebody else that resources of every namespace depend on.
//!
//! They belong to no resource, so they are kept apart from the memory of what resources became.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{Stream, StreamExt};
use kube::{
    core::ObjectMeta,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use resources::Kind;
use serde_json::{Map, Value, json};
use tracing::debug;

use super::{
    Engine,
    shown::{Partial, Whole},
    watch::{Progress, api, is_forbidden, map_event, once, part_of},
};
use crate::{
    capabilities::Capabilities,
    component::{Component, Landmark, Which},
    permissions::Rule,
};

/// Namespace and name.
type Address = (Option<String>, String);

/// What is kept of one.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    meta: ObjectMeta,
    part: Arc<Value>,
}

/// Landmarks as their watches have shown them.
#[derive(Default)]
pub(super) struct Landmarks(Mutex<BTreeMap<(Kind, Address), Kept>>);

impl Landmarks {
    /// Metadata of all of one kind.
    pub(super) fn of(&self, kind: Kind) -> Vec<ObjectMeta> {
        self.with(|known| {
            let all = known.iter().filter(|((of, _), _)| *of == kind);
            all.map(|(_, kept)| kept.meta.clone()).collect()
        })
    }

    /// What is kept of one of them.
    pub(super) fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>> {
        let address = (Some(namespace.to_owned()), name.to_owned());
        self.with(|known| Some(Arc::clone(&known.get(&(kind, address))?.part)))
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<(Kind, Address), Kept>) -> T) -> T {
        // A panic elsewhere leaves the map as usable as a restart does.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether resources see something new.
    fn show(&self, kind: Kind, meta: &ObjectMeta, part: Value) -> bool {
        let meta = ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            labels: meta.labels.clone(),
            ..ObjectMeta::default()
        };
        let mut members = match part {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        members.insert("metadata".to_owned(), json!(meta));
        let kept = Kept {
            part: Arc::new(members.into()),
            meta,
        };
        self.with(|known| {
            let before = known.insert((kind, address(&kept.meta)), kept.clone());
            before != Some(kept)
        })
    }

    /// Forgets those that `goes` says. Whether there was one.
    fn forget(&self, kind: Kind, goes: impl Fn(&ObjectMeta) -> bool) -> bool {
        self.with(|known| {
            let before = known.len();
            known.retain(|(of, _), kept| *of != kind || !goes(&kept.meta));
            known.len() != before
        })
    }
}

fn address(meta: &ObjectMeta) -> Address {
    (
        meta.namespace.clone(),
        meta.name.clone().unwrap_or_default(),
    )
}

impl<C: Component> Engine<C> {
    /// Follows landmarks of one kind in one namespace (or all), while the cluster serves what they
    /// are for.
    pub(super) async fn follow_landmarks(
        self: Arc<Self>,
        landmark: Landmark,
        namespace: Option<String>,
        progress: Progress,
    ) {
        let mut capabilities = self.capabilities.clone();
        let mut count = once(progress);
        loop {
            let is_there = |c: &Arc<Capabilities>| landmark.with.is_none_or(|kind| c.has(kind));
            if !is_there(&capabilities.borrow_and_update()) {
                count();
                if capabilities.wait_for(is_there).await.is_err() {
                    return;
                }
            }
            let gone = async {
                if landmark.with.is_none() {
                    std::future::pending::<()>().await;
                }
                let _ = capabilities.wait_for(|c| !is_there(c)).await;
            };
            tokio::select! {
                () = self.drain_landmarks(landmark, namespace.as_deref(), &mut count) => return,
                () = gone => {
                    self.landmarks.forget(landmark.kind, |found| {
                        is_in(namespace.as_deref(), found) && landmark.may_be(found)
                    });
                }
            }
        }
    }

    async fn drain_landmarks(
        &self,
        landmark: Landmark,
        namespace: Option<&str>,
        count: &mut impl FnMut(),
    ) {
        let config = match landmark.which {
            Which::Labelled(key) => watcher::Config::default().labels(key),
            Which::Named(name) => {
                watcher::Config::default().fields(&format!("metadata.name={name}"))
            }
        };
        let client = self.client.clone();
        if landmark.kept.is_empty() {
            let api = api::<Partial>(client, landmark.kind, namespace);
            let stream = watcher(api, config).default_backoff().map(|event| {
                event.map(|event| map_event(event, |object| (object.metadata, Value::Null)))
            });
            self.consume_landmarks(landmark, namespace, stream, count)
                .await;
        } else {
            let api = api::<Whole>(client, landmark.kind, namespace);
            let stream = watcher(api, config).default_backoff().map(|event| {
                event.map(|event| {
                    map_event(event, |object| {
                        let part = part_of(&object, landmark.kept);
                        (object.metadata, part)
                    })
                })
            });
            self.consume_landmarks(landmark, namespace, stream, count)
                .await;
        }
    }

    async fn consume_landmarks(
        &self,
        landmark: Landmark,
        namespace: Option<&str>,
        stream: impl Stream<Item = watcher::Result<Event<(ObjectMeta, Value)>>>,
        count: &mut impl FnMut(),
    ) {
        let kind = landmark.kind;
        futures::pin_mut!(stream);
        let mut listed = Vec::new();
        while let Some(event) = stream.next().await {
            let changed = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    false
                }
                Ok(Event::InitApply((meta, part))) => {
                    listed.push(address(&meta));
                    self.landmarks.show(kind, &meta, part)
                }
                Ok(Event::InitDone) => {
                    count();
                    self.landmarks.forget(kind, |found| {
                        is_in(namespace, found)
                            && landmark.may_be(found)
                            && !listed.contains(&address(found))
                    })
                }
                Ok(Event::Apply((meta, part))) => self.landmarks.show(kind, &meta, part),
                Ok(Event::Delete((meta, _))) => {
                    let gone = address(&meta);
                    self.landmarks.forget(kind, |found| address(found) == gone)
                }
                Err(error) => {
                    self.metrics.watch_restarted(kind.kind);
                    count();
                    if is_forbidden(&error) {
                        self.permissions.note_forbidden(&Rule::on("watch", kind));
                    }
                    debug!(kind = kind.kind, %error, "watch failed and is tried again");
                    false
                }
            };
            if changed {
                self.wake_all();
            }
        }
    }
}

impl Landmark {
    /// Whether an object of its kind is one: several watches share a kind.
    fn may_be(&self, meta: &ObjectMeta) -> bool {
        match self.which {
            Which::Labelled(key) => meta.labels.iter().flatten().any(|(k, _)| k == key),
            Which::Named(name) => meta.name.as_deref() == Some(name),
        }
    }
}

/// Whether a watch of `namespace`, or of all, shows this object.
fn is_in(namespace: Option<&str>, meta: &ObjectMeta) -> bool {
    namespace.is_none_or(|namespace| meta.namespace.as_deref() == Some(namespace))
}

#[cfg(test)]
mod tests {
    use resources::kind::SERVICE;
    use resources::meta::{namespaced, pairs};

    use super::*;

    #[test]
    fn what_is_kept_changes_with_labels_alone() {
        let landmarks = Landmarks::default();
        let mut service = namespaced("ingress", "mesh", pairs([("istio", "a")]), None);
        assert!(landmarks.show(SERVICE, &service, Value::Null));
        service.resource_version = Some("2".into());
        assert!(
            !landmarks.show(SERVICE, &service, Value::Null),
            "the same to a resource"
        );
        service.labels = Some(pairs([("istio", "b")]));
        assert!(landmarks.show(SERVICE, &service, Value::Null));
        assert_eq!(landmarks.of(SERVICE).len(), 1);
        assert!(landmarks.forget(SERVICE, |meta| meta.name.as_deref() == Some("ingress")));
        assert!(!landmarks.forget(SERVICE, |_| true));
    }
}
