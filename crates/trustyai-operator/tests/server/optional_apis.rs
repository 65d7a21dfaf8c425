//! APIs that a cluster may lack, and that come: used without a restart.

use std::time::Duration;

use cluster::{Platform, StandIn, api_of, eventually};
use kube::api::DeleteParams;
use resources::kind::{ROUTE, SERVICE_MONITOR};

use crate::harness::{COLLECTED, INSTALLATION, TRUSTYAI, World, files, start};

/// An API that appears is used within this time; five seconds on a machine that is not busy.
const FOLLOWED: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apis_that_come_one_by_one_are_used() {
    let site = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(&site.kubeconfig);
    let world = World(site.world("optional").await);
    world.service("early", &files()).await;
    let service = world.ready("early").await;
    let mut conditions = cluster::conditions(&service.data);
    assert!(conditions.all(|condition| condition["type"] != "RouteAvailable"));

    for (api, kind) in [
        (StandIn::ServiceMonitor, SERVICE_MONITOR),
        (StandIn::Route, ROUTE),
    ] {
        site.cluster.install(api).await.expect("installed");
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
    // The garbage collector may learn of Routes after the service went.
    cluster::gone(&world.api(ROUTE), "early", COLLECTED)
        .await
        .expect("gone");
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}
