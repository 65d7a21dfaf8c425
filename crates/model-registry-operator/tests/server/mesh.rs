//! Registries in the mesh, against the API server with the definitions of Istio and Authorino.
//! Their programs are played by the stand-in.

use std::time::Duration;

use cluster::{Platform, api_of, conditions, eventually};
use kube::api::{DeleteParams, DynamicObject, PatchParams, ValidationDirective};
use kube::{ResourceExt as _, api::Patch};
use operator_harness::{SOON, root};
use resources::Kind;
use resources::kind::{
    AUTH_CONFIG, AUTHORIZATION_POLICY, DEPLOYMENT, DESTINATION_RULE, ISTIO_GATEWAY, ROUTE, SERVICE,
    VIRTUAL_SERVICE,
};
use serde_json::{Value, json};

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, postgres, start};
use crate::samples::{credential, samples};

/// What a registry in the mesh is made of, in its namespace.
const MESH: [Kind; 5] = [
    VIRTUAL_SERVICE,
    DESTINATION_RULE,
    ISTIO_GATEWAY,
    AUTHORIZATION_POLICY,
    AUTH_CONFIG,
];

const INGRESS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: istio-system}
---
apiVersion: v1
kind: Service
metadata: {name: istio-ingressgateway, namespace: istio-system, labels: {istio: ingressgateway}}
spec: {ports: [{name: http2, port: 80}, {name: https, port: 443}]}
";

fn in_mesh() -> Value {
    let mut spec = postgres();
    spec["istio"] = json!({"gateway": {"rest": {}, "grpc": {}}});
    spec
}

impl World {
    /// Waits for the status of a condition, and gives its message.
    async fn told(&self, name: &str, condition: &str, status: &str) -> String {
        let found = self.condition(name, condition, status).await;
        found["message"].as_str().unwrap_or_default().to_owned()
    }

    async fn no_condition(&self, name: &str, condition: &str) {
        let api = self.api(MODEL_REGISTRY);
        eventually(&format!("{name} without {condition}"), SOON, || async {
            let live = api.get(name).await.map_err(|error| error.to_string())?;
            if conditions(&live.data).any(|c| c["type"] == condition) {
                return Err(live.data["status"].to_string());
            }
            Ok(())
        })
        .await
        .expect("the condition goes");
    }

    async fn gone(&self, kind: Kind, namespace: &str, name: &str) {
        let api = api_of(&self.client, Some(namespace), kind);
        cluster::gone(&api, name, SOON).await.expect("it goes");
    }

    async fn route(&self, name: &str) -> DynamicObject {
        let api = api_of(&self.client, Some("istio-system"), ROUTE);
        eventually(&format!("Route {name}"), SOON, || async {
            let route = api.get(name).await.map_err(|error| error.to_string())?;
            let admitted = route.data.pointer("/status/ingress/0/host").is_some();
            admitted.then_some(route).ok_or_else(String::new)
        })
        .await
        .expect("an admitted Route")
    }
}

/// Applies what there is once more, as the strictest client does: a field that the definitions of
/// Istio and Authorino do not know is an error then.
async fn strictly_valid(world: &World, name: &str) {
    let mut params = PatchParams::apply("strict").force().dry_run();
    params.field_validation = Some(ValidationDirective::Strict);
    for kind in MESH {
        let name = match kind {
            AUTHORIZATION_POLICY => format!("{name}-authorino"),
            _ => name.to_owned(),
        };
        let mut live = world.until(kind, &name, |_| true).await;
        live.metadata.managed_fields = None;
        live.metadata.resource_version = None;
        live.data
            .as_object_mut()
            .expect("an object")
            .remove("status");
        let answer = world
            .api(kind)
            .patch(&name, &params, &Patch::Apply(&live))
            .await;
        answer.unwrap_or_else(|error| panic!("{kind} {name}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mesh_comes_after_the_operator_and_is_used_to_its_end() {
    let own = INSTALLATION.alone(Platform::OpenShift).await;
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("mesh").await);
    let namespace = world.namespace.clone();
    let (rest, grpc) = (
        format!("{namespace}-inmesh-rest"),
        format!("{namespace}-inmesh-grpc"),
    );
    world.registry("inmesh", in_mesh()).await;
    world.available("inmesh").await;
    let told = world.told("inmesh", "SpecWarnings", "True").await;
    assert!(told.contains("authorino.kuadrant.io/v1beta3"), "{told}");

    // The APIs, without a restart; and then the ingress gateway.
    let mesh = own.cluster.play_mesh().await.expect("a mesh");
    world.told("inmesh", "IstioAvailable", "True").await;
    let told = world.told("inmesh", "GatewayAvailable", "False").await;
    assert!(
        told.contains("istio=ingressgateway, found 0 services"),
        "{told}"
    );
    world.condition("inmesh", "Available", "False").await;
    world.apply(INGRESS).await;
    world.told("inmesh", "GatewayAvailable", "True").await;
    world.available("inmesh").await;
    world.no_condition("inmesh", "KubeRBACProxyAvailable").await;
    strictly_valid(&world, "inmesh").await;
    let route = world.route(&rest).await;
    assert_eq!(route.data["spec"]["host"], "inmesh-rest.apps.example.test");
    world.route(&grpc).await;
    let told = world.told("inmesh", "SpecWarnings", "True").await;
    assert!(
        told.contains("spec.istio.gateway.grpc leads nowhere"),
        "{told}"
    );
    let live = world
        .api(MODEL_REGISTRY)
        .get("inmesh")
        .await
        .expect("the registry");
    assert_eq!(
        live.data["status"]["hosts"].as_array().map(Vec::len),
        Some(5),
        "{}",
        live.data["status"]
    );
    assert_eq!(
        live.data["status"]["url"],
        "http://inmesh-rest.apps.example.test"
    );

    every_field_reaches_its_object(&world, &rest, &grpc).await;

    // The way in goes, then the mesh, and nothing of them is left.
    world
        .edit(
            MODEL_REGISTRY,
            "inmesh",
            json!({"spec": {"istio": {"gateway": null}}}),
        )
        .await;
    world.gone(ISTIO_GATEWAY, &namespace, "inmesh").await;
    world.gone(ROUTE, "istio-system", &rest).await;
    world.no_condition("inmesh", "GatewayAvailable").await;
    world
        .edit(MODEL_REGISTRY, "inmesh", json!({"spec": {"istio": null}}))
        .await;
    for kind in [VIRTUAL_SERVICE, DESTINATION_RULE, AUTH_CONFIG] {
        world.gone(kind, &namespace, "inmesh").await;
    }
    world
        .gone(AUTHORIZATION_POLICY, &namespace, "inmesh-authorino")
        .await;
    world.no_condition("inmesh", "IstioAvailable").await;
    world.available("inmesh").await;

    // Its deletion takes what is in the namespace of the gateway.
    world
        .edit(
            MODEL_REGISTRY,
            "inmesh",
            json!({"spec": {"istio": in_mesh()["istio"]}}),
        )
        .await;
    world.route(&rest).await;
    world
        .api(MODEL_REGISTRY)
        .delete("inmesh", &DeleteParams::background())
        .await
        .expect("deleted");
    world.gone(ROUTE, "istio-system", &rest).await;
    world.nothing_left("inmesh").await;

    every_sample(&world).await;
    drop(mesh);
    operator.stop();
}

async fn every_field_reaches_its_object(world: &World, rest: &str, grpc: &str) {
    world
        .apply("{apiVersion: v1, kind: Service, metadata: {name: other, namespace: istio-system, labels: {istio: other, istio.io/rev: canary}}, spec: {ports: [{port: 80}]}}")
        .await;
    let istio = json!({
        "authProvider": "authorino", "authConfigLabels": {"team": "t"}, "audiences": ["https://a.test"],
        "tlsMode": "MUTUAL",
        "gateway": {
            "domain": "mesh.example.test", "istioIngress": "other", "controlPlane": "canary",
            "rest": {"port": 8443, "gatewayRoute": "enabled", "tls": {"mode": "MUTUAL", "credentialName": "r"}},
            "grpc": {"port": 9443, "gatewayRoute": "disabled", "tls": {"mode": "OPTIONAL_MUTUAL", "credentialName": "g"}},
        },
    });
    let edit =
        json!({"spec": {"istio": istio, "grpc": {"image": "registry.test/mlmd:1", "port": 9191}}});
    world.edit(MODEL_REGISTRY, "inmesh", edit).await;
    world.gone(ROUTE, "istio-system", grpc).await;
    let spec = async |kind: Kind, name: &str, pointer: &str, value: Value| {
        let holds = |object: &DynamicObject| object.data.pointer(pointer) == Some(&value);
        world.until(kind, name, holds).await
    };
    spec(
        DESTINATION_RULE,
        "inmesh",
        "/spec/trafficPolicy/tls/mode",
        json!("MUTUAL"),
    )
    .await;
    spec(
        AUTHORIZATION_POLICY,
        "inmesh-authorino",
        "/spec/provider/name",
        json!("authorino"),
    )
    .await;
    let audiences = "/spec/authentication/cluster-users/kubernetesTokenReview/audiences";
    let config = spec(AUTH_CONFIG, "inmesh", audiences, json!(["https://a.test"])).await;
    assert_eq!(config.labels()["team"], "t");
    assert_eq!(
        config.data["spec"]["hosts"][0],
        "inmesh-rest.mesh.example.test"
    );
    let server = |port: u16, name: &str, mode: &str, credential: &str| {
        json!({
            "name": format!("inmesh-{name}-server"), "hosts": [format!("inmesh-{name}.mesh.example.test")],
            "port": {"name": name, "number": port, "protocol": "HTTPS"},
            "tls": {"mode": mode, "credentialName": credential},
        })
    };
    let servers = json!([
        server(8443, "rest", "MUTUAL", "r"),
        server(9443, "grpc", "OPTIONAL_MUTUAL", "g"),
    ]);
    let gateway = spec(ISTIO_GATEWAY, "inmesh", "/spec/servers", servers).await;
    assert_eq!(
        gateway.data["spec"]["selector"],
        json!({"istio": "other", "istio.io/rev": "canary"})
    );
    let port = "/spec/http/1/route/0/destination/port/number";
    spec(VIRTUAL_SERVICE, "inmesh", port, json!(9191)).await;
    spec(
        SERVICE,
        "inmesh",
        "/spec/ports/0/appProtocol",
        json!("grpc"),
    )
    .await;
    let routes = api_of(&world.client, Some("istio-system"), ROUTE);
    eventually("the Route of the other gateway", SOON, || async {
        let route = routes.get(rest).await.map_err(|error| error.to_string())?;
        let wanted = json!({"host": "inmesh-rest.mesh.example.test", "port": {"targetPort": "https"},
            "tls": {"termination": "passthrough"}, "to": {"kind": "Service", "name": "other", "weight": 100}});
        if resources::merge::contains(&route.data["spec"], &wanted) {
            Ok(())
        } else {
            Err(route.data.to_string())
        }
    })
    .await
    .expect("another Route");
    world.available("inmesh").await;
    strictly_valid(world, "inmesh").await;
}

/// The samples in the mesh, as a user applies them.
async fn every_sample(world: &World) {
    let samples = samples();
    let all = root().join("samples/model-registry");
    let in_mesh = samples.iter().filter(|folder| {
        let folder = folder.strip_prefix(&all).unwrap_or(folder);
        folder.starts_with("istio") || folder.ends_with("secure-db/mysql-tls")
    });
    let mut count = 0;
    for sample in in_mesh {
        count += 1;
        credential(world).await;
        let folder = sample.to_str().expect("a path");
        let apply = ["apply", "-n", &world.namespace, "-k", folder];
        world.cluster.kubectl(&apply).await.expect("applied");
        world
            .condition("modelregistry-sample", "IstioAvailable", "True")
            .await;
        world
            .condition("modelregistry-sample", "GatewayAvailable", "True")
            .await;
        world.available("modelregistry-sample").await;
        strictly_valid(world, "modelregistry-sample").await;
        let delete = ["delete", "-n", &world.namespace, "-k", folder];
        world.cluster.kubectl(&delete).await.expect("deleted");
        world.nothing_left("modelregistry-sample").await;
    }
    assert_eq!(count, 5, "{samples:?}");
}

/// What guards the pods cannot be written: then there are no open pods either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pod_is_made_that_nobody_guards() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let mesh = own.cluster.play_mesh().await.expect("a mesh");
    let world = World(own.world("guard").await);
    let role = "model-registry-operator-manager-role";
    let rules = own
        .cluster
        .kubectl(&["get", "clusterrole", role, "-o", "json"])
        .await;
    let mut without: Value = serde_json::from_str(&rules.expect("the role")).expect("JSON");
    let all = without["rules"].as_array_mut().expect("rules");
    all.retain(|rule| rule["apiGroups"] != json!(["security.istio.io"]));
    without["metadata"] = json!({"name": role});
    world.apply(&without.to_string()).await;

    let domain = [("DEFAULT_DOMAIN", "apps.example.test")];
    let operator = start(&own.kubeconfig, &domain, &[]);
    world.registry("open", in_mesh()).await;
    let told = world.told("open", "Available", "False").await;
    world.told("open", "RightsMissing", "True").await;
    let told = if told.contains("must not be there without") {
        told
    } else {
        world.told("open", "Available", "False").await
    };
    assert!(told.contains("AuthorizationPolicy"), "{told}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let found = world
        .api(DEPLOYMENT)
        .get_opt("open")
        .await
        .expect("an answer");
    assert!(found.is_none(), "{found:?}");
    operator.stop();

    // With the right, and on plain Kubernetes: no Route is asked for.
    let folder = root().join("config/model-registry-operator/default");
    let apply = [
        "apply",
        "--server-side",
        "--force-conflicts",
        "-k",
        folder.to_str().expect("a path"),
    ];
    own.cluster.kubectl(&apply).await.expect("the manifests");
    let operator = start(&own.kubeconfig, &domain, &[]);
    world.available("open").await;
    world.condition("open", "GatewayAvailable", "True").await;
    strictly_valid(&world, "open").await;
    every_sample(&world).await;
    drop(mesh);
    operator.stop();
}
