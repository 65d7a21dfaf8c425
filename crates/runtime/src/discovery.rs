//! Which optional APIs the cluster serves: one request at the start, then events.
//!
//! Two watches tell when something changed: CustomResourceDefinitions, and APIServices because
//! OpenShift serves some of its APIs through the aggregation layer. What changed is then asked
//! of the group version itself: the aggregated document of all groups may be seconds old.

mod ask;
mod follower;
mod interest;
mod news;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{Api, Client, core::PartialObjectMeta};
use resources::Kind;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

pub(crate) use self::news::refused;
use self::{
    ask::discover,
    follower::{Due, Follower},
    interest::Interest,
    news::follow,
};
use crate::{capabilities::Capabilities, metrics::Metrics, permissions::Permissions};

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

#[cfg(test)]
mod tests;
