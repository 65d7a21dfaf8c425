//! The variants of a registry, each on both platforms: what every one of them must be, and what is
//! its own.

use cluster::Platform;
use kube::{ResourceExt as _, api::DynamicObject};
use resources::kind::{
    CLUSTER_ROLE_BINDING, CONFIG_MAP, DEPLOYMENT, GROUP, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM,
    ROLE_BINDING, ROUTE, SECRET, SERVICE,
};
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, World, behind_proxy, postgres, world};

/// A registry that is Available, with the checks that hold for every variant.
async fn made(world: &World, name: &str, spec: Value, external_hosts: usize) {
    let texts =
        json!({"openshift.io/display-name": "Shown", "openshift.io/description": "what for"});
    world.registry(name, spec).await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"metadata": {"annotations": texts}}),
        )
        .await;
    let registry = world.available(name).await;
    world.condition(name, "Progressing", "False").await;

    let namespace = &world.namespace;
    let hosts: Vec<String> =
        serde_json::from_value(registry.data["status"]["hosts"].clone()).expect("hosts");
    assert_eq!(hosts.len(), external_hosts + 3, "{hosts:?}");
    assert_eq!(
        hosts[external_hosts..],
        [
            format!("{name}.{namespace}.svc.cluster.local"),
            format!("{name}.{namespace}"),
            name.to_owned()
        ]
    );
    assert_eq!(registry.data["status"]["hostsStr"], hosts.join(","));
    let shown = |service: &DynamicObject| {
        ["openshift.io/display-name", "openshift.io/description"]
            .map(|key| service.annotations().get(key).cloned())
            == [Some("Shown".to_owned()), Some("what for".to_owned())]
    };
    world.until(SERVICE, name, shown).await;
    let selector =
        json!({"app": name, "component": "model-registry", "app.kubernetes.io/name": name});
    let deployment = world.until(DEPLOYMENT, name, |_| true).await;
    assert_eq!(deployment.data["spec"]["selector"]["matchLabels"], selector);
    let service = world.until(SERVICE, name, |_| true).await;
    assert_eq!(service.data["spec"]["selector"], selector);
}

async fn absent(world: &World, kind: resources::Kind, name: &str) {
    let found = world.api(kind).get_opt(name).await.expect("an answer");
    assert!(found.is_none(), "{kind} {name}");
}

async fn container(world: &World, registry: &str, name: &str) -> Option<Value> {
    let deployment = world.until(DEPLOYMENT, registry, |_| true).await;
    let containers = deployment.data["spec"]["template"]["spec"]["containers"].clone();
    let containers = containers.as_array().cloned().unwrap_or_default();
    containers.into_iter().find(|found| found["name"] == name)
}

/// A proxy in front: its container, configuration and rights.
async fn has_proxy(world: &World, name: &str, image: Option<&str>, secret: &str) {
    let proxy = container(world, name, "kube-rbac-proxy")
        .await
        .expect("the proxy");
    let args = proxy["args"].to_string();
    for arg in [
        "--secure-listen-address=0.0.0.0:8443",
        "--upstream=http://127.0.0.1:8080/",
        "--config-file=/etc/kube-rbac-proxy/config-file.yaml",
    ] {
        assert!(args.contains(arg), "{arg} in {args}");
    }
    if let Some(image) = image {
        assert_eq!(proxy["image"], image);
    }
    assert!(container(world, name, "oauth-proxy").await.is_none());
    let deployment = world.until(DEPLOYMENT, name, |_| true).await;
    let volumes = deployment.data["spec"]["template"]["spec"]["volumes"].to_string();
    assert!(
        volumes.contains(&format!("\"secretName\":\"{secret}\"")),
        "{volumes}"
    );
    let service = world.until(SERVICE, name, |_| true).await;
    let port = &service.data["spec"]["ports"];
    assert_eq!(
        (&port[0]["name"], &port[0]["port"]),
        (&json!("https-api"), &json!(8443))
    );
    assert_eq!(port[1], Value::Null, "one port");
    let config = format!("{name}-kube-rbac-proxy-config");
    world.until(CONFIG_MAP, &config, |_| true).await;
    let binding = format!("{name}-auth-delegator");
    let binding = world.until(CLUSTER_ROLE_BINDING, &binding, |_| true).await;
    assert_eq!(binding.data["roleRef"]["name"], "system:auth-delegator");
    world
        .condition(name, "KubeRBACProxyAvailable", "True")
        .await;
}

#[tokio::test]
async fn a_postgres_or_mysql_of_the_user_and_nothing_generated() {
    let mysql = json!({"rest": {}, "mysql": {"host": "db.example.test", "database": "registry", "username": "user",
        "passwordSecret": {"name": "db", "key": "password"}}});
    for (name, spec, kind) in [
        ("var-postgres", postgres(), "postgres"),
        ("var-mysql", mysql, "mysql"),
    ] {
        let world = world(Platform::Kubernetes, name).await;
        made(&world, name, spec, 0).await;
        let server = container(&world, name, "rest-container").await;
        let args = server.expect("the server")["args"].to_string();
        assert!(
            args.contains(&format!("--embedmd-database-type={kind}")),
            "{args}"
        );
        for (kind, end) in [
            (DEPLOYMENT, "-postgres"),
            (SERVICE, "-postgres"),
            (NETWORK_POLICY, "-postgres"),
            (SECRET, "-postgres-credentials"),
            (PERSISTENT_VOLUME_CLAIM, "-postgres-storage"),
        ] {
            absent(&world, kind, &format!("{name}{end}")).await;
        }
        absent(&world, DEPLOYMENT, &format!("{name}-catalog")).await;
    }
}

#[tokio::test]
async fn the_proxy_in_its_variants_on_openshift() {
    let with = |proxy: Value| {
        let mut spec = postgres();
        spec["kubeRBACProxy"] = proxy;
        spec
    };
    let key = |key: &str| json!({"name": "own-tls", "key": key});
    let own = json!({"tlsCertificateSecret": key("tls.crt"), "tlsKeySecret": key("tls.key")});
    let image = "registry.test/proxy:1";
    let pair = rcgen::generate_simple_self_signed(["own".to_owned()]).expect("a certificate");
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own-tls"},
        "stringData": {"tls.crt": pair.cert.pem(), "tls.key": pair.signing_key.serialize_pem()}});
    for (name, spec, route, certificate) in [
        ("var-default", postgres(), true, None),
        ("var-proxy", behind_proxy(), true, None),
        ("var-own-cert", with(own), true, Some("own-tls")),
        (
            "var-no-route",
            with(json!({"serviceRoute": "disabled"})),
            false,
            None,
        ),
        ("var-image", with(json!({"image": image})), true, None),
    ] {
        let world = world(Platform::OpenShift, name).await;
        world.apply(&secret.to_string()).await;
        made(&world, name, spec, usize::from(route)).await;
        let default = format!("{name}-kube-rbac-proxy");
        let wanted = (name == "var-image").then_some(image);
        has_proxy(&world, name, wanted, certificate.unwrap_or(&default)).await;
        let of_route = format!("{name}-https");
        if route {
            world.until(ROUTE, &of_route, |_| true).await;
        } else {
            absent(&world, ROUTE, &of_route).await;
        }
    }
}

#[tokio::test]
async fn the_old_proxy_becomes_the_new_one() {
    let name = "var-oauth";
    let mut spec = postgres();
    spec["oauthProxy"] = json!({});
    let world = world(Platform::OpenShift, name).await;
    made(&world, name, spec, 1).await;
    has_proxy(&world, name, None, "var-oauth-kube-rbac-proxy").await;
}

/// Without a proxy, which has to be said on OpenShift.
#[tokio::test]
async fn the_servers_own_route_on_openshift() {
    for (name, route) in [("var-rest-route", "enabled"), ("var-rest", "disabled")] {
        let mut spec = postgres();
        spec["authentication"] = json!("None");
        spec["rest"] = json!({"serviceRoute": route});
        let world = world(Platform::OpenShift, name).await;
        made(&world, name, spec, 0).await;
        let of_route = format!("{name}-http");
        if route == "enabled" {
            let route = world.until(ROUTE, &of_route, |_| true).await;
            assert_eq!(route.data["spec"]["port"]["targetPort"], "http-api");
            assert_eq!(route.data["spec"]["to"]["name"], name);
        } else {
            absent(&world, ROUTE, &of_route).await;
        }
        let users = format!("{name}-users");
        world.until(GROUP, &users, |_| true).await;
        let binding = world.until(ROLE_BINDING, &users, |_| true).await;
        assert_eq!(
            binding.data["roleRef"]["name"],
            format!("registry-user-{name}")
        );
        assert_eq!(binding.data["subjects"][0]["name"], users);
    }
}

#[tokio::test]
async fn a_postgres_of_its_own() {
    let name = "var-auto";
    let spec = json!({"rest": {}, "postgres": {"generateDeployment": true}});
    let world = world(Platform::OpenShift, name).await;
    made(&world, name, spec, 1).await;

    let secret = world
        .until(SECRET, "var-auto-postgres-credentials", |_| true)
        .await;
    for key in ["username", "password"] {
        assert_ne!(secret.data["data"][key], Value::Null, "{key}");
    }
    let pods = json!({"app": name, "component": "model-registry", "app.kubernetes.io/name": "var-auto-postgres"});
    let database = world.until(DEPLOYMENT, "var-auto-postgres", |_| true).await;
    assert_eq!(database.data["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(database.data["spec"]["selector"]["matchLabels"], pods);
    assert_eq!(
        database
            .labels()
            .get("app.kubernetes.io/component")
            .map(String::as_str),
        Some("database")
    );
    let service = world.until(SERVICE, "var-auto-postgres", |_| true).await;
    assert_eq!(service.data["spec"]["ports"][0]["port"], 5432);
    let volume = world
        .until(PERSISTENT_VOLUME_CLAIM, "var-auto-postgres-storage", |_| {
            true
        })
        .await;
    assert_eq!(volume.data["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    assert_eq!(
        volume.data["spec"]["resources"]["requests"]["storage"],
        "5Gi"
    );
    let policy = world
        .until(NETWORK_POLICY, "var-auto-postgres", |_| true)
        .await;
    assert_eq!(policy.data["spec"]["podSelector"]["matchLabels"], pods);
    let rule = &policy.data["spec"]["ingress"][0];
    assert_eq!(rule["ports"], json!([{"port": 5432, "protocol": "TCP"}]));
    assert_eq!(
        rule["from"],
        json!([{"podSelector": {"matchLabels":
            {"app": name, "component": "model-registry", "app.kubernetes.io/name": name}}}])
    );
}
