//! What the start of a service costs.

use std::time::Duration;

use cluster::Platform;
use futures::future::join_all;
use serde_json::{Value, json};

use crate::harness::{OPERATOR, files, world};

/// So many services start at once: what comes first differs from one to the next.
const SERVICES: usize = 10;

/// What a start causes is written within this time after the service is ready.
const SETTLED: Duration = Duration::from_secs(3);

#[tokio::test]
async fn a_start_is_told_in_two_statuses_on_kubernetes() {
    start(Platform::Kubernetes).await;
}

#[tokio::test]
async fn a_start_is_told_in_two_statuses_on_openshift() {
    start(Platform::OpenShift).await;
}

async fn start(platform: Platform) {
    let all = (0..SERVICES).map(|_| told_of_one(platform));
    let all = join_all(all).await;
    let more: Vec<_> = all.iter().filter(|told| told.len() > 2).collect();
    // What comes after the pods is told by itself, as a Route is whose router was busy. That it is two
    // in every other order, a test without a server shows.
    assert!(
        more.len() < SERVICES / 2,
        "{} of {SERVICES}: {:#}",
        more.len(),
        json!(more)
    );
}

/// The statuses that are written of a service until it is ready, and some seconds on.
async fn told_of_one(platform: Platform) -> Vec<Value> {
    let world = world(platform, "start").await;
    let mark = world.cluster.audit_mark().await.expect("a mark");
    world.service("tas", &files()).await;
    world.ready("tas").await;
    tokio::time::sleep(SETTLED).await;
    let log = world.cluster.audit_since(mark).await.expect("the log");
    let asked = log.by_service_account(OPERATOR.0, OPERATOR.1);
    let told = asked.into_iter().filter(|record| {
        record.namespace == world.namespace && record.subresource == "status" && record.is_write()
    });
    let told: Vec<_> = told
        .map(|record| record.body.clone().unwrap_or_default())
        .collect();
    assert!(
        told.len() > 1,
        "it was told at first and when it was ready: {told:?}"
    );
    told
}
