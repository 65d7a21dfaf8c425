//! APIs that a cluster may lack, and that come and go: used without a restart, and nothing hangs
//! for their absence.

use std::time::Duration;

use cluster::{AggregatedApi, Platform, StandIn, api_of, eventually};
use kube::{ResourceExt as _, api::DeleteParams};
use operator_harness::SOON;
use resources::kind::{DEPLOYMENT, GROUP, HTTP_ROUTE, ROUTE};
use serde_json::json;

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, behind_proxy, postgres, start};

/// An API that appears is used within this time.
const FOLLOWED: Duration = Duration::from_secs(5);

/// Waits until a registry has an object of an API that has just come.
async fn used(world: &World, namespace: Option<&str>, kind: resources::Kind, name: &str) {
    let api = api_of(&world.client, namespace, kind);
    eventually(&format!("{kind} {name}"), FOLLOWED, || async {
        api.get(name)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .await
    .expect("used");
}

async fn delete(world: &World, name: &str) {
    let registries = world.api(MODEL_REGISTRY);
    cluster::remove(&registries, name, &DeleteParams::foreground(), SOON)
        .await
        .expect("gone");
}

fn with_domain() -> serde_json::Value {
    let mut spec = behind_proxy();
    spec["kubeRBACProxy"] = json!({"domain": "example.test"});
    spec
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn optional_apis_come_one_by_one_and_go() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(
        &own.kubeconfig,
        &[
            ("GATEWAY_DOMAIN", "gw.example.test"),
            ("HTTPROUTE_NAMESPACE", "applications"),
        ],
        &[],
    );
    let world = World(own.world("optional").await);
    world
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: applications}}")
        .await;
    world.registry("stays", with_domain()).await;
    world.registry("goes", with_domain()).await;
    for name in ["stays", "goes"] {
        world.available(name).await;
    }
    let namespace = world.namespace.clone();

    own.cluster
        .install(StandIn::Route)
        .await
        .expect("installed");
    used(&world, Some(&namespace), ROUTE, "stays-https").await;
    own.cluster
        .install(StandIn::Group)
        .await
        .expect("installed");
    used(&world, None, GROUP, "stays-users").await;
    own.cluster
        .install(StandIn::HttpRoute)
        .await
        .expect("installed");
    used(
        &world,
        Some("applications"),
        HTTP_ROUTE,
        "model-registry-stays",
    )
    .await;

    // Away again: with their objects, and nothing waits for them.
    own.cluster
        .uninstall(StandIn::HttpRoute)
        .await
        .expect("removed");
    delete(&world, "goes").await;
    own.cluster
        .uninstall(StandIn::Group)
        .await
        .expect("removed");
    own.cluster
        .uninstall(StandIn::Route)
        .await
        .expect("removed");
    let gateway = || {
        world.edit(
            MODEL_REGISTRY,
            "stays",
            json!({"spec": {"operand": {"annotations": {"example.test/a": "b"}}}}),
        )
    };
    gateway().await;
    world
        .until(DEPLOYMENT, "stays", |d| {
            d.data
                .pointer("/spec/template/metadata/annotations/example.test~1a")
                == Some(&json!("b"))
        })
        .await;
    world.available("stays").await;
    delete(&world, "stays").await;
    operator.stop();
}

/// OpenShift serves its Routes through the aggregation layer. When that fails, its answers are
/// missing, and nothing else changes: a proxy is not taken away because a Route cannot be seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_of_an_aggregated_api_are_used_and_its_failure_takes_nothing_away() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("aggregated").await);
    world.registry("plain", postgres()).await;
    world.registry("proxied", with_domain()).await;
    world.available("plain").await;
    world.available("proxied").await;
    let containers = async |name: &str| {
        let deployment = world.until(DEPLOYMENT, name, |_| true).await;
        deployment
            .data
            .pointer("/spec/template/spec/containers")
            .and_then(|c| c.as_array())
            .map_or(0, Vec::len)
    };
    assert_eq!(containers("plain").await, 1);

    let served = own
        .cluster
        .serve_aggregated(AggregatedApi::ROUTE)
        .await
        .expect("served");
    used(&world, Some(&world.namespace), ROUTE, "proxied-https").await;
    // On OpenShift the proxy is the default.
    used(&world, Some(&world.namespace), ROUTE, "plain-https").await;
    eventually("the proxy", SOON, || async {
        if containers("plain").await == 2 {
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await
    .expect("the proxy");

    // The server is down, its registration stays. Neither a pass nor a restart takes the proxy away.
    drop(served);
    let edit =
        |value: &str| json!({"spec": {"operand": {"annotations": {"example.test/a": value}}}});
    let reached = async |value: &str| {
        world
            .until(DEPLOYMENT, "plain", |d| {
                d.data
                    .pointer("/spec/template/metadata/annotations/example.test~1a")
                    == Some(&json!(value))
            })
            .await
    };
    world.edit(MODEL_REGISTRY, "plain", edit("down")).await;
    let down = reached("down").await;
    assert_eq!(containers("plain").await, 2, "{:?}", down.name_any());
    operator.stop();
    let operator = start(&own.kubeconfig, &[], &[]);
    world.edit(MODEL_REGISTRY, "plain", edit("restarted")).await;
    reached("restarted").await;
    assert_eq!(
        containers("plain").await,
        2,
        "authentication is never removed silently"
    );
    delete(&world, "proxied").await;
    operator.stop();
}
