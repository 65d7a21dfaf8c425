//! Every change of what a service refers to reaches its pods.

use cluster::Platform;
use kube::api::DeleteParams;
use resources::kind::{CONFIG_MAP, DEPLOYMENT, SECRET};
use serde_json::{Value, json};

use crate::harness::{
    INSTALLATION, OPERATOR, TRUSTYAI, World, credentials, database, files, start, template,
    variable, world,
};

const INPUTS_HASH: &str = "/metadata/annotations/trustyai.opendatahub.io~1inputs-hash";
const CERTIFICATE_HASH: &str = "/metadata/annotations/trustyai.opendatahub.io~1certificate-hash";

#[tokio::test]
async fn what_a_service_refers_to_reaches_its_pods() {
    let world = world(Platform::Kubernetes, "rotation").await;
    let name = "rotated";
    world.service(name, &database()).await;
    let missing = world.condition(name, "DBAvailable", "False").await;
    assert_eq!(missing["reason"], "DBCredentialsNotFound");
    let mut partial = credentials("one");
    partial["stringData"]
        .as_object_mut()
        .expect("data")
        .remove("databaseName");
    world.apply(&partial).await;
    let partial = world.condition(name, "DBAvailable", "False").await;
    assert!(
        partial["message"]
            .as_str()
            .is_some_and(|m| m.contains("databaseName") || m.contains("not found"))
    );
    world.apply(&credentials("one")).await;
    world.ready(name).await;
    world.condition(name, "DBAvailable", "True").await;

    let mut hash = hash(&world, name).await;
    let bundle = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
        "name": "odh-trusted-ca-bundle", "labels": {"config.openshift.io/inject-trusted-cabundle": "true"}},
        "data": {"ca-bundle.crt": "x"}});
    let mut other = bundle.clone();
    other["data"]["ca-bundle.crt"] = "y".into();
    let authority = |text: &str| {
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "rotated-db-ca"},
            "stringData": {"ca.crt": pem}})
    };
    for (what, document) in [
        ("another password", credentials("two")),
        ("authorities of the cluster", bundle),
        ("other authorities", other),
        ("the authority of the database", authority("YQ==")),
        ("another authority", authority("Yg==")),
    ] {
        world.apply(&document).await;
        let changed = world
            .until(DEPLOYMENT, name, |d| template(d, INPUTS_HASH) != &hash)
            .await;
        println!("{what}");
        hash = template(&changed, INPUTS_HASH).clone();
    }
    let url = "QUARKUS_DATASOURCE_JDBC_URL";
    let deployment = world.api(DEPLOYMENT).get(name).await.expect("a Deployment");
    assert!(
        variable(&deployment, url)
            .as_str()
            .is_some_and(|u| u.contains("requireSSL"))
    );
    // Another Secret.
    let mut second = credentials("three");
    second["metadata"]["name"] = "second".into();
    world.apply(&second).await;
    let named = json!({"spec": {"storage": {"databaseConfigurations": "second"}}});
    world.edit(TRUSTYAI, name, named).await;
    world
        .until(DEPLOYMENT, name, |d| template(d, INPUTS_HASH) != &hash)
        .await;
    world.ready(name).await;
}

async fn hash(world: &World, name: &str) -> Value {
    let deployment = world.api(DEPLOYMENT).get(name).await.expect("a Deployment");
    template(&deployment, INPUTS_HASH).clone()
}

/// The service reads its certificate once, when it starts.
#[tokio::test]
async fn another_certificate_rolls_the_pods() {
    for platform in [Platform::OpenShift, Platform::Kubernetes] {
        let world = world(platform, "certificate").await;
        world.service("certified", &files()).await;
        world.ready("certified").await;
        let secrets = world.api(SECRET);
        let before = secrets.get("certified-internal").await.expect("a Secret");
        match platform {
            // Its service CA writes the same Secret again.
            Platform::OpenShift => {
                let other = json!({"data": {"tls.crt": "YQ=="}});
                world.edit(SECRET, "certified-internal", other).await;
            }
            Platform::Kubernetes => {
                let params = DeleteParams::default();
                let deleted = secrets.delete("certified-internal", &params).await;
                deleted.expect("deleted");
                world
                    .until(SECRET, "certified-internal", |now| {
                        now.metadata.uid != before.metadata.uid
                    })
                    .await;
            }
        }
        world
            .until(DEPLOYMENT, "certified", |d| {
                template(d, CERTIFICATE_HASH).is_string()
            })
            .await;
        world.ready("certified").await;
    }
}

/// The ConfigMap is the installation's, so the cluster is the test's own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_installations_images_are_followed() {
    let site = INSTALLATION.alone(Platform::OpenShift).await;
    let operator = start(&site.kubeconfig);
    let world = World(site.world("images").await);
    let name = "images";
    world.service(name, &files()).await;
    world.ready(name).await;
    let maps = cluster::api_of(&world.client, Some(OPERATOR.0), CONFIG_MAP);
    let config = "trustyai-service-operator-config";
    let before = maps.get(config).await.expect("the ConfigMap").data["data"].clone();
    for (container, key) in [(0, "trustyaiServiceImage"), (1, "kube-rbac-proxy")] {
        let first = before[key].as_str().expect("an image");
        for image in ["registry.example.test/other:1", first] {
            let patch = kube::api::Patch::Merge(json!({"data": {key: image}}));
            let params = kube::api::PatchParams::default();
            maps.patch(config, &params, &patch).await.expect("edited");
            let pointer = format!("/spec/containers/{container}/image");
            world
                .until(DEPLOYMENT, name, |d| template(d, &pointer) == image)
                .await;
        }
    }
    world.ready(name).await;
    operator.stop();
}
