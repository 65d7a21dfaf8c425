//! One gateway in front of all registries: an HTTPRoute each, in a namespace of the platform's,
//! and one ReferenceGrant that the registries of a namespace share.

#![expect(clippy::too_many_lines, reason = "one story on a cluster of its own")]

use std::time::Duration;

use cluster::{Platform, api_of, eventually};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use operator_harness::{COLLECTED, SOON};
use resources::kind::{HTTP_ROUTE, REFERENCE_GRANT, ROUTE, SERVICE};
use serde_json::json;

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, behind_proxy, start};

const GRANT: &str = "allow-gateway-httproutes";
const ENV: &[(&str, &str)] = &[
    ("GATEWAY_DOMAIN", "gw.example.test"),
    ("GATEWAY_NAME", "the-gateway"),
    ("GATEWAY_NAMESPACE", "gateways"),
    ("HTTPROUTE_NAMESPACE", "applications"),
];

fn routes(world: &World) -> Api<DynamicObject> {
    api_of(&world.client, Some("applications"), HTTP_ROUTE)
}

async fn delete(world: &World, name: &str) {
    let registries = world.api(MODEL_REGISTRY);
    cluster::remove(&registries, name, &DeleteParams::default(), SOON)
        .await
        .expect("gone");
}

async fn route_of(world: &World, name: &str) -> DynamicObject {
    let (api, route) = (routes(world), format!("model-registry-{name}"));
    eventually(&route, SOON, || async {
        api.get(&route).await.map_err(|e| e.to_string())
    })
    .await
    .expect("an HTTPRoute")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registries_behind_a_gateway() {
    let own = INSTALLATION.alone(Platform::OpenShift).await;
    let operator = start(&own.kubeconfig, ENV, &[]);
    let world = World(own.world("gateway").await);
    world
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: applications}}")
        .await;
    world.registry("first", behind_proxy()).await;
    let registry = world.available("first").await;

    let route = route_of(&world, "first").await;
    assert_eq!(
        route.data["spec"]["parentRefs"],
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "the-gateway", "namespace": "gateways"}])
    );
    let rule = &route.data["spec"]["rules"][0];
    assert_eq!(
        rule["matches"][0]["path"],
        json!({"type": "PathPrefix", "value": "/model-registry/first/"})
    );
    assert_eq!(
        rule["filters"][0]["urlRewrite"]["path"],
        json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"})
    );
    assert_eq!(
        rule["backendRefs"],
        json!([{"group": "", "kind": "Service", "name": "first", "namespace": world.namespace, "port": 8443, "weight": 1}])
    );
    assert!(
        route.owner_references().is_empty(),
        "its owner would be in another namespace"
    );
    let grant = world.until(REFERENCE_GRANT, GRANT, |_| true).await;
    assert_eq!(
        grant.data["spec"],
        json!({"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "applications"}],
            "to": [{"group": "", "kind": "Service"}]})
    );

    // The gateway comes first, and the Route stays.
    let hosts = registry.data["status"]["hosts"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(hosts[0], "gw.example.test/model-registry/first");
    assert_eq!(hosts[1], "first-rest.apps.example.test");
    assert_eq!(hosts.len(), 5);
    assert_eq!(
        registry.data["status"]["url"],
        "https://gw.example.test/model-registry/first"
    );
    world.until(ROUTE, "first-https", |_| true).await;
    let service = world.until(SERVICE, "first", |_| true).await;
    let external = service
        .annotations()
        .get("routing.opendatahub.io/external-address-rest");
    assert_eq!(
        external.map(String::as_str),
        Some("gw.example.test/model-registry/first")
    );

    // The port of the proxy reaches the HTTPRoute.
    world
        .edit(
            MODEL_REGISTRY,
            "first",
            json!({"spec": {"kubeRBACProxy": {"port": 9443}}}),
        )
        .await;
    eventually("the port", SOON, || async {
        let port =
            route_of(&world, "first").await.data["spec"]["rules"][0]["backendRefs"][0]["port"]
                .clone();
        if port == 9443 {
            Ok(())
        } else {
            Err(port.to_string())
        }
    })
    .await
    .expect("the port");

    // A second registry shares the grant.
    world.registry("second", behind_proxy()).await;
    world.available("second").await;
    route_of(&world, "second").await;
    let shared = world
        .until(REFERENCE_GRANT, GRANT, |grant| {
            grant.owner_references().len() == 2
        })
        .await;
    assert_eq!(shared.uid(), grant.uid());

    // Both come back by their deletion, and from a change.
    routes(&world)
        .delete("model-registry-first", &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("a new HTTPRoute", SOON, || async {
        if route_of(&world, "first").await.uid() == route.uid() {
            Err("the old one".to_owned())
        } else {
            Ok(())
        }
    })
    .await
    .expect("new");
    world
        .api(REFERENCE_GRANT)
        .delete(GRANT, &DeleteParams::default())
        .await
        .expect("deleted");
    let back = world
        .until(REFERENCE_GRANT, GRANT, |now| {
            now.uid() != grant.uid() && now.owner_references().len() == 2
        })
        .await;
    let drift = json!({"spec": {"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "elsewhere"}]}});
    world
        .api(REFERENCE_GRANT)
        .patch(GRANT, &PatchParams::default(), &Patch::Merge(&drift))
        .await
        .expect("changed");
    world
        .until(REFERENCE_GRANT, GRANT, |now| {
            now.data["spec"] == grant.data["spec"]
        })
        .await;

    // Gone with the last.
    delete(&world, "first").await;
    assert!(
        routes(&world)
            .get_opt("model-registry-first")
            .await
            .expect("an answer")
            .is_none(),
        "it goes before the resource"
    );
    tokio::time::sleep(Duration::from_secs(2)).await;
    let still = world.until(REFERENCE_GRANT, GRANT, |_| true).await;
    assert_eq!(still.uid(), back.uid(), "the second still needs it");
    delete(&world, "second").await;
    cluster::gone(&world.api(REFERENCE_GRANT), GRANT, COLLECTED)
        .await
        .expect("gone with the last");
    assert!(
        routes(&world)
            .get_opt("model-registry-second")
            .await
            .expect("an answer")
            .is_none()
    );

    // One that nobody owns, as the Go operator and administrators make it, serves and stays.
    world.apply(&json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant", "metadata": {"name": GRANT},
        "spec": grant.data["spec"]}).to_string()).await;
    let given = world.until(REFERENCE_GRANT, GRANT, |_| true).await;
    world.registry("third", behind_proxy()).await;
    world.available("third").await;
    route_of(&world, "third").await;
    delete(&world, "third").await;
    let same = world.until(REFERENCE_GRANT, GRANT, |_| true).await;
    assert_eq!(same.resource_version(), given.resource_version());

    // Without the gateway, on a restart: the HTTPRoutes go.
    world.registry("fourth", behind_proxy()).await;
    world.available("fourth").await;
    route_of(&world, "fourth").await;
    operator.stop();
    let operator = start(&own.kubeconfig, &[], &[]);
    cluster::gone(&routes(&world), "model-registry-fourth", SOON)
        .await
        .expect("gone");
    world.available("fourth").await;
    operator.stop();
}
