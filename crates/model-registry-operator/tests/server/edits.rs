//! Every field of the spec: an edit reaches the children, and taking it back leaves no trace.

#![expect(clippy::too_many_lines, reason = "tables are read from top to bottom")]

mod children;
mod databases;
mod ignored;
mod inputs;
mod tables;

use cluster::{Platform, eventually};
use kube::ResourceExt as _;
use operator_harness::SOON;
use operator_harness::edits::{self, Row, Want, container, difference, unmet};
use resources::kind;
use serde_json::{Value, json};

use children::children;

use crate::harness::{MODEL_REGISTRY, World, behind_proxy, postgres, world};

/// The server's container.
fn server(pointer: &str, value: impl Into<Value>) -> Want {
    container("rest-container", pointer, value)
}

/// The proxy's container.
fn proxy(pointer: &str, value: impl Into<Value>) -> Want {
    container("kube-rbac-proxy", pointer, value)
}

/// The address of the database.
fn address(value: &str) -> Want {
    server("/env/MR_EMBEDMD_DATABASE_DSN/value", value)
}

fn mysql() -> Value {
    json!({"rest": {}, "mysql": {"host": "db.example.test", "database": "registry", "username": "user",
        "passwordSecret": {"name": "db", "key": "password"}}})
}

fn generated() -> Value {
    json!({"rest": {}, "postgres": {"generateDeployment": true}})
}

fn behind_oauth_proxy() -> Value {
    let mut spec = postgres();
    spec["oauthProxy"] = json!({});
    spec
}

/// What the edits refer to.
async fn references(world: &World) {
    let made =
        rcgen::generate_simple_self_signed(["db.example.test".to_owned()]).expect("a certificate");
    let cert = made.cert.pem();
    let data = json!({"tls.crt": cert, "tls.key": made.signing_key.serialize_pem(), "ca.crt": cert, "pass": "phrase"});
    for (kind, field) in [("Secret", "stringData"), ("ConfigMap", "data")] {
        world
            .apply(&json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "other"}, field: data}).to_string())
            .await;
    }
}

/// A running registry with this spec, and the names that edits refer to.
async fn running(platform: Platform, name: &str, spec: Value) -> World {
    let world = world(platform, "edits").await;
    references(&world).await;
    world.registry(name, spec).await;
    world.available(name).await;
    world
}

async fn spec_of(world: &World, name: &str) -> Value {
    let live = world
        .api(MODEL_REGISTRY)
        .get(name)
        .await
        .expect("the registry");
    live.data["spec"].clone()
}

/// Edits a registry and takes the edit back, as [`operator_harness::edits`] does.
async fn there_and_back(
    world: &World,
    name: &str,
    set: &Value,
    reached: impl AsyncFn() -> Result<(), String>,
) {
    let registries = world.api(MODEL_REGISTRY);
    let all = async || children(world, name).await;
    edits::there_and_back(&registries, name, set, all, reached).await;
}

async fn edit_all(platform: Platform, name: &str, spec: Value, rows: Vec<Row>) {
    let world = running(platform, name, spec).await;
    for Row { set, want, .. } in rows {
        let reached = async || unmet(&want, &children(&world, name).await);
        there_and_back(&world, name, &set, reached).await;
    }
    world.available(name).await;
}

#[tokio::test]
async fn edits_of_the_server_reach_it() {
    edit_all(
        Platform::Kubernetes,
        "edits-rest",
        postgres(),
        tables::rest(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_pods_reach_them() {
    edit_all(
        Platform::Kubernetes,
        "edits-operand",
        postgres(),
        tables::operand(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_a_postgres_reach_the_server() {
    edit_all(
        Platform::Kubernetes,
        "edits-postgres",
        postgres(),
        databases::postgres(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_a_mysql_reach_the_server() {
    edit_all(
        Platform::Kubernetes,
        "edits-mysql",
        mysql(),
        databases::mysql(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_a_generated_postgres_reach_it() {
    edit_all(
        Platform::Kubernetes,
        "edits-generated",
        generated(),
        databases::generated(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_proxy_reach_it() {
    edit_all(
        Platform::Kubernetes,
        "edits-proxy",
        behind_proxy(),
        tables::proxy(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_ingress_reach_it() {
    edit_all(
        Platform::Kubernetes,
        "edits-ingress",
        behind_proxy(),
        tables::ingress(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_gateways_reach_the_route() {
    edit_all(
        Platform::OpenShift,
        "edits-gateways",
        behind_proxy(),
        tables::gateways(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_old_proxy_reach_the_new_one() {
    edit_all(
        Platform::Kubernetes,
        "edits-oauth",
        behind_oauth_proxy(),
        tables::oauth_proxy(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_way_to_the_proxy_reach_its_route() {
    edit_all(
        Platform::OpenShift,
        "edits-route",
        behind_proxy(),
        tables::proxy_route(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_way_to_the_old_proxy_reach_the_route_of_the_new_one() {
    edit_all(
        Platform::OpenShift,
        "edits-oauth-route",
        behind_oauth_proxy(),
        tables::oauth_proxy_route(),
    )
    .await;
}

#[tokio::test]
async fn edits_of_the_servers_way_in_reach_its_route() {
    let mut spec = postgres();
    spec["authentication"] = json!("None");
    edit_all(
        Platform::OpenShift,
        "edits-plain-route",
        spec,
        tables::rest_route(),
    )
    .await;
}

/// The size of a volume only grows and its class is fixed: there is no way back.
#[tokio::test]
async fn edits_of_the_volume_reach_it_as_far_as_they_can() {
    let name = "edits-volume";
    let mut spec = generated();
    spec["postgres"]["storage"] = json!({"size": "2Gi", "storageClassName": "simulated"});
    let world = running(Platform::Kubernetes, name, spec).await;
    let claim = format!("{name}-postgres-storage");
    let size =
        |claim: &kube::api::DynamicObject| claim.data["spec"]["resources"]["requests"].clone();
    let kind = resources::kind::PERSISTENT_VOLUME_CLAIM;
    let made = world.until(kind, &claim, |_| true).await;
    assert_eq!(size(&made), json!({"storage": "2Gi"}));
    assert_eq!(made.data["spec"]["storageClassName"], "simulated");

    let grown = json!({"storage": "3Gi"});
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"postgres": {"storage": {"size": "3Gi"}}}}),
        )
        .await;
    world.until(kind, &claim, |live| size(live) == grown).await;
    world.available(name).await;

    world
        .edit(MODEL_REGISTRY, name,
            json!({"spec": {"postgres": {"storage": {"size": "1Gi", "storageClassName": "another"}}}}),
        )
        .await;
    let warning = world.condition(name, "SpecWarnings", "True").await;
    let message = warning["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("storage.size") && message.contains("storage.storageClassName"),
        "{message}"
    );
    let live = world.until(kind, &claim, |_| true).await;
    assert_eq!((size(&live), live.uid()), (grown.clone(), made.uid()));
    assert_eq!(live.data["spec"]["storageClassName"], "simulated");
    world.available(name).await;

    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"postgres": {"storage": null}}}),
        )
        .await;
    eventually("the warning is gone", SOON, || async {
        let live = world
            .api(MODEL_REGISTRY)
            .get(name)
            .await
            .map_err(|e| e.to_string())?;
        let warned = cluster::conditions(&live.data).any(|c| c["type"] == "SpecWarnings");
        if warned {
            Err(live.data["status"].to_string())
        } else {
            Ok(())
        }
    })
    .await
    .expect("gone");
    assert_eq!(
        size(&world.until(kind, &claim, |_| true).await),
        grown,
        "it keeps its size"
    );
}

/// The operator's Postgres comes and goes; its data goes only when that is asked for.
#[tokio::test]
async fn a_generated_postgres_comes_and_goes() {
    let name = "edits-switch";
    let world = running(Platform::Kubernetes, name, postgres()).await;
    let (spec, before) = (spec_of(&world, name).await, children(&world, name).await);
    let on = json!({"postgres": {"generateDeployment": true, "host": null, "username": null, "database": null,
        "passwordSecret": null}});
    let off = |policy: Value| {
        let mut off = json!({"postgres": {"generateDeployment": null, "deletionPolicy": policy}});
        for field in ["host", "username", "database", "passwordSecret"] {
            off["postgres"][field] = spec["postgres"][field].clone();
        }
        json!({"spec": off})
    };
    let are = async |wanted: &[&str]| {
        let reached = || async {
            let now = children(&world, name).await;
            let more: Vec<&str> = now
                .keys()
                .map(String::as_str)
                .filter(|key| !before.contains_key(*key))
                .collect();
            if more == wanted {
                Ok(())
            } else {
                Err(format!("{more:?}"))
            }
        };
        eventually(&format!("{wanted:?}"), SOON, reached).await
    };
    let data = [
        "PersistentVolumeClaim N-postgres-storage",
        "Secret N-postgres-credentials",
    ];
    let all = [
        "Deployment N-postgres",
        "NetworkPolicy N-postgres",
        "PersistentVolumeClaim N-postgres-storage",
        "Secret N-postgres-credentials",
        "Service N-postgres",
    ];
    world.edit(MODEL_REGISTRY, name, json!({"spec": on})).await;
    are(&all).await.expect("on");
    world.available(name).await;
    let address = &children(&world, name).await["Deployment N"]["spec"]["template"]["spec"]["containers"]
        ["rest-container"]["env"];
    assert_eq!(
        address["MR_EMBEDMD_DATABASE_DSN"]["value"],
        "postgresql://modelregistry@N-postgres:5432/model_registry"
    );
    assert_eq!(
        address["PGPASSWORD"]["valueFrom"]["secretKeyRef"]["name"],
        "N-postgres-credentials"
    );

    world.edit(MODEL_REGISTRY, name, off(Value::Null)).await;
    are(&data)
        .await
        .expect("its data is kept, as nobody said that it goes");
    let warning = world.condition(name, "SpecWarnings", "True").await;
    assert!(
        warning["message"]
            .as_str()
            .is_some_and(|m| m.contains("deletionPolicy")),
        "{warning}"
    );

    world.edit(MODEL_REGISTRY, name, off(json!("Delete"))).await;
    are(&[]).await.expect("its data goes, as asked for");
    world.edit(MODEL_REGISTRY, name, off(Value::Null)).await;
    eventually("all is as before", SOON, || async {
        difference(&before, &children(&world, name).await).map_or(Ok(()), Err)
    })
    .await
    .expect("as before");
}

/// Fields that have tests of their own.
const APART: &[&str] = &[
    "postgres.storage.size",
    "postgres.storage.storageClassName",
    "postgres.generateDeployment",
    "kubeRBACProxy.certManager.issuerRef.name",
    "kubeRBACProxy.certManager.issuerRef.kind",
    "kubeRBACProxy.certManager.issuerRef.group",
    "istio.audiences",
    "istio.authConfigLabels",
    "istio.authProvider",
    "istio.gateway.controlPlane",
    "istio.gateway.domain",
    "istio.gateway.grpc.gatewayRoute",
    "istio.gateway.grpc.port",
    "istio.gateway.grpc.tls.credentialName",
    "istio.gateway.grpc.tls.mode",
    "istio.gateway.istioIngress",
    "istio.gateway.rest.gatewayRoute",
    "istio.gateway.rest.port",
    "istio.gateway.rest.tls.credentialName",
    "istio.gateway.rest.tls.mode",
    "istio.tlsMode",
];

/// The whole block becomes the proxy, at the gateway's domain and port, and the status says so.
#[tokio::test]
async fn istio_becomes_the_proxy() {
    let world = world(Platform::Kubernetes, "istio").await;
    world.registry("istio", postgres()).await;
    world.available("istio").await;
    let gateway = json!({"domain": "mesh.example.test", "istioIngress": "ingress", "controlPlane": "c",
        "rest": {"port": 8443, "gatewayRoute": "enabled", "tls": {"mode": "SIMPLE", "credentialName": "a"}},
        "grpc": {"port": 443, "gatewayRoute": "enabled", "tls": {"mode": "SIMPLE", "credentialName": "b"}}});
    let istio = json!({"authProvider": "p", "authConfigLabels": {"a": "b"}, "audiences": ["x"],
        "tlsMode": "ISTIO_MUTUAL", "gateway": gateway});
    world
        .edit(MODEL_REGISTRY, "istio", json!({"spec": {"istio": istio}}))
        .await;
    let warned = world.condition("istio", "SpecWarnings", "True").await;
    assert!(
        warned["message"]
            .as_str()
            .unwrap_or_default()
            .contains("spec.istio"),
        "{warned}"
    );
    let service = world
        .until(kind::SERVICE, "istio", |s| {
            s.data["spec"]["ports"][0]["name"] == "https-api"
        })
        .await;
    assert_eq!(
        service
            .annotations()
            .get("routing.opendatahub.io/external-address-rest")
            .map(String::as_str),
        Some("istio-rest.mesh.example.test:8443")
    );
    world
        .edit(MODEL_REGISTRY, "istio", json!({"spec": {"istio": null}}))
        .await;
    world
        .until(kind::SERVICE, "istio", |s| {
            s.data["spec"]["ports"][0]["name"] == "http-api"
        })
        .await;
    world.available("istio").await;
}

#[test]
fn no_field_of_the_schema_is_forgotten() {
    let rows = [
        tables::rest(),
        tables::operand(),
        databases::postgres(),
        databases::mysql(),
        databases::generated(),
        tables::proxy(),
        tables::oauth_proxy(),
        tables::proxy_route(),
        tables::oauth_proxy_route(),
        tables::rest_route(),
        tables::ingress(),
        tables::gateways(),
    ];
    let ignored = ignored::tables();
    let tried = rows.iter().flatten().flat_map(|row| row.leaves);
    let tried = tried
        .chain(ignored.iter().flat_map(|row| row.leaves))
        .chain(APART)
        .copied();
    let schema = edits::fields(&api::model_registry(), "v1beta1");
    assert!(schema.len() > 70, "{schema:?}");
    edits::none_is_forgotten(&schema, tried);
}
