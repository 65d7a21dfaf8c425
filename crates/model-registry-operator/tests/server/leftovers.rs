//! What operators of other times, and other settings, have left behind.

use cluster::{Platform, api_of};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use operator_harness::SOON;
use resources::kind::{DEPLOYMENT, HTTP_ROUTE, NETWORK_POLICY, ROUTE, SERVICE};
use serde_json::{Value, json};

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, behind_proxy, start, world};

/// The catalog that registries had before there was a kind Catalog.
fn old_catalog(registry: &str, owner: &Value, labels: &Value) -> Vec<Value> {
    let meta =
        |name: String| json!({"name": name, "labels": labels, "ownerReferences": [owner.clone()]});
    let pods = json!({"app": format!("{registry}-catalog")});
    let catalog = format!("{registry}-catalog");
    vec![
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(catalog.clone()), "spec": {
            "replicas": 0, "selector": {"matchLabels": pods}, "template": {"metadata": {"labels": pods},
                "spec": {"containers": [{"name": "catalog", "image": "registry.test/catalog:1"}]}}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": meta(catalog.clone()),
            "spec": {"selector": pods, "ports": [{"name": "http", "port": 8080}]}}),
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route", "metadata": meta(format!("{catalog}-https")),
            "spec": {"to": {"kind": "Service", "name": catalog}}}),
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": meta(format!("{catalog}-https-route")), "spec": {"podSelector": {}}}),
    ]
}

#[tokio::test]
async fn the_catalog_of_a_registry_goes_and_one_of_its_own_stays() {
    let name = "old-catalog";
    let world = world(Platform::OpenShift, name).await;
    world.registry(name, behind_proxy()).await;
    let uid = world.available(name).await.uid().unwrap_or_default();
    let owner = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry", "name": name,
        "uid": uid, "controller": true});
    let labels = json!({"app": name, "component": "model-registry",
        "app.kubernetes.io/created-by": "model-registry-operator", "app.kubernetes.io/part-of": "model-registry"});
    for object in old_catalog(name, &owner, &labels) {
        world.apply(&object.to_string()).await;
    }
    for (kind, end) in [
        (DEPLOYMENT, "-catalog"),
        (SERVICE, "-catalog"),
        (ROUTE, "-catalog-https"),
        (NETWORK_POLICY, "-catalog-https-route"),
    ] {
        cluster::gone(&world.api(kind), &format!("{name}{end}"), SOON)
            .await
            .expect("gone");
    }

    // The same names, of a Catalog.
    let catalog = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "catalog"}});
    world.apply(&catalog.to_string()).await;
    let uid = world
        .until(resources::kind::CONFIG_MAP, "catalog", |_| true)
        .await
        .uid();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "catalog", "uid": uid, "controller": true});
    for object in old_catalog(name, &owner, &json!({"component": "model-catalog"})) {
        world.apply(&object.to_string()).await;
    }
    let deployment = world
        .until(DEPLOYMENT, &format!("{name}-catalog"), |_| true)
        .await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"rest": {"port": 8081}}}),
        )
        .await;
    world.available(name).await;
    for (kind, end) in [(DEPLOYMENT, "-catalog"), (SERVICE, "-catalog")] {
        let still = world.until(kind, &format!("{name}{end}"), |_| true).await;
        assert_eq!(still.owner_references()[0].name, "catalog");
    }
    let still = world
        .until(DEPLOYMENT, &format!("{name}-catalog"), |_| true)
        .await;
    assert_eq!(still.uid(), deployment.uid());
}

const GATEWAY: &[(&str, &str)] = &[
    ("GATEWAY_DOMAIN", "gw.example.test"),
    ("HTTPROUTE_NAMESPACE", "applications"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_comes_beside_the_route_and_its_route_goes_without_it() {
    let own = INSTALLATION.alone(Platform::OpenShift).await;
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("switch").await);
    world
        .apply("{apiVersion: v1, kind: Namespace, metadata: {name: applications}}")
        .await;
    let name = "switched";
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    let route = world.until(ROUTE, "switched-https", |_| true).await;
    operator.stop();

    // With a gateway: the HTTPRoute comes, and the Route stays for those who know its host.
    let operator = start(&own.kubeconfig, GATEWAY, &[]);
    let routes = api_of(&world.client, Some("applications"), HTTP_ROUTE);
    cluster::eventually("the HTTPRoute", SOON, || async {
        let found: DynamicObject = routes
            .get("model-registry-switched")
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(found)
    })
    .await
    .expect("made");
    world.available(name).await;
    let still = world.until(ROUTE, "switched-https", |_| true).await;
    assert_eq!(still.uid(), route.uid());
    operator.stop();

    // Deleted while nobody looks, and found by an operator that has no gateway any more.
    world
        .api(MODEL_REGISTRY)
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    let operator = start(&own.kubeconfig, &[], &[]);
    cluster::gone(&world.api(MODEL_REGISTRY), name, SOON)
        .await
        .expect("gone");
    let left = routes.get_opt("model-registry-switched").await;
    assert!(
        left.expect("an answer").is_none(),
        "it goes with its registry"
    );
    operator.stop();
}
