//! APIs that a cluster may lack, and that come: used without a restart.

use std::time::Duration;

use cluster::{Cluster, Options, Platform, StandIn, api_of, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams};
use resources::kind::{ROUTE, SERVICE_MONITOR};

use crate::harness::{COLLECTED, SOON, TRUSTYAI, World, files, install, start};

/// An API that appears is used within this time; five seconds on a machine that is not busy.
const FOLLOWED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apis_that_come_one_by_one_are_used() {
    let options = Options {
        platform: Platform::Kubernetes,
        ..Options::default()
    };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options))
        .await
        .expect("no panic")
        .expect("a cluster");
    // Its servers end with the process.
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    let kubeconfig = install(cluster).await;
    let services = api_of(&cluster.client().expect("a client"), None, TRUSTYAI);
    eventually("an API that is served", SOON, || async {
        let all = services.list(&ListParams::default()).await;
        all.map(drop).map_err(|error| error.to_string())
    })
    .await
    .expect("served");
    let operator = start(&kubeconfig);
    let world = World::on(cluster, "optional").await;
    world.service("early", &files()).await;
    let service = world.ready("early").await;
    let mut conditions = cluster::conditions(&service.data);
    assert!(conditions.all(|condition| condition["type"] != "RouteAvailable"));

    for (api, kind) in [
        (StandIn::ServiceMonitor, SERVICE_MONITOR),
        (StandIn::Route, ROUTE),
    ] {
        cluster.install(api).await.expect("installed");
        let found = api_of(&world.client, Some(&world.namespace), kind);
        eventually(&format!("{kind}"), FOLLOWED, || async {
            found.get("early").await.map_err(|error| error.to_string())
        })
        .await
        .expect("used");
    }
    // Its certificate goes on: routers are told whom to trust.
    let route = world.api(ROUTE).get("early").await.expect("a Route");
    assert!(route.data["spec"]["tls"]["destinationCACertificate"].is_string());
    let services = world.api(TRUSTYAI);
    cluster::remove(&services, "early", &DeleteParams::foreground(), COLLECTED)
        .await
        .expect("gone");
    let all = world.api(ROUTE).list(&ListParams::default()).await;
    assert!(all.expect("Routes").iter().all(|r| r.name_any() != "early"));
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}
