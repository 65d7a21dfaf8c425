//! The watch of the custom resources themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::StreamExt;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{
    Api, Resource as _, ResourceExt,
    core::{DynamicObject, Status},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, store::Writer},
        watcher,
        watcher::Event,
    },
};
use tracing::{debug, error, warn};

use super::{
    Engine, key_of,
    memory::{RootKey, is_newer},
    watch::{Progress, WHOLE, api, is_forbidden, refusal},
};
use crate::{component::Component, permissions::Rule};

impl<C: Component> Engine<C> {
    /// Follows the custom resources for as long as the process lives.
    pub(super) async fn follow_roots(
        self: Arc<Self>,
        mut writer: Writer<C::Resource>,
        progress: Progress,
    ) {
        // The store is filled by single events: several watches may feed it.
        writer.apply_watcher_event(&Event::Init);
        writer.apply_watcher_event(&Event::InitDone);
        let namespaces = self.reach.namespaces(self.root.scope);
        let mut unread: BTreeSet<usize> = (0..namespaces.len()).collect();
        let watches = namespaces.iter().enumerate().map(|(index, namespace)| {
            let all: Api<DynamicObject> = api(self.client.clone(), self.root, namespace.as_deref());
            watcher(all, watcher::Config::default().page_size(WHOLE))
                .default_backoff()
                .map(move |event| (index, event))
                .boxed()
        });
        let mut events = futures::stream::select_all(watches);
        let mut listed: BTreeMap<usize, BTreeSet<RootKey>> = BTreeMap::new();
        let mut is_missing = false;
        while let Some((index, event)) = events.next().await {
            match event {
                Ok(Event::Init) => {
                    listed.insert(index, BTreeSet::new());
                }
                Ok(Event::InitApply(object)) => {
                    listed
                        .entry(index)
                        .or_default()
                        .insert(key_of_object(&object));
                    self.root_shown(&mut writer, object);
                }
                Ok(Event::InitDone) => {
                    let listed = listed.remove(&index).unwrap_or_default();
                    let namespace = namespaces.get(index).cloned().flatten();
                    let gone: Vec<RootKey> = self
                        .root_keys()
                        .into_iter()
                        .filter(|key| namespace.is_none() || key.namespace == namespace)
                        .filter(|key| !listed.contains(key))
                        .collect();
                    for key in gone {
                        self.root_gone(&mut writer, &key);
                    }
                    if unread.remove(&index) && unread.is_empty() {
                        progress.send_modify(|pending| *pending = pending.saturating_sub(1));
                    }
                }
                Ok(Event::Apply(object)) => self.root_shown(&mut writer, object),
                Ok(Event::Delete(object)) => self.root_gone(&mut writer, &key_of_object(&object)),
                Err(error) => {
                    self.metrics.watch_restarted(self.root.kind);
                    if is_forbidden(&error) {
                        self.permissions
                            .note_forbidden(&Rule::on("watch", self.root));
                    }
                    let is_unknown = refusal(&error).is_some_and(Status::is_not_found);
                    if is_unknown && !std::mem::replace(&mut is_missing, true) {
                        warn!(
                            definition = self.root.resource(),
                            "the API server does not know this kind; install its definition, and it is used"
                        );
                    }
                    debug!(kind = self.root.kind, %error, "watch failed and is tried again");
                }
            }
        }
    }

    fn root_shown(&self, writer: &mut Writer<C::Resource>, mut object: DynamicObject) {
        object.metadata.managed_fields = None;
        let key = key_of_object(&object);
        let version = object.resource_version().unwrap_or_default();
        let resource = match object.try_parse::<C::Resource>() {
            Ok(resource) => resource,
            Err(error) => {
                error!(
                    kind = self.root.kind, namespace = key.namespace, name = key.name, %error,
                    "this resource does not fit its type and is left alone until it is edited"
                );
                return;
            }
        };
        let is_new = self.store.get(&reference(&key)).is_none();
        let created = resource.meta().creation_timestamp.clone();
        writer.apply_watcher_event(&Event::Apply(resource));
        let ours = self.with_memory(|memory| memory.root(&key).caught_up(&version));
        if !ours {
            self.wake([key.clone()]);
        }
        if is_new {
            self.wake_namesakes(&key);
            self.wake_neighbours(&key, created.as_ref());
        }
    }

    fn root_gone(&self, writer: &mut Writer<C::Resource>, key: &RootKey) {
        if let Some(resource) = self.store.get(&reference(key)) {
            writer.apply_watcher_event(&Event::Delete(resource.as_ref().clone()));
        }
        self.with_memory(|memory| memory.forget(key));
        self.wake_namesakes(key);
        self.wake_neighbours(key, None);
    }

    /// Whether the resource is still there, as far as the watch has shown.
    pub(super) fn is_known(&self, key: &RootKey) -> bool {
        self.store.get(&reference(key)).is_some()
    }

    /// Names may be shared by the whole cluster: who else has this one looks again.
    fn wake_namesakes(&self, key: &RootKey) {
        self.wake(
            self.root_keys()
                .into_iter()
                .filter(|other| other.name == key.name && other != key),
        );
    }

    /// What only one resource of a namespace may have may change hands: those that asked look again.
    /// Who is older than one that came keeps what it has.
    fn wake_neighbours(&self, key: &RootKey, came: Option<&Time>) {
        let others = self.store.state();
        let others = others.iter().filter(|other| {
            other.namespace() == key.namespace
                && other.name_any() != key.name
                && came.is_none_or(|came| other.meta().creation_timestamp.as_ref() >= Some(came))
        });
        let others: Vec<RootKey> = others.map(|other| key_of(other.as_ref())).collect();
        let heeding = self.with_memory(|memory| {
            let heeds = |key: &RootKey| memory.root_ref(key).is_some_and(|r| r.heeds_neighbours);
            others.into_iter().filter(heeds).collect::<Vec<_>>()
        });
        self.wake(heeding);
    }

    /// The newest version that is known: the watch's, or the answer to our own last write. What the
    /// queue hands over in `queued` may be older than both.
    pub(super) fn newest(&self, key: &RootKey, queued: Arc<C::Resource>) -> Arc<C::Resource> {
        // In this order: an answer is dropped once the store has what it says.
        let latest =
            self.with_memory(|memory| memory.root_ref(key).and_then(|root| root.latest.clone()));
        let cached = self.store.get(&reference(key)).unwrap_or(queued);
        match latest {
            Some(latest)
                if latest.uid() == cached.uid()
                    && is_newer(
                        &latest.resource_version().unwrap_or_default(),
                        &cached.resource_version().unwrap_or_default(),
                    ) =>
            {
                latest
            }
            _ => cached,
        }
    }

    /// Keeps the answer to a write of ours.
    pub(super) fn wrote_root(&self, mut resource: C::Resource) -> Arc<C::Resource> {
        resource.meta_mut().managed_fields = None;
        let resource = Arc::new(resource);
        let key = key_of(resource.as_ref());
        self.with_memory(|memory| memory.root(&key).latest = Some(Arc::clone(&resource)));
        resource
    }
}

fn key_of_object(object: &DynamicObject) -> RootKey {
    RootKey {
        namespace: object.namespace(),
        name: object.name_any(),
    }
}

fn reference<K: kube::Resource<DynamicType = ()>>(key: &RootKey) -> ObjectRef<K> {
    let mut reference = ObjectRef::new(&key.name);
    reference.namespace.clone_from(&key.namespace);
    reference
}
