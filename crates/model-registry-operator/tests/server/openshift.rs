//! What OpenShift adds, on the stand-in for it: Routes, the group of users, serving certificates,
//! the cluster's domain, and a gateway in front of everything.

mod gateway;

use cluster::{Platform, StandIn, api_of, eventually};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use operator_harness::{COLLECTED, SOON};
use resources::kind::{
    CONFIG_MAP, DEPLOYMENT, GROUP, INGRESS_CONFIG, NETWORK_POLICY, ROLE_BINDING, ROUTE, SECRET,
    SERVICE,
};
use serde_json::{Value, json};

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, behind_proxy, postgres, start, world};

async fn spec_of(world: &World, name: &str) -> Value {
    world
        .api(MODEL_REGISTRY)
        .get(name)
        .await
        .expect("the registry")
        .data["spec"]
        .clone()
}

async fn hosts(world: &World, name: &str) -> Vec<String> {
    let registry = world
        .api(MODEL_REGISTRY)
        .get(name)
        .await
        .expect("the registry");
    assert_eq!(
        registry.data["status"]["hostsStr"]
            .as_str()
            .map(str::to_owned),
        registry.data["status"]["hosts"].as_array().map(|all| {
            all.iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(",")
        })
    );
    serde_json::from_value(registry.data["status"]["hosts"].clone()).expect("hosts")
}

#[tokio::test]
async fn the_proxy_is_there_without_being_asked_for_and_the_spec_stays_as_written() {
    let world = world(Platform::OpenShift, "default").await;
    let name = "os-default";
    world.registry(name, postgres()).await;
    let registry = world.available(name).await;
    assert_eq!(
        registry.data["spec"]["kubeRBACProxy"],
        Value::Null,
        "nobody wrote it"
    );
    assert_eq!(registry.data["spec"], spec_of(&world, name).await);
    let managers: Vec<_> = registry
        .managed_fields()
        .iter()
        .filter(|entry| entry.manager.as_deref() != Some("tests"))
        .filter(|entry| {
            entry
                .fields_v1
                .as_ref()
                .is_some_and(|fields| fields.0.get("f:spec").is_some())
        })
        .collect();
    assert!(
        managers.is_empty(),
        "the operator writes no spec: {managers:?}"
    );

    // Behind the proxy: a Route that is admitted, and a serving certificate of the platform's.
    let route = world.until(ROUTE, &format!("{name}-https"), |_| true).await;
    assert_eq!(
        route.data["spec"]["host"],
        "os-default-rest.apps.example.test"
    );
    assert_eq!(
        route.data["spec"]["tls"],
        json!({"termination": "reencrypt"})
    );
    assert_eq!(route.data["spec"]["port"]["targetPort"], "https-api");
    let service = world.until(SERVICE, name, |_| true).await;
    let asked = service
        .annotations()
        .get("service.beta.openshift.io/serving-cert-secret-name");
    assert_eq!(
        asked.map(String::as_str),
        Some("os-default-kube-rbac-proxy")
    );
    let secret = world
        .until(SECRET, "os-default-kube-rbac-proxy", |_| true)
        .await;
    assert_eq!(
        secret.owner_references()[0].kind,
        "Service",
        "made by the platform"
    );
    assert!(
        world
            .api(CONFIG_MAP)
            .get_opt("os-default-ca")
            .await
            .expect("an answer")
            .is_none(),
        "its CA is the platform's"
    );
    world
        .condition(name, "KubeRBACProxyAvailable", "True")
        .await;
    let policy = world
        .until(NETWORK_POLICY, "os-default-https-route", |_| true)
        .await;
    assert_eq!(
        policy.data["spec"]["ingress"][0]["from"],
        json!([
            {"namespaceSelector": {"matchLabels": {"network.openshift.io/policy-group": "ingress"}}},
            {"namespaceSelector": {"matchLabels": {"opendatahub.io/generated-namespace": "true"}}},
        ])
    );

    // External hosts first.
    let namespace = &world.namespace;
    assert_eq!(
        hosts(&world, name).await,
        [
            "os-default-rest.apps.example.test".to_owned(),
            format!("{name}.{namespace}.svc.cluster.local"),
            format!("{name}.{namespace}"),
            name.to_owned(),
        ]
    );
    assert_eq!(
        registry.data["status"]["url"],
        "https://os-default-rest.apps.example.test"
    );
}

#[tokio::test]
async fn a_route_comes_and_goes() {
    let world = world(Platform::OpenShift, "route").await;
    let name = "os-route";
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    let route = |value: &str| json!({"spec": {"kubeRBACProxy": {"serviceRoute": value}}});
    world.edit(MODEL_REGISTRY, name, route("disabled")).await;
    let gone = |kind, object: &'static str| {
        let api = world.api(kind);
        eventually(object, SOON, move || {
            let api = api.clone();
            async move {
                match api.get_opt(object).await {
                    Ok(None) => Ok(()),
                    other => Err(format!("{other:?}")),
                }
            }
        })
    };
    gone(ROUTE, "os-route-https").await.expect("gone");
    gone(NETWORK_POLICY, "os-route-https-route")
        .await
        .expect("gone");
    // The way around the proxy stays closed without a Route too.
    world
        .until(NETWORK_POLICY, "os-route-proxy", |_| true)
        .await;
    let registry = world.available(name).await;
    assert_eq!(hosts(&world, name).await.len(), 3);
    assert!(
        registry.data["status"]["url"]
            .as_str()
            .is_some_and(|url| url.ends_with(".svc.cluster.local:8443"))
    );
    world.edit(MODEL_REGISTRY, name, route("enabled")).await;
    world
        .until(ROUTE, "os-route-https", |route| {
            route.data["status"]["ingress"][0]["host"] == "os-route-rest.apps.example.test"
        })
        .await;
    gone(NETWORK_POLICY, "os-route-proxy").await.expect("gone");
    world.available(name).await;
    assert_eq!(hosts(&world, name).await.len(), 4);
}

/// A Route that no router admits is said in both conditions, and so is its admission.
#[tokio::test]
async fn a_route_that_is_not_admitted_is_told() {
    let world = world(Platform::OpenShift, "refused").await;
    let name = "os-refused";
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    let status = |admitted: &str, reason: &str| {
        json!({"status": {"ingress": [{"host": "os-refused-rest.apps.example.test", "routerName": "default",
            "conditions": [{"type": "Admitted", "status": admitted, "reason": reason, "message": "taken by another"}]}]}})
    };
    let routes = world.api(ROUTE);
    let write = async |admitted: &str, reason: &str| {
        routes
            .patch_status(
                "os-refused-https",
                &PatchParams::default(),
                &Patch::Merge(status(admitted, reason)),
            )
            .await
            .expect("written");
    };
    write("False", "HostAlreadyClaimed").await;
    for type_ in ["KubeRBACProxyAvailable", "Available"] {
        let condition = world.condition(name, type_, "False").await;
        let message = condition["message"].as_str().unwrap_or_default();
        assert!(
            message.contains("HostAlreadyClaimed") && message.contains("os-refused-https"),
            "{type_}: {message}"
        );
        assert_eq!(condition["reason"], "ResourcesUnavailable");
    }
    write("True", "").await;
    world.available(name).await;
}

#[tokio::test]
async fn the_members_of_the_group_survive_a_repair() {
    let world = world(Platform::OpenShift, "group").await;
    let name = "os-group";
    world.registry(name, postgres()).await;
    world.available(name).await;
    let groups = world.api(GROUP);
    let made = world.until(GROUP, "os-group-users", |_| true).await;
    assert_eq!(
        made.labels().get("modelregistry.opendatahub.io/namespace"),
        Some(&world.namespace)
    );
    let members = json!({"users": ["ann", "bob"]});
    groups
        .patch(
            "os-group-users",
            &PatchParams::default(),
            &Patch::Merge(&members),
        )
        .await
        .expect("members");
    let drift = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "drifted"}}});
    groups
        .patch(
            "os-group-users",
            &PatchParams::default(),
            &Patch::Merge(&drift),
        )
        .await
        .expect("drift");
    let repaired = world
        .until(GROUP, "os-group-users", |g| {
            g.labels()
                .get("app.kubernetes.io/managed-by")
                .is_some_and(|v| v == "model-registry-operator")
        })
        .await;
    assert_eq!(repaired.data["users"], members["users"]);
    assert_eq!(repaired.uid(), made.uid());

    world
        .api(MODEL_REGISTRY)
        .delete(name, &DeleteParams::default())
        .await
        .expect("deleted");
    cluster::gone(&groups, "os-group-users", COLLECTED)
        .await
        .expect("our own Group goes");
}

#[tokio::test]
async fn a_group_of_somebody_else_serves_as_it_is_and_stays() {
    let world = world(Platform::OpenShift, "foreign").await;
    let name = "os-foreign";
    world
        .apply(
            &json!({"apiVersion": "user.openshift.io/v1", "kind": "Group",
            "metadata": {"name": "os-foreign-users", "labels": {"theirs": "x"}}, "users": ["ann"]})
            .to_string(),
        )
        .await;
    let before = world.until(GROUP, "os-foreign-users", |_| true).await;
    world.registry(name, postgres()).await;
    let registry = world.available(name).await;
    assert!(
        !registry.data["status"]
            .to_string()
            .contains("os-foreign-users"),
        "it is no conflict"
    );
    let binding = world
        .until(ROLE_BINDING, "os-foreign-users", |_| true)
        .await;
    assert_eq!(binding.data["subjects"][0]["name"], "os-foreign-users");
    let same = async || {
        let now = world.until(GROUP, "os-foreign-users", |_| true).await;
        assert_eq!(
            now.resource_version(),
            before.resource_version(),
            "untouched"
        );
    };
    same().await;
    let registries = world.api(MODEL_REGISTRY);
    cluster::remove(&registries, name, &DeleteParams::default(), SOON)
        .await
        .expect("gone");
    same().await;
}

/// On clusters of their own: the platform itself changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_domain_of_the_cluster_is_followed_and_identities_may_come_from_elsewhere() {
    let own = INSTALLATION.alone(Platform::OpenShift).await;
    // Identities of another provider: no Group API.
    own.cluster
        .uninstall(StandIn::Group)
        .await
        .expect("removed");
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("domain").await);
    let name = "os-domain";
    world.registry(name, behind_proxy()).await;
    world.available(name).await;
    let binding = world.until(ROLE_BINDING, "os-domain-users", |_| true).await;
    assert_eq!(
        binding.data["subjects"][0],
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "os-domain-users"})
    );

    let uid = world.until(DEPLOYMENT, name, |_| true).await.uid();
    let ingress = api_of(&world.client, None, INGRESS_CONFIG);
    for (field, domain) in [
        ("domain", "moved.example.test"),
        ("appsDomain", "apps.of-the-admin.test"),
    ] {
        let change = json!({"spec": {field: domain}});
        ingress
            .patch("cluster", &PatchParams::default(), &Patch::Merge(&change))
            .await
            .expect("moved");
        let host = format!("{name}-rest.{domain}");
        world
            .until(ROUTE, "os-domain-https", |route| {
                route.data["spec"]["host"] == json!(host)
            })
            .await;
        world
            .until(SERVICE, name, |service| {
                service
                    .annotations()
                    .get("routing.opendatahub.io/external-address-rest")
                    == Some(&format!("{host}:443"))
            })
            .await;
        world
            .until(MODEL_REGISTRY, name, |registry| {
                registry.data["status"]["hosts"][0] == json!(host)
            })
            .await;
        world.available(name).await;
    }
    assert_eq!(world.until(DEPLOYMENT, name, |_| true).await.uid(), uid);
    assert!(
        !api_of(&world.client, None, GROUP)
            .list(&kube::api::ListParams::default())
            .await
            .is_ok_and(|l| !l.items.is_empty())
    );

    // The Group API appears: the group is made without a restart.
    own.cluster
        .install(StandIn::Group)
        .await
        .expect("installed");
    world.until(GROUP, "os-domain-users", |_| true).await;
    let registries = world.api(MODEL_REGISTRY);
    cluster::remove(&registries, name, &DeleteParams::default(), SOON)
        .await
        .expect("gone");
    operator.stop();
}
