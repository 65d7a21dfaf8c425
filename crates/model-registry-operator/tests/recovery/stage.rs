//! Where a run takes place: one namespace, one wire, one operator after the other.

use std::sync::Mutex;

use cluster::Platform;
use kube::{Api, Client, api::DeleteParams};

use crate::harness::{INSTALLATION, World, start};
use operator_harness::Operator;
use operator_harness::wire::{Fault, Wire};

/// One run's place. The operator sees this namespace only, so runs do not disturb each other.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) wire: Wire,
    operator: Mutex<Option<Operator>>,
}

impl Stage {
    /// A fresh namespace without an operator.
    pub(crate) async fn new(platform: Platform, prefix: &str) -> Self {
        let site = INSTALLATION.shared(platform).await;
        let config = cluster::read_config(&site.kubeconfig)
            .await
            .expect("a kubeconfig");
        let wire = Wire::open(Client::try_from(config).expect("a client")).await;
        Self {
            world: World(site.world(prefix).await),
            wire,
            operator: Mutex::new(None),
        }
    }

    /// What makes names of this run unique in the cluster.
    pub(crate) fn token(&self) -> &str {
        self.world
            .namespace
            .rsplit('-')
            .next()
            .expect("the end of the name")
    }

    /// Starts an operator.
    pub(crate) fn start(&self) {
        let scope = format!("--watch-namespaces={}", self.world.namespace);
        let operator = start(self.wire.kubeconfig(), &[], &[&scope]);
        *self.operator.lock().expect("no panic") = Some(operator);
    }

    /// The `nth` write from now on fails so.
    pub(crate) fn arm(&self, nth: u64, fault: Fault) {
        let operator = self.operator.lock().expect("no panic");
        self.wire
            .arm(nth, fault, operator.as_ref().expect("an operator").killer());
    }

    /// Kills the operator, if it still lives, and starts another.
    pub(crate) async fn restart(&self) {
        self.kill().await;
        self.start();
    }

    /// Ends the operator at once.
    pub(crate) async fn kill(&self) {
        self.wire.disarm();
        self.wire.cut();
        if let Some(operator) = self.take() {
            tokio::task::spawn_blocking(|| operator.kill())
                .await
                .expect("it ended");
        }
        self.wire.reconnect();
    }

    /// Ends the operator in order.
    pub(crate) async fn stop(&self) {
        if let Some(operator) = self.take() {
            tokio::task::spawn_blocking(|| operator.stop())
                .await
                .expect("it ended");
        }
    }

    fn take(&self) -> Option<Operator> {
        self.operator.lock().expect("no panic").take()
    }

    /// Ends the run. The cluster removes the namespace in its own time.
    pub(crate) async fn close(self) {
        self.kill().await;
        let namespaces =
            Api::<k8s_openapi::api::core::v1::Namespace>::all(self.world.client.clone());
        namespaces
            .delete(&self.world.namespace, &DeleteParams::background())
            .await
            .expect("deleted");
    }
}
