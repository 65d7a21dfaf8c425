//! The loop: watches make memory and wake-ups, a wake-up is one pass over one resource.

mod apply;
mod edit;
mod farewell;
mod landmarks;
mod memory;
mod objects;
mod ownership;
mod pass;
mod prune;
mod reads;
mod rights;
mod roots;
mod share;
mod shown;
mod watch;

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt, future::BoxFuture};
use kube::{
    Client, Resource, ResourceExt,
    runtime::{
        controller::{self, Action, applier},
        reflector::{self, ObjectRef, Store},
    },
};
use resources::{Kind, Scope};
use tokio::sync::{mpsc, watch as signal};

use self::{
    landmarks::Landmarks,
    memory::{Memory, RootKey},
    objects::Objects,
};
use crate::{
    admission::Known,
    capabilities::Capabilities,
    component::Component,
    events::Recorder,
    metrics::Metrics,
    permissions::{Permissions, Rule},
    shutdown::Shutdown,
};

pub use self::watch::Reach;

/// What the loop needs from the process around it.
pub struct Surroundings {
    /// Connection to the API server.
    pub client: Client,
    /// What the cluster offers, kept up to date.
    pub capabilities: signal::Receiver<Arc<Capabilities>>,
    /// What the operator may do.
    pub permissions: Arc<Permissions>,
    /// Events for people.
    pub events: Recorder,
    /// Numbers for Prometheus.
    pub metrics: Metrics,
    /// Which part of the cluster is looked at.
    pub reach: Reach,
    /// Passes at the same time, for different resources.
    pub concurrency: u16,
    /// When to stop.
    pub shutdown: Shutdown,
}

/// The loop of one component.
pub struct Engine<C: Component> {
    component: C,
    root: Kind,
    client: Client,
    objects: Objects,
    memory: Mutex<Memory<C::Resource>>,
    landmarks: Landmarks,
    store: Store<C::Resource>,
    queue: mpsc::UnboundedSender<ObjectRef<C::Resource>>,
    capabilities: signal::Receiver<Arc<Capabilities>>,
    permissions: Arc<Permissions>,
    events: Recorder,
    metrics: Metrics,
    reach: Reach,
    /// Passes that run now.
    active: AtomicUsize,
    /// Passes that may run at once.
    concurrency: u16,
}

/// Longest that one pass may take. What is not done by then is done in the next one.
const PASS_LIMIT: Duration = Duration::from_mins(2);

/// A loop whose watches run. [`Running::lead`] lets it write.
pub struct Running<C: Component> {
    engine: Arc<Engine<C>>,
    wakeups: mpsc::UnboundedReceiver<ObjectRef<C::Resource>>,
    pending: signal::Receiver<usize>,
    watches: tokio::task::JoinSet<()>,
    shutdown: Shutdown,
}

/// Opens all watches of a component, side by side. Nothing is written before [`Running::lead`].
pub fn start<C: Component>(component: C, around: Surroundings) -> Running<C> {
    let (store, writer) = reflector::store();
    let (queue, wakeups) = mpsc::unbounded_channel();
    let root = root_kind::<C::Resource>();
    let engine = Arc::new(Engine {
        objects: Objects::new(around.client.clone(), C::IDENTITY.field_manager),
        component,
        root,
        client: around.client,
        memory: Mutex::new(Memory::default()),
        landmarks: Landmarks::default(),
        store,
        queue,
        capabilities: around.capabilities,
        permissions: around.permissions,
        events: around.events,
        metrics: around.metrics,
        reach: around.reach,
        active: AtomicUsize::new(0),
        concurrency: around.concurrency,
    });
    let (progress, pending) = signal::channel(0_usize);
    let mut watches = tokio::task::JoinSet::new();
    let mut open = |task: BoxFuture<'static, ()>| {
        progress.send_modify(|pending| *pending += 1);
        watches.spawn(task);
    };
    open(Box::pin(
        Arc::clone(&engine).follow_roots(writer, progress.clone()),
    ));
    for watched in engine.component.kinds() {
        for namespace in engine.reach.namespaces(watched.kind.scope) {
            for name in engine.names(watched.kind) {
                open(Box::pin(Arc::clone(&engine).follow(
                    *watched,
                    namespace.clone(),
                    name,
                    progress.clone(),
                )));
            }
        }
    }
    for landmark in engine.component.landmarks() {
        for namespace in engine.reach.namespaces(landmark.kind.scope) {
            open(Box::pin(Arc::clone(&engine).follow_landmarks(
                *landmark,
                namespace,
                progress.clone(),
            )));
        }
    }
    watches.spawn(Arc::clone(&engine).follow_rights());
    Running {
        engine,
        wakeups,
        pending,
        watches,
        shutdown: around.shutdown,
    }
}

impl<C: Component> Running<C> {
    /// Whether every watch has shown what was there when it was opened.
    #[must_use]
    pub fn progress(&self) -> signal::Receiver<usize> {
        self.pending.clone()
    }

    /// Rules that the declared kinds need and the service account lacks.
    #[must_use]
    pub fn missing_rules(&self) -> Vec<String> {
        self.engine.missing_rules()
    }

    /// Says which namespaces have a resource of a name, as far as the watch has shown.
    #[must_use]
    pub fn known(&self) -> Known {
        let engine = Arc::clone(&self.engine);
        Arc::new(move |name| {
            let keys = engine.root_keys().into_iter();
            keys.filter(|key| key.name == name)
                .filter_map(|key| key.namespace)
                .collect()
        })
    }

    /// Reconciles until shutdown is requested, then finishes the passes that run. Must only be
    /// called while the Lease is held.
    pub async fn lead(mut self) {
        let synced = self.pending.wait_for(|pending| *pending == 0);
        if self.shutdown.interrupt(synced).await.is_none() {
            return;
        }
        let engine = Arc::clone(&self.engine);
        engine.wake_all();
        let stop = self.shutdown.requested();
        let wakeups = futures::stream::unfold(self.wakeups, |mut receiver| async move {
            receiver.recv().await.map(|reference| (reference, receiver))
        });
        let queue = wakeups
            .map(Ok::<_, std::convert::Infallible>)
            .take_until(stop);
        let passes = applier(
            |resource, engine: Arc<Engine<C>>| {
                Box::pin(
                    async move { Ok::<_, std::convert::Infallible>(engine.pass(resource).await) },
                )
            },
            |_, error, _| match *error {},
            Arc::clone(&engine),
            engine.store.clone(),
            Box::pin(queue),
            controller::Config::default().concurrency(engine.concurrency),
        );
        // A resource that is gone by the time of its pass is no failure.
        passes
            .into_stream()
            .for_each(|_| std::future::ready(()))
            .await;
        self.watches.shutdown().await;
    }
}

impl<C: Component> Engine<C> {
    fn with_memory<T>(&self, f: impl FnOnce(&mut Memory<C::Resource>) -> T) -> T {
        // A panic elsewhere leaves memory as usable as a restart does.
        f(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Asks for a pass over each of these resources.
    fn wake(&self, roots: impl IntoIterator<Item = RootKey>) {
        let mut exact = BTreeSet::new();
        for root in roots {
            let is_full = !root.name.is_empty() && root.namespace.is_some();
            if !is_full && self.root_is_namespaced() {
                exact.extend(self.root_keys().into_iter().filter(|key| root.means(key)));
            } else {
                exact.insert(root);
            }
        }
        for root in exact {
            let depth = self.with_memory(|memory| memory.wait_for_pass(&root));
            self.metrics.queue_depth(C::IDENTITY.name, depth);
            let mut reference = ObjectRef::new(&root.name);
            reference.namespace = root.namespace;
            // Nobody listens any more: the process is stopping.
            let _ = self.queue.send(reference);
        }
    }

    fn wake_all(&self) {
        self.wake(self.root_keys());
    }

    fn root_keys(&self) -> Vec<RootKey> {
        self.store
            .state()
            .iter()
            .map(|root| key_of(root.as_ref()))
            .collect()
    }

    fn root_is_namespaced(&self) -> bool {
        self.root.scope == Scope::Namespaced
    }

    /// Rules that the declared kinds need and the service account lacks.
    fn missing_rules(&self) -> Vec<String> {
        let capabilities = self.capabilities.borrow().clone();
        let needed: Vec<Rule> =
            self.component
                .kinds()
                .iter()
                .filter(|w| !w.optional || capabilities.has(w.kind))
                .flat_map(|w| {
                    let verbs: &[&'static str] = if !w.owned {
                        &["list", "watch"]
                    } else if self.component.undeleted().contains(&w.kind) {
                        &["get", "list", "watch", "create"]
                    } else {
                        &["get", "list", "watch", "create", "patch", "delete"]
                    };
                    let shared = self.component.shared().contains(&w.kind);
                    let to_share: &[&'static str] = if shared { &["get", "patch"] } else { &[] };
                    let missing = to_share.iter().filter(|verb| !verbs.contains(verb));
                    let names = self.names(w.kind);
                    verbs.iter().chain(missing).flat_map(move |verb| {
                        names.iter().map(move |name| rule_on(verb, w.kind, name))
                    })
                })
                .collect();
        self.permissions.missing(&needed, self.reach.in_scope())
    }

    /// Names of the objects of this kind that are looked for; one empty name for all.
    fn names(&self, kind: Kind) -> &'static [&'static str] {
        match self.component.only_named(kind) {
            [] => &[""],
            names => names,
        }
    }

    /// The rule that a request for this object needs: for its name alone where no others are looked
    /// for.
    fn rule(&self, verb: &'static str, kind: Kind, name: &str) -> Rule {
        let mut names = self.component.only_named(kind).iter();
        let known = names.find(|known| **known == name);
        rule_on(verb, kind, known.unwrap_or(&""))
    }
}

/// The right to create cannot be given for a name: the API server does not know it yet.
fn rule_on(verb: &'static str, kind: Kind, name: &'static str) -> Rule {
    Rule::on(verb, kind).named(if verb == "create" { "" } else { name })
}

fn key_of<K: Resource<DynamicType = ()>>(root: &K) -> RootKey {
    RootKey {
        namespace: root.namespace(),
        name: root.name_any(),
    }
}

/// The kind of a custom resource.
fn root_kind<K: kube::CustomResourceExt + Resource<DynamicType = ()>>() -> Kind {
    let namespaced = K::crd().spec.scope == "Namespaced";
    Kind {
        group: constant(K::group(&())),
        version: constant(K::version(&())),
        kind: constant(K::kind(&())),
        plural: constant(K::plural(&())),
        scope: if namespaced {
            Scope::Namespaced
        } else {
            Scope::Cluster
        },
    }
}

/// Derived resources return constants here; another implementation's text is kept for the life
/// of the process, as a constant is.
fn constant(text: Cow<'static, str>) -> &'static str {
    match text {
        Cow::Borrowed(text) => text,
        Cow::Owned(text) => text.leak(),
    }
}

/// What the queue is told after a pass.
fn again(after: Option<Duration>) -> Action {
    after.map_or_else(Action::await_change, Action::requeue)
}
