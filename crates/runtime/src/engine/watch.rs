//! Watches: every kind that a component declares is followed, and what is seen becomes memory
//! and wake-ups. Nothing is asked for twice.

use std::{collections::HashSet, sync::Arc};

use futures::StreamExt;
use kube::{
    Api, Client, Resource as _,
    core::{ApiResource, DynamicResourceScope, ObjectMeta, Status},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use resources::{Kind, Scope};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tracing::{debug, info, warn};

use super::{
    Engine,
    memory::{RootKey, Seen, Shown},
    objects::is_missing_right,
    ownership::Ownership,
    shown::{Partial, Whole},
};
use crate::{
    component::{Component, Detail, Watched},
    outcome::Target,
    permissions::Rule,
};

/// Which part of the cluster is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Reach {
    /// All namespaces.
    #[default]
    Cluster,
    /// Only these, with rights of Roles in them.
    Namespaces(Vec<String>),
}

impl Reach {
    /// Namespaces to watch a kind in; `None` is the whole cluster.
    pub(super) fn namespaces(&self, scope: Scope) -> Vec<Option<String>> {
        match (self, scope) {
            (Self::Namespaces(names), Scope::Namespaced) => {
                names.iter().cloned().map(Some).collect()
            }
            _ => vec![None],
        }
    }

    /// Namespaces in which rights are needed; none means the whole cluster.
    pub(super) fn in_scope(&self) -> &[String] {
        match self {
            Self::Cluster => &[],
            Self::Namespaces(names) => names,
        }
    }
}

/// Whole objects in one page of a list. Parts of them are kept: many at once would be the most
/// memory that the process ever needs.
pub(super) const WHOLE: u32 = 20;
/// The same for metadata, which is a few KiB each.
const METADATA: u32 = 100;

/// How far the watches are. A watch that may not be opened yet counts as done: what it
/// would have shown is missing, and the missing rule is reported.
pub(super) type Progress = watch::Sender<usize>;

/// Counts a watch as done, the first time that it is called.
pub(super) fn once(progress: Progress) -> impl FnMut() {
    let mut counted = false;
    move || {
        if !std::mem::replace(&mut counted, true) {
            progress.send_modify(|pending| *pending = pending.saturating_sub(1));
        }
    }
}

/// `Api` for a kind without a Rust type.
pub(super) fn api<K>(client: Client, kind: Kind, namespace: Option<&str>) -> Api<K>
where
    K: kube::Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    let resource = kind.into();
    match namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    }
}

impl<C: Component> Engine<C> {
    /// Follows one kind, or the object of a name, in one namespace (or all) for as long as the
    /// process lives, once it may. An optional kind is followed while the cluster serves it.
    pub(super) async fn follow(
        self: Arc<Self>,
        watched: Watched,
        namespace: Option<String>,
        name: &'static str,
        progress: Progress,
    ) {
        let mut capabilities = self.capabilities.clone();
        let mut count = once(progress);
        let rules = ["list", "watch"].map(|verb| Rule::on(verb, watched.kind).named(name));
        let lacking = rules.iter().find(|rule| {
            let namespace = namespace.as_deref();
            !self.permissions.allows_in(rule, namespace)
        });
        if let Some(rule) = lacking {
            warn!(
                kind = watched.kind.kind,
                namespace, "not watched: the operator lacks `{rule}`"
            );
            count();
            self.permissions.given(&rules, namespace.as_deref()).await;
            info!(
                kind = watched.kind.kind,
                namespace, "watched: the operator has the right by now"
            );
        }
        // What is there of a kind that is seen late is known; no event tells of the rest.
        let mut late = lacking.is_some();
        loop {
            if watched.optional && !capabilities.borrow_and_update().has(watched.kind) {
                count();
                if capabilities
                    .wait_for(|c| c.has(watched.kind))
                    .await
                    .is_err()
                {
                    return;
                }
                info!(kind = watched.kind.kind, "API appeared");
                late = true;
            }
            let mut listed = || {
                count();
                if std::mem::take(&mut late) {
                    self.wake_all();
                }
            };
            let gone = async {
                if watched.optional {
                    let _ = capabilities.wait_for(|c| !c.has(watched.kind)).await;
                } else {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                () = self.drain(watched, namespace.as_deref(), name, &mut listed) => return,
                () = gone => {
                    info!(kind = watched.kind.kind, "API went away");
                    self.drop_kind(watched.kind, namespace.as_deref(), name);
                }
            }
        }
    }

    /// Whether the watch shows every object of its kind.
    fn is_whole(&self, watched: Watched) -> bool {
        watched.selector.is_empty() && self.component.only_named(watched.kind).is_empty()
    }

    /// Reads one watch to its end, which is that of the process.
    async fn drain(
        &self,
        watched: Watched,
        namespace: Option<&str>,
        name: &'static str,
        count: &mut impl FnMut(),
    ) {
        let mut config = watcher::Config::default().page_size(match watched.detail {
            Detail::Metadata => METADATA,
            Detail::Fields(_) => WHOLE,
        });
        if !name.is_empty() {
            config = config.fields(&format!("metadata.name={name}"));
        }
        if self.is_whole(watched) {
            self.with_memory(|memory| memory.know_all(watched.kind, false));
        } else if !watched.selector.is_empty() {
            config = config.labels(watched.selector);
        }
        let client = self.client.clone();
        match watched.detail {
            Detail::Metadata => {
                let api = api::<Partial>(client, watched.kind, namespace);
                let stream = watcher(api, config).default_backoff().map(|event| {
                    event.map(|event| map_event(event, |object| (object.metadata, Value::Null)))
                });
                self.consume(watched, namespace, name, stream, count).await;
            }
            Detail::Fields(fields) => {
                let api = api::<Whole>(client, watched.kind, namespace);
                let stream = watcher(api, config).default_backoff().map(move |event| {
                    event.map(|event| {
                        map_event(event, |object| {
                            let part = part_of(&object, fields);
                            (object.metadata, part)
                        })
                    })
                });
                self.consume(watched, namespace, name, stream, count).await;
            }
        }
    }

    async fn consume(
        &self,
        watched: Watched,
        namespace: Option<&str>,
        name: &'static str,
        stream: impl futures::Stream<Item = watcher::Result<Event<(ObjectMeta, Value)>>>,
        count: &mut impl FnMut(),
    ) {
        futures::pin_mut!(stream);
        // Names shown since the last relist: what memory holds beyond them is gone.
        let mut listed: HashSet<Target> = HashSet::new();
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply((meta, part))) => {
                    let target = target_of(watched.kind, &meta);
                    self.shown(watched, &target, &meta, &part);
                    listed.insert(target);
                }
                Ok(Event::InitDone) => {
                    self.relisted(watched.kind, namespace, name, &listed);
                    if self.is_whole(watched) {
                        self.with_memory(|memory| memory.know_all(watched.kind, true));
                    }
                    listed = HashSet::new();
                    count();
                }
                Ok(Event::Apply((meta, part))) => {
                    self.shown(watched, &target_of(watched.kind, &meta), &meta, &part);
                }
                Ok(Event::Delete((meta, _))) => {
                    let target = target_of(watched.kind, &meta);
                    let mut woken = Vec::new();
                    self.with_memory(|memory| {
                        memory.went(&meta);
                        woken.extend(memory.vanish(&target, meta.uid.as_deref()));
                        memory.shares.vanish(&target, meta.uid.as_deref());
                        memory.exists(&target, false);
                        woken.extend(memory.input_shown(&target, Shown::Gone));
                    });
                    self.wake(woken);
                }
                Err(error) => {
                    self.metrics.watch_restarted(watched.kind.kind);
                    if is_forbidden(&error) {
                        self.permissions
                            .note_forbidden(&Rule::on("watch", watched.kind).named(name));
                        count();
                    } else if watched.optional {
                        // Nobody waits for an API that is registered and does not answer.
                        count();
                    }
                    debug!(kind = watched.kind.kind, %error, "watch failed and is tried again");
                }
            }
        }
    }

    /// An object as a watch shows it.
    fn shown(&self, watched: Watched, target: &Target, meta: &ObjectMeta, part: &Value) {
        let roots = self.roots_of(watched.kind, meta, part);
        let part = (!part.is_null()).then(|| serde_json::to_string(part).unwrap_or_default());
        let part = part.map(String::into_boxed_str);
        let mut woken = Vec::new();
        self.with_memory(|memory| {
            if !roots.is_empty() || !watched.selector.is_empty() || memory.seen(target).is_some() {
                woken.extend(memory.observe(target, Self::seen(meta, part, roots)));
            }
            let manager = C::IDENTITY.field_manager;
            woken.extend(memory.shares.observe(target, meta, manager));
            memory.exists(target, true);
            let version = meta.resource_version.clone().unwrap_or_default();
            woken.extend(memory.input_shown(target, Shown::At(version)));
        });
        self.wake(woken);
    }

    /// A watch has shown all that there is; what else is remembered of its part is gone.
    fn relisted(&self, kind: Kind, namespace: Option<&str>, name: &str, listed: &HashSet<Target>) {
        let is_gone =
            |target: &Target| (name.is_empty() || target.name == name) && !listed.contains(target);
        let mut woken = Vec::new();
        self.with_memory(|memory| {
            for target in memory.targets(kind, namespace) {
                if is_gone(&target) {
                    woken.extend(memory.vanish(&target, None));
                }
            }
            for target in memory.shares.targets(kind, namespace) {
                if is_gone(&target) {
                    memory.shares.vanish(&target, None);
                }
            }
            // A relist follows a gap in which an input may have gone unseen.
            for target in memory.inputs_of(kind, namespace) {
                if is_gone(&target) {
                    memory.exists(&target, false);
                    woken.extend(memory.input_shown(&target, Shown::Gone));
                }
            }
        });
        self.wake(woken);
    }

    fn drop_kind(&self, kind: Kind, namespace: Option<&str>, name: &str) {
        self.relisted(kind, namespace, name, &HashSet::new());
        self.with_memory(|memory| memory.know_nothing(kind));
        self.wake_all();
    }

    pub(super) fn seen(meta: &ObjectMeta, part: Option<Box<str>>, roots: Vec<RootKey>) -> Seen {
        let identity = C::IDENTITY;
        let ownership = Ownership::of(meta, identity.field_manager, identity.predecessors);
        Seen::new(meta, ownership, part, roots)
    }

    /// Whose object it is: its controller's, else what its labels say.
    pub(super) fn roots_of(&self, kind: Kind, meta: &ObjectMeta, part: &Value) -> Vec<RootKey> {
        let controller = meta
            .owner_references
            .iter()
            .flatten()
            .find(|r| r.controller == Some(true));
        if let Some(controller) = controller
            && controller.kind == C::Resource::kind(&())
            && group_of(&controller.api_version) == C::Resource::group(&())
        {
            let namespace = self
                .root_is_namespaced()
                .then(|| meta.namespace.clone())
                .flatten();
            return vec![RootKey {
                namespace,
                name: controller.name.clone(),
            }];
        }
        let Some(owner) = self.component.owner(kind, meta, part) else {
            return Vec::new();
        };
        let namespace = owner.namespace.filter(|_| self.root_is_namespaced());
        vec![RootKey {
            namespace,
            name: owner.name,
        }]
    }
}

fn group_of(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

fn target_of(kind: Kind, meta: &ObjectMeta) -> Target {
    Target {
        kind,
        namespace: meta.namespace.clone(),
        name: meta.name.clone().unwrap_or_default(),
    }
}

pub(super) fn map_event<A, B>(event: Event<A>, f: impl FnOnce(A) -> B) -> Event<B> {
    match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(f(object)),
        Event::Apply(object) => Event::Apply(f(object)),
        Event::Delete(object) => Event::Delete(f(object)),
    }
}

pub(super) fn is_forbidden(error: &watcher::Error) -> bool {
    refusal(error).is_some_and(is_missing_right)
}

/// What the API server answered in place of a list or a watch.
pub(super) fn refusal(error: &watcher::Error) -> Option<&Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => Some(status),
        _ => None,
    }
}

/// The members of an object that a status looks at, with the metadata that tells objects apart.
pub(super) fn part_of(object: &Whole, fields: &[&str]) -> Value {
    let meta = &object.metadata;
    let mut kept = Map::new();
    let slim = ObjectMeta {
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        uid: meta.uid.clone(),
        generation: meta.generation,
        labels: meta.labels.clone(),
        deletion_timestamp: meta.deletion_timestamp.clone(),
        owner_references: meta.owner_references.clone(),
        annotations: fields
            .contains(&"/metadata/annotations")
            .then(|| meta.annotations.clone())
            .flatten(),
        resource_version: fields
            .contains(&"/metadata/resourceVersion")
            .then(|| meta.resource_version.clone())
            .flatten(),
        ..ObjectMeta::default()
    };
    kept.insert(
        "metadata".into(),
        serde_json::to_value(slim).unwrap_or_default(),
    );
    let mut kept = Value::Object(kept);
    for pointer in fields {
        if let Some(value) = object.data.pointer(pointer) {
            put(&mut kept, pointer, value.clone());
        }
    }
    kept
}

/// Sets the member at a JSON pointer, making the objects on the way.
fn put(root: &mut Value, pointer: &str, value: Value) {
    let mut place = root;
    for member in pointer.split('/').skip(1) {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Some(map) = place.as_object_mut() else {
            return;
        };
        place = map.entry(member.to_owned()).or_insert(Value::Null);
    }
    *place = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_part_holds_what_was_asked_for() {
        let object: Whole = serde_json::from_value(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "a", "uid": "1", "resourceVersion": "7", "managedFields": [], "annotations": {"x": "y"}},
            "spec": {"replicas": 1, "template": {"spec": {}}}, "status": {"replicas": 1}
        }))
        .unwrap();
        let part: Value = part_of(&object, &["/status", "/spec/replicas", "/spec/absent"]);
        assert_eq!(
            part,
            json!({"metadata": {"name": "a", "uid": "1"}, "spec": {"replicas": 1}, "status": {"replicas": 1}})
        );
    }

    #[test]
    fn reach_says_where_a_kind_is_watched() {
        let some = Reach::Namespaces(vec!["a".into(), "b".into()]);
        assert_eq!(
            some.namespaces(Scope::Namespaced),
            vec![Some("a".into()), Some("b".into())]
        );
        assert_eq!(some.namespaces(Scope::Cluster), vec![None]);
        assert_eq!(Reach::Cluster.namespaces(Scope::Namespaced), vec![None]);
    }
}
