//! Which optional APIs the cluster serves: one request at the start, then events.
//!
//! Two watches tell when something changed: CustomResourceDefinitions, and APIServices because
//! OpenShift serves some of its APIs through the aggregation layer. What changed is then asked
//! of the group version itself: the aggregated document of all groups may be seconds old.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    sync::Arc,
    time::Duration,
};

use futures::{Stream, StreamExt};
use http::{Request, header::ACCEPT};
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::APIResourceList,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    client::APIGroupDiscoveryList,
    core::PartialObjectMeta,
    core::discovery::v2::ACCEPT_AGGREGATED_DISCOVERY_V2,
    runtime::{WatchStreamExt, watcher},
};
use resources::{Kind, Scope};
use serde::de::DeserializeOwned;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use crate::{
    capabilities::Capabilities,
    metrics::Metrics,
    permissions::{Permissions, Rule},
};

/// Changes within this time are one change: a CRD makes three events when it is created.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// First wait before a group version that should be served is asked again. It doubles.
const RETRY: Duration = Duration::from_millis(200);
/// Tries after the first, with waits of 0.2 s to 3.2 s. After that an event is needed.
const RETRIES: u32 = 5;
/// How often an unanswered group version is asked when no event can tell that it is back.
const UNWATCHED_RETRY: Duration = Duration::from_mins(5);
/// CRDs may carry large annotations: few in memory at once.
const PAGE: u32 = 50;

const CRDS: &str = "CustomResourceDefinition";
const API_SERVICES: &str = "APIService";

/// Follows what the cluster serves, until dropped.
#[derive(Debug)]
pub struct Discovery {
    capabilities: watch::Receiver<Arc<Capabilities>>,
    _tasks: JoinSet<()>,
}

impl Discovery {
    /// Finds which of `kinds` are served, and follows changes. It never fails: what could not be
    /// found out counts as not served until it is.
    pub async fn start(
        client: Client,
        kinds: &[Kind],
        permissions: Arc<Permissions>,
        metrics: Metrics,
    ) -> Self {
        let interest = Interest::new(kinds);
        let mut tasks = JoinSet::new();
        if interest.is_empty() {
            let (_, capabilities) = watch::channel(Arc::default());
            return Self {
                capabilities,
                _tasks: tasks,
            };
        }
        let (found, pending) = discover(&client, &interest).await;
        let (sender, capabilities) = watch::channel(Arc::new(found));
        let (news, inbox) = mpsc::channel(64);
        let crds: Api<PartialObjectMeta<CustomResourceDefinition>> = Api::all(client.clone());
        let services: Api<PartialObjectMeta<APIService>> = Api::all(client.clone());
        let told = (Arc::clone(&permissions), metrics.clone());
        tasks.spawn(follow(crds, CRDS, news.clone(), told));
        tasks.spawn(follow(services, API_SERVICES, news, (permissions, metrics)));
        let follower = Follower {
            client,
            interest,
            served: sender,
            seen: BTreeMap::new(),
            due: pending
                .into_iter()
                .map(|version| (version, Due::after(1)))
                .collect(),
            asked: BTreeSet::new(),
            asking: JoinSet::new(),
        };
        tasks.spawn(follower.run(inbox));
        Self {
            capabilities,
            _tasks: tasks,
        }
    }

    /// What the cluster serves, and every change of it.
    #[must_use]
    pub fn capabilities(&self) -> watch::Receiver<Arc<Capabilities>> {
        self.capabilities.clone()
    }
}

/// A group and a version of it.
type GroupVersion = (String, String);

/// The kinds that an operator can make use of.
#[derive(Clone, Debug)]
struct Interest {
    versions: BTreeMap<GroupVersion, BTreeSet<String>>,
}

impl Interest {
    fn new(kinds: &[Kind]) -> Self {
        let mut versions: BTreeMap<GroupVersion, BTreeSet<String>> = BTreeMap::new();
        for kind in kinds {
            versions
                .entry((kind.group.to_owned(), kind.version.to_owned()))
                .or_default()
                .insert(kind.plural.to_owned());
        }
        Self { versions }
    }

    fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Which group versions an object of a watched kind is about, by its name: a CRD is called
    /// `PLURAL.GROUP`, an APIService `VERSION.GROUP`.
    fn about(&self, watched: &str, name: &str) -> BTreeSet<GroupVersion> {
        let Some((first, group)) = name.split_once('.') else {
            return BTreeSet::new();
        };
        self.versions
            .iter()
            .filter(|((in_group, version), plurals)| {
                in_group == group
                    && if watched == CRDS {
                        plurals.contains(first)
                    } else {
                        version == first
                    }
            })
            .map(|(version, _)| version.clone())
            .collect()
    }

    /// The part of what a group version serves that matters.
    fn relevant(
        &self,
        version: &GroupVersion,
        served: impl Iterator<Item = String>,
    ) -> BTreeSet<String> {
        let wanted = self.versions.get(version);
        served
            .filter(|plural| wanted.is_some_and(|wanted| wanted.contains(plural)))
            .collect()
    }
}

/// What is served now, and the group versions that could not be asked.
async fn discover(client: &Client, interest: &Interest) -> (Capabilities, BTreeSet<GroupVersion>) {
    match all_groups(client).await {
        Ok(document) => read_document(&document, interest),
        Err(error) => {
            tracing::info!(%error, "no document of all groups; asking each group of interest");
            let mut found = Capabilities::default();
            let mut pending = BTreeSet::new();
            let asked = interest
                .versions
                .keys()
                .map(|version| async move { (version, ask(client, version).await) });
            for (version, answer) in futures::future::join_all(asked).await {
                match answer {
                    Ok(served) => {
                        let plurals = interest.relevant(version, served.into_iter());
                        found.set_version(&version.0, &version.1, plurals);
                    }
                    Err(error) => {
                        tell_unanswered(version, &error);
                        found.doubt(&version.0, &version.1);
                        pending.insert(version.clone());
                    }
                }
            }
            (found, pending)
        }
    }
}

/// The document of all groups. Kubernetes has it since 1.27 by default.
async fn all_groups(client: &Client) -> kube::Result<APIGroupDiscoveryList> {
    let request = Request::get("/apis")
        .header(ACCEPT, ACCEPT_AGGREGATED_DISCOVERY_V2)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}

/// A version that the server could not refresh is `Stale`: its API did not answer.
fn read_document(
    document: &APIGroupDiscoveryList,
    interest: &Interest,
) -> (Capabilities, BTreeSet<GroupVersion>) {
    let mut found = Capabilities::default();
    let mut pending = BTreeSet::new();
    for group in &document.items {
        let name = group
            .metadata
            .as_ref()
            .and_then(|meta| meta.name.clone())
            .unwrap_or_default();
        for version in &group.versions {
            let key = (name.clone(), version.version.clone().unwrap_or_default());
            if !interest.versions.contains_key(&key) {
                continue;
            }
            let served = version
                .resources
                .iter()
                .filter_map(|served| served.resource.clone());
            found.set_version(&key.0, &key.1, interest.relevant(&key, served));
            if version.freshness.as_deref() == Some("Stale") {
                found.doubt(&key.0, &key.1);
                pending.insert(key);
            }
        }
    }
    (found, pending)
}

/// The plurals that a group version serves, asked of the server that serves it. A version that
/// does not exist serves nothing.
async fn ask(client: &Client, (group, version): &GroupVersion) -> kube::Result<Vec<String>> {
    let path = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(kube::Error::HttpError)?;
    match client.request::<APIResourceList>(request).await {
        Ok(list) => Ok(list
            .resources
            .into_iter()
            .map(|served| served.name)
            .collect()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn tell_unanswered((group, version): &GroupVersion, error: &kube::Error) {
    tracing::warn!(
        group, version, %error,
        "an API did not say what it serves; what was known of it stays"
    );
}

/// What a watch tells the follower.
#[derive(Debug, PartialEq, Eq)]
enum News {
    /// All objects of the watched kind, by name.
    Listed(&'static str, BTreeSet<String>),
    /// One was made or changed.
    Changed(&'static str, String),
    /// One is gone.
    Gone(&'static str, String),
    /// The kind may not be watched.
    Unwatchable(&'static str),
}

/// Turns a watch into news, until it is forbidden or nobody listens.
async fn follow<K>(
    api: Api<PartialObjectMeta<K>>,
    kind: &'static str,
    news: mpsc::Sender<News>,
    (permissions, metrics): (Arc<Permissions>, Metrics),
) where
    K: Resource<DynamicType = (), Scope = kube::core::ClusterResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static,
{
    let (group, resource) = if kind == CRDS {
        ("apiextensions.k8s.io", "customresourcedefinitions")
    } else {
        ("apiregistration.k8s.io", "apiservices")
    };
    let rule = |verb| Rule {
        verb,
        group,
        resource,
        scope: Scope::Cluster,
    };
    // What is known to be forbidden is not tried.
    let known = ["list", "watch"]
        .into_iter()
        .find(|verb| !permissions.allows_in(&rule(verb), None));
    let refused = if known.is_some() {
        known
    } else {
        let config = watcher::Config::default().page_size(PAGE);
        let events = watcher(api, config).default_backoff();
        relay(events, kind, &news, &metrics).await
    };
    if let Some(verb) = refused {
        permissions.note_forbidden(&rule(verb));
        // Nobody listens only when the process ends.
        let _ = news.send(News::Unwatchable(kind)).await;
    }
}

/// Passes events on. Returns the verb that the server refused, if it did.
async fn relay<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<PartialObjectMeta<K>>>>,
    kind: &'static str,
    news: &mpsc::Sender<News>,
    metrics: &Metrics,
) -> Option<&'static str>
where
    K: Resource<DynamicType = ()>,
{
    let mut events = std::pin::pin!(events);
    let mut listed = BTreeSet::new();
    while let Some(event) = events.next().await {
        let message = match event {
            Ok(watcher::Event::Init) => {
                listed.clear();
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => {
                listed.insert(object.name_any());
                continue;
            }
            Ok(watcher::Event::InitDone) => News::Listed(kind, std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(object)) => News::Changed(kind, object.name_any()),
            Ok(watcher::Event::Delete(object)) => News::Gone(kind, object.name_any()),
            Err(error) => {
                if let Some(verb) = refused(&error) {
                    return Some(verb);
                }
                metrics.watch_restarted(kind);
                tracing::debug!(kind, %error, "a watch failed; it starts again");
                continue;
            }
        };
        if news.send(message).await.is_err() {
            break;
        }
    }
    None
}

/// The verb that the server refused.
pub(crate) fn refused(error: &watcher::Error) -> Option<&'static str> {
    let (verb, error) = match error {
        watcher::Error::InitialListFailed(error) => ("list", error),
        watcher::Error::WatchStartFailed(error) => ("watch", error),
        _ => return None,
    };
    matches!(error, kube::Error::Api(status) if status.code == 403).then_some(verb)
}

/// When a group version is asked again, and the how-manieth time that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    at: Instant,
    tries: u32,
}

impl Due {
    /// The time of this try, the wait before it counted from now.
    fn after(tries: u32) -> Self {
        Self {
            at: Instant::now() + RETRY * 2_u32.saturating_pow(tries.saturating_sub(1)),
            tries,
        }
    }
}

/// Keeps the capabilities true.
struct Follower {
    client: Client,
    interest: Interest,
    served: watch::Sender<Arc<Capabilities>>,
    /// Names of the objects of each watched kind that are about something of interest. A kind
    /// that cannot be watched, or is not listed yet, has no entry.
    seen: BTreeMap<&'static str, BTreeSet<String>>,
    due: BTreeMap<GroupVersion, Due>,
    /// Group versions that are being asked. A slow one delays no other.
    asked: BTreeSet<GroupVersion>,
    asking: JoinSet<Answer>,
}

type Answer = (GroupVersion, u32, kube::Result<Vec<String>>);

impl Follower {
    async fn run(mut self, mut inbox: mpsc::Receiver<News>) {
        let mut watching = true;
        while watching || !self.due.is_empty() || !self.asking.is_empty() {
            let next = self.next();
            tokio::select! {
                news = inbox.recv(), if watching => match news {
                    Some(news) => self.note(news),
                    // Neither kind can be watched: only retries are left.
                    None => watching = false,
                },
                Some(Ok((version, tries, answer))) = self.asking.join_next() => {
                    self.learn(&version, tries, answer);
                }
                () = until(next) => self.ask_due(),
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let free = self
            .due
            .iter()
            .filter(|(version, _)| !self.asked.contains(version));
        free.map(|(_, due)| due.at).min()
    }

    /// Marks what has to be asked again.
    fn note(&mut self, news: News) {
        let soon = Due {
            at: Instant::now() + DEBOUNCE,
            tries: 0,
        };
        let changed = match news {
            News::Unwatchable(kind) => {
                self.seen.remove(kind);
                return;
            }
            News::Listed(kind, names) => {
                let relevant = names
                    .into_iter()
                    .filter(|name| !self.interest.about(kind, name).is_empty());
                self.seen.insert(kind, relevant.collect());
                let known = self.served.borrow().clone();
                self.interest
                    .versions
                    .keys()
                    .filter(|version| self.contradicts(kind, version, &known))
                    .cloned()
                    .collect()
            }
            News::Changed(kind, name) => {
                let about = self.interest.about(kind, &name);
                if !about.is_empty() {
                    self.seen.entry(kind).or_default().insert(name);
                }
                about
            }
            News::Gone(kind, name) => {
                self.seen.entry(kind).or_default().remove(&name);
                self.interest.about(kind, &name)
            }
        };
        for version in changed {
            self.due.insert(version, soon);
        }
    }

    /// Whether what was listed tells of more or less than is known: the start asked the cluster a
    /// moment before, and a watch that was interrupted missed events.
    fn contradicts(
        &self,
        kind: &'static str,
        version: &GroupVersion,
        known: &Capabilities,
    ) -> bool {
        if kind == CRDS {
            self.expected_plurals(version)
                .any(|plural| !known.serves(&version.0, &version.1, plural))
        } else {
            let expected = self.expects_version(version);
            expected != known.has_version(&version.0, &version.1)
        }
    }

    /// Plurals of interest whose CRD exists.
    fn expected_plurals(&self, version: &GroupVersion) -> impl Iterator<Item = &String> {
        let crds = self.seen.get(CRDS);
        let group = version.0.clone();
        self.interest
            .versions
            .get(version)
            .into_iter()
            .flatten()
            .filter(move |plural| {
                crds.is_some_and(|crds| crds.contains(&format!("{plural}.{group}")))
            })
    }

    fn expects_version(&self, (group, version): &GroupVersion) -> bool {
        self.seen
            .get(API_SERVICES)
            .is_some_and(|services| services.contains(&format!("{version}.{group}")))
    }

    /// Asks every group version that is due and not being asked, side by side.
    fn ask_due(&mut self) {
        let now = Instant::now();
        let asked = &self.asked;
        let due: Vec<(GroupVersion, Due)> = self
            .due
            .extract_if(.., |version, due| due.at <= now && !asked.contains(version))
            .collect();
        for (version, due) in due {
            self.asked.insert(version.clone());
            let client = self.client.clone();
            self.asking.spawn(async move {
                let answer = ask(&client, &version).await;
                (version, due.tries, answer)
            });
        }
    }

    /// Takes an answer in, and plans the next try where it is not what the objects promise.
    fn learn(&mut self, version: &GroupVersion, tries: u32, answer: kube::Result<Vec<String>>) {
        self.asked.remove(version);
        let settled = match answer {
            Ok(served) => {
                let gone = served.is_empty();
                let plurals = self.interest.relevant(version, served.into_iter());
                let settled = self
                    .expected_plurals(version)
                    .all(|plural| plurals.contains(plural))
                    && !(gone && self.expects_version(version));
                self.publish(version, &plurals);
                settled
            }
            Err(error) => {
                if tries == 0 {
                    tell_unanswered(version, &error);
                }
                if tries >= RETRIES && !self.seen.contains_key(API_SERVICES) {
                    let at = Instant::now() + UNWATCHED_RETRY;
                    self.due.entry(version.clone()).or_insert(Due { at, tries });
                }
                false
            }
        };
        if !settled && tries < RETRIES {
            // An event that came meanwhile is due earlier.
            self.due
                .entry(version.clone())
                .or_insert(Due::after(tries + 1));
        }
    }

    fn publish(&self, (group, version): &GroupVersion, plurals: &BTreeSet<String>) {
        self.served.send_if_modified(|served| {
            let mut changed = Capabilities::clone(served);
            changed.set_version(group, version, plurals.iter().cloned());
            if changed == **served {
                return false;
            }
            tracing::info!(group, version, kinds = ?plurals, "the cluster's APIs changed");
            *served = Arc::new(changed);
            true
        });
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
