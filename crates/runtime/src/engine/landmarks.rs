//! Landmarks: objects of somebody else that resources of every namespace depend on.
//!
//! They belong to no resource, so they are kept apart from the memory of what resources became.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use kube::{
    core::{DynamicObject, ObjectMeta, PartialObjectMeta},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use resources::Kind;
use tracing::debug;

use super::{
    Engine,
    watch::{Progress, api, is_forbidden, once},
};
use crate::{
    component::{Component, Landmark},
    permissions::Rule,
};

/// Namespace and name.
type Address = (Option<String>, String);

/// Landmarks as their watches have shown them.
#[derive(Default)]
pub(super) struct Landmarks(Mutex<BTreeMap<(Kind, Address), ObjectMeta>>);

impl Landmarks {
    /// All of one kind.
    pub(super) fn of(&self, kind: Kind) -> Vec<ObjectMeta> {
        self.with(|known| {
            let all = known.iter().filter(|((of, _), _)| *of == kind);
            all.map(|(_, meta)| meta.clone()).collect()
        })
    }

    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<(Kind, Address), ObjectMeta>) -> T) -> T {
        // A panic elsewhere leaves the map as usable as a restart does.
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether resources see something new.
    fn show(&self, kind: Kind, meta: &ObjectMeta) -> bool {
        let kept = ObjectMeta {
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            labels: meta.labels.clone(),
            ..ObjectMeta::default()
        };
        self.with(|known| {
            let before = known.insert((kind, address(meta)), kept.clone());
            before != Some(kept)
        })
    }

    /// Forgets those that `goes` says. Whether there was one.
    fn forget(&self, kind: Kind, goes: impl Fn(&Address) -> bool) -> bool {
        self.with(|known| {
            let before = known.len();
            known.retain(|(of, address), _| *of != kind || !goes(address));
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
            if !capabilities.borrow_and_update().has(landmark.with) {
                count();
                if capabilities
                    .wait_for(|c| c.has(landmark.with))
                    .await
                    .is_err()
                {
                    return;
                }
            }
            let gone = async {
                let _ = capabilities.wait_for(|c| !c.has(landmark.with)).await;
            };
            tokio::select! {
                () = self.drain_landmarks(landmark, namespace.as_deref(), &mut count) => return,
                () = gone => {
                    self.landmarks.forget(landmark.kind, |(of, _)| namespace.is_none() || *of == namespace);
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
        let kind = landmark.kind;
        let api = api::<PartialObjectMeta<DynamicObject>>(self.client.clone(), kind, namespace);
        let config = watcher::Config::default().labels(landmark.label);
        let mut stream = watcher(api, config).default_backoff().boxed();
        let mut listed = Vec::new();
        while let Some(event) = stream.next().await {
            let changed = match event {
                Ok(Event::Init) => {
                    listed.clear();
                    false
                }
                Ok(Event::InitApply(object)) => {
                    listed.push(address(&object.metadata));
                    self.landmarks.show(kind, &object.metadata)
                }
                Ok(Event::InitDone) => {
                    count();
                    let is_here = |(of, _): &Address| {
                        namespace.is_none_or(|namespace| of.as_deref() == Some(namespace))
                    };
                    self.landmarks
                        .forget(kind, |found| is_here(found) && !listed.contains(found))
                }
                Ok(Event::Apply(object)) => self.landmarks.show(kind, &object.metadata),
                Ok(Event::Delete(object)) => {
                    let gone = address(&object.metadata);
                    self.landmarks.forget(kind, |found| *found == gone)
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

#[cfg(test)]
mod tests {
    use resources::kind::SERVICE;
    use resources::meta::{namespaced, pairs};

    use super::*;

    #[test]
    fn what_is_kept_changes_with_labels_alone() {
        let landmarks = Landmarks::default();
        let mut service = namespaced("ingress", "mesh", pairs([("istio", "a")]), None);
        assert!(landmarks.show(SERVICE, &service));
        service.resource_version = Some("2".into());
        assert!(!landmarks.show(SERVICE, &service), "the same to a resource");
        service.labels = Some(pairs([("istio", "b")]));
        assert!(landmarks.show(SERVICE, &service));
        assert_eq!(landmarks.of(SERVICE).len(), 1);
        assert!(landmarks.forget(SERVICE, |(_, name)| name == "ingress"));
        assert!(!landmarks.forget(SERVICE, |_| true));
    }
}
