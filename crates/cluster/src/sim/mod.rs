//! Plays what a kubelet does when a pod starts, as far as one can see it from the API: a scheduled
//! pod runs and becomes ready at once, unless something that it needs is missing. Then it says so
//! in the words of a kubelet, and starts the moment the thing appears.
//!
//! A pod that runs stays as it is, as real ones do when a Secret is deleted under them.

mod needs;
mod status;

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, Stream, StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Resource, ResourceExt as _};

pub use needs::{Need, Problem, Source, Step, missing};
pub use status::{pod_ip, pod_status};

/// Namespace and name.
type Key = (String, String);

/// What a watch told.
enum Change {
    /// A Secret or ConfigMap has these keys now, or is gone.
    Source(Source, Key, Option<Vec<String>>),
    /// A pod is like this now, or is gone.
    Pod(Key, Option<Box<Pod>>),
    /// One of the watches has told all that exists.
    Synced,
    /// One of the watches starts over.
    Restarted,
}

/// Runs until dropped.
pub async fn run(client: Client) {
    let secrets = Api::<Secret>::all(client.clone());
    let configs = Api::<ConfigMap>::all(client.clone());
    let pods = Api::<Pod>::all(client.clone());
    let mut changes = futures::stream::select_all([
        changes(secrets, |key, secret: Option<Secret>| {
            let keys = secret.map(|secret| secret.data.unwrap_or_default().into_keys().collect());
            Change::Source(Source::Secret, key, keys)
        })
        .boxed(),
        changes(configs, |key, config: Option<ConfigMap>| {
            let keys = config.map(|config| {
                let binary = config.binary_data.unwrap_or_default().into_keys();
                config
                    .data
                    .unwrap_or_default()
                    .into_keys()
                    .chain(binary)
                    .collect()
            });
            Change::Source(Source::ConfigMap, key, keys)
        })
        .boxed(),
        changes(pods, |key, pod: Option<Pod>| {
            Change::Pod(key, pod.map(Box::new))
        })
        .boxed(),
    ]);
    let mut world = World::default();
    let mut writes = FuturesUnordered::new();
    loop {
        tokio::select! {
            change = changes.next() => {
                let Some(change) = change else { return };
                for pod in world.take(change) {
                    if let Some(status) = world.verdict(&pod) {
                        writes.push(write(client.clone(), pod, status).boxed());
                    }
                }
            }
            Some((key, written)) = writes.next(), if !writes.is_empty() => {
                for pod in world.written(&key, written) {
                    if let Some(status) = world.verdict(&pod) {
                        writes.push(write(client.clone(), pod, status).boxed());
                    }
                }
            }
        }
    }
}

/// A watch as changes; it starts over by itself after errors.
fn changes<K>(
    api: Api<K>,
    change: impl Fn(Key, Option<K>) -> Change + Clone,
) -> impl Stream<Item = Change>
where
    K: Resource
        + Clone
        + std::fmt::Debug
        + k8s_openapi::serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
    watcher(api, watcher::Config::default())
        .default_backoff()
        .inspect_err(|error| tracing::debug!(%error, "a watch of the simulation starts over"))
        .filter_map(|event| std::future::ready(event.ok()))
        .map(move |event| match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
                change(key(&object), Some(object))
            }
            watcher::Event::Delete(object) => change(key(&object), None),
            watcher::Event::Init => Change::Restarted,
            watcher::Event::InitDone => Change::Synced,
        })
}

/// What is known of the cluster.
#[derive(Default)]
struct World {
    synced: u8,
    /// The keys of every Secret and ConfigMap.
    sources: HashMap<(Source, Key), Vec<String>>,
    /// Scheduled pods that do not run yet, with what was last said about them.
    waiting: BTreeMap<Key, (Pod, Option<Vec<Problem>>)>,
    /// Pods whose status is being written: two writes at once could arrive in either order.
    writing: HashSet<Key>,
    /// How many pods have started, for their addresses.
    started: u32,
}

impl World {
    /// Takes in a change and names the pods that have to be looked at.
    fn take(&mut self, change: Change) -> Vec<Pod> {
        match change {
            Change::Synced => self.synced = self.synced.saturating_add(1),
            Change::Restarted => {}
            Change::Source(source, key, Some(keys)) => {
                let namespace = key.0.clone();
                self.sources.insert((source, key), keys);
                return self.ready_to_judge(|pod| pod.0 == namespace);
            }
            Change::Source(source, key, None) => {
                self.sources.remove(&(source, key));
                return Vec::new();
            }
            Change::Pod(key, Some(pod)) if is_waiting(&pod) => {
                let known = self.waiting.remove(&key);
                // A pod of a StatefulSet comes again under the same name.
                let said = known
                    .filter(|(known, _)| known.uid() == pod.uid())
                    .and_then(|(_, said)| said);
                self.waiting.insert(key.clone(), (*pod, said));
                return self.ready_to_judge(|pod| *pod == key);
            }
            Change::Pod(key, _) => {
                self.waiting.remove(&key);
                return Vec::new();
            }
        }
        self.ready_to_judge(|_| true)
    }

    /// Nothing is missing before all three watches have told what there is.
    fn ready_to_judge(&self, filter: impl Fn(&Key) -> bool) -> Vec<Pod> {
        if self.synced < 3 {
            return Vec::new();
        }
        self.waiting
            .iter()
            .filter(|(key, _)| filter(key))
            .map(|(_, (pod, _))| pod.clone())
            .collect()
    }

    /// Takes in the end of a write, and names the pod to look at again: what it needs may have
    /// come meanwhile. What was not written was not said; the pod's next change says it.
    fn written(&mut self, key: &Key, written: bool) -> Vec<Pod> {
        self.writing.remove(key);
        if !written {
            if let Some((_, said)) = self.waiting.get_mut(key) {
                *said = None;
            }
            return Vec::new();
        }
        self.ready_to_judge(|pod| pod == key)
    }

    /// The status to write, unless it was written already or another is being written.
    fn verdict(&mut self, pod: &Pod) -> Option<serde_json::Value> {
        let namespace = pod.namespace().unwrap_or_default();
        let key = (namespace.clone(), pod.name_any());
        if self.writing.contains(&key) {
            return None;
        }
        let problems = missing(pod, |source, name| {
            self.sources
                .get(&(source, (namespace.clone(), name.to_owned())))
                .map(Vec::as_slice)
        });
        let (_, said) = self.waiting.get_mut(&key)?;
        if said.as_ref() == Some(&problems) {
            return None;
        }
        let starts = problems.is_empty();
        let status = pod_status(pod, &problems, self.started, jiff::Timestamp::now());
        *said = Some(problems);
        if starts {
            self.started = self.started.wrapping_add(1);
        }
        self.writing.insert(key);
        Some(status)
    }
}

/// Scheduled, not started, not going away.
fn is_waiting(pod: &Pod) -> bool {
    let scheduled = pod
        .spec
        .as_ref()
        .is_some_and(|spec| spec.node_name.is_some());
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref())
        .unwrap_or("Pending");
    scheduled && phase == "Pending" && pod.metadata.deletion_timestamp.is_none()
}

/// Writes a pod's status; says whose, and whether it is written.
async fn write(client: Client, pod: Pod, status: serde_json::Value) -> (Key, bool) {
    let key = (pod.namespace().unwrap_or_default(), pod.name_any());
    let api = Api::<Pod>::namespaced(client, &key.0);
    // The uid keeps the status from reaching a pod that was made anew under the name.
    let body = serde_json::json!({"metadata": {"uid": pod.uid()}, "status": status});
    let patched = api
        .patch_status(
            &pod.name_any(),
            &PatchParams::default(),
            &Patch::Strategic(body),
        )
        .await;
    if let Err(error) = &patched {
        tracing::debug!(%error, pod = key.1, "a pod status was not written");
    }
    (key, patched.is_ok())
}
