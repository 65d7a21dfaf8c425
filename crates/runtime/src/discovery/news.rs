//! What the watches on CustomResourceDefinitions and APIServices tell.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::{WatchStreamExt, watcher},
};
use resources::Scope;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::CRDS;
use crate::{
    metrics::Metrics,
    permissions::{Permissions, Rule},
};

/// CRDs may carry large annotations: few in memory at once.
const PAGE: u32 = 50;

/// What a watch tells the follower.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
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
pub(super) async fn follow<K>(
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
        name: "",
        verb,
        group,
        resource,
        scope: Scope::Cluster,
    };
    let refused = async |verb| {
        permissions.note_forbidden(&rule(verb));
        // Nobody listens only when the process ends.
        let _ = news.send(News::Unwatchable(kind)).await;
    };
    // What is known to be forbidden is not tried.
    let rules = ["list", "watch"].map(rule);
    if let Some(known) = rules.iter().find(|rule| !permissions.allows_in(rule, None)) {
        refused(known.verb).await;
        permissions.given(&rules, None).await;
    }
    let config = watcher::Config::default().page_size(PAGE);
    let events = watcher(api, config).default_backoff();
    if let Some(verb) = relay(events, kind, &news, &metrics).await {
        refused(verb).await;
    }
}

/// Passes events on. Returns the verb that the server refused, if it did.
pub(super) async fn relay<K>(
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
