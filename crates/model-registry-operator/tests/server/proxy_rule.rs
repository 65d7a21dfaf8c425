//! For each HTTP method and each build of the proxy: the question that it would ask of the API
//! server, asked, for a user with and without access.

use cluster::Platform;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};
use resources::kind;
use serde_json::{Value, json};

use crate::harness::{World, behind_proxy, world};

/// How a build of kube-rbac-proxy reads `authorization.resourceAttributes`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Build {
    /// Open Data Hub's: the verb of the configuration, if there is one.
    OpenDataHub,
    /// The public ones: always the verb of the HTTP method.
    Public,
}

pub(crate) const METHODS: &[(&str, &str)] = &[
    ("GET", "get"),
    ("HEAD", "get"),
    ("POST", "create"),
    ("PUT", "update"),
    ("PATCH", "patch"),
    ("DELETE", "delete"),
];

/// The question that a build asks for a method, by the configuration that the pod mounts.
pub(crate) fn question(build: Build, verb_of_method: &str, config: &Value) -> ResourceAttributes {
    let rule = &config["authorization"]["resourceAttributes"];
    let text = |key: &str| rule[key].as_str().map(ToOwned::to_owned);
    let verb = match build {
        Build::OpenDataHub => text("verb").unwrap_or_else(|| verb_of_method.to_owned()),
        Build::Public => verb_of_method.to_owned(),
    };
    ResourceAttributes {
        verb: Some(verb),
        group: text("apiGroup"),
        version: text("apiVersion"),
        resource: text("resource"),
        subresource: text("subresource"),
        namespace: text("namespace"),
        name: text("name"),
        ..ResourceAttributes::default()
    }
}

async fn allowed(world: &World, user: &str, attributes: ResourceAttributes) -> bool {
    allowed_in(world, user, &[], attributes).await
}

/// Whether somebody in these groups may.
pub(crate) async fn allowed_in(
    world: &World,
    user: &str,
    groups: &[&str],
    attributes: ResourceAttributes,
) -> bool {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            groups: Some(groups.iter().map(|group| (*group).to_owned()).collect()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let api: Api<SubjectAccessReview> = Api::all(world.client.clone());
    api.create(&PostParams::default(), &review)
        .await
        .expect("an answer")
        .status
        .is_some_and(|s| s.allowed)
}

pub(crate) async fn config_of(world: &World, name: &str) -> Value {
    let config = world
        .until(
            kind::CONFIG_MAP,
            &format!("{name}-kube-rbac-proxy-config"),
            |_| true,
        )
        .await;
    let text = config.data["data"]["config-file.yaml"]
        .as_str()
        .expect("the file")
        .to_owned();
    serde_saphyr::from_str(&text).expect("YAML")
}

async fn bind(world: &World, name: &str, role: &str, user: &str) {
    world
        .apply(&json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]}).to_string())
        .await;
}

#[tokio::test]
async fn with_the_default_rule_the_role_opens_every_method_on_the_default_build() {
    let world = world(Platform::Kubernetes, "rule-get").await;
    world.registry("rule-get", behind_proxy()).await;
    world.available("rule-get").await;
    bind(&world, "people-made", "registry-user-rule-get", "ann").await;
    let config = config_of(&world, "rule-get").await;
    for (method, verb) in METHODS {
        let asks = |build| question(build, verb, &config);
        assert!(
            allowed(&world, "ann", asks(Build::OpenDataHub)).await,
            "{method}"
        );
        assert!(
            !allowed(&world, "bob", asks(Build::OpenDataHub)).await,
            "{method}"
        );
        assert!(
            !allowed(&world, "bob", asks(Build::Public)).await,
            "{method}"
        );
        // What the public builds make of it: reading only. Hence the other default image.
        assert_eq!(
            allowed(&world, "ann", asks(Build::Public)).await,
            *verb == "get",
            "{method}"
        );
    }
    let role = world
        .until(kind::ROLE, "registry-user-rule-get", |_| true)
        .await;
    assert_eq!(
        role.data["rules"].as_array().map(Vec::len),
        Some(2),
        "one more rule breaks every grant"
    );
}

#[tokio::test]
async fn by_method_the_role_opens_every_method_on_every_build_and_viewers_read() {
    let world = world(Platform::Kubernetes, "rule-method").await;
    let mut spec = behind_proxy();
    spec["kubeRBACProxy"] = json!({"authorization": "ByMethod"});
    world.registry("rule-method", spec).await;
    world.available("rule-method").await;
    bind(&world, "people-made", "registry-user-rule-method", "ann").await;
    bind(&world, "viewers", "registry-viewer-rule-method", "vera").await;
    let config = config_of(&world, "rule-method").await;
    let mirrored = question(Build::Public, "create", &config);
    cluster::eventually(
        "the binding is mirrored",
        operator_harness::SOON,
        || async {
            if allowed(&world, "ann", mirrored.clone()).await {
                Ok(())
            } else {
                Err("not yet".to_owned())
            }
        },
    )
    .await
    .expect("mirrored");
    for build in [Build::OpenDataHub, Build::Public] {
        for (method, verb) in METHODS {
            let asks = question(build, verb, &config);
            assert!(
                allowed(&world, "ann", asks.clone()).await,
                "{build:?} {method}"
            );
            assert!(
                !allowed(&world, "bob", asks.clone()).await,
                "{build:?} {method}"
            );
            assert_eq!(
                allowed(&world, "vera", asks).await,
                *verb == "get",
                "{build:?} {method}"
            );
        }
    }
    let role = world
        .until(kind::ROLE, "registry-user-rule-method", |_| true)
        .await;
    assert_eq!(role.data["rules"].as_array().map(Vec::len), Some(2));
}
