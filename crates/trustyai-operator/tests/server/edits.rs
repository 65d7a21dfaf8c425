//! Every edit of a running service reaches its pods, and every change of what it refers to.

use cluster::Platform;
use resources::kind::{
    CONFIG_MAP, DEPLOYMENT, INGRESS, PERSISTENT_VOLUME_CLAIM, POD_DISRUPTION_BUDGET, ROUTE,
    SERVICE_MONITOR,
};
use serde_json::{Value, json};

use crate::harness::{
    OPERATOR, SOON, TRUSTYAI, World, credentials, database, files, template, variable, world,
};

const INPUTS_HASH: &str = "/metadata/annotations/trustyai.opendatahub.io~1inputs-hash";

impl World {
    async fn edit_spec(&self, name: &str, spec: Value) {
        self.edit(TRUSTYAI, name, json!({ "spec": spec })).await;
    }

    async fn variable_becomes(&self, name: &str, variable_name: &str, value: &str) {
        self.until(DEPLOYMENT, name, |deployment| {
            variable(deployment, variable_name) == value
        })
        .await;
    }
}

#[tokio::test]
async fn every_field_of_the_spec_reaches_the_pods() {
    let world = world(Platform::Kubernetes, "edits").await;
    let name = "edited";
    world.service(name, &files()).await;
    world.ready(name).await;

    for (spec, found, value) in [
        (
            json!({"metrics": {"schedule": "9s"}}),
            "SERVICE_METRICS_SCHEDULE",
            "9s",
        ),
        (
            json!({"metrics": {"batchSize": 7}}),
            "SERVICE_BATCH_SIZE",
            "7",
        ),
        (
            json!({"metrics": null, "trustyaiMetrics": {"schedule": "8s"}}),
            "SERVICE_METRICS_SCHEDULE",
            "8s",
        ),
        (
            json!({"data": {"filename": "other.csv"}}),
            "STORAGE_DATA_FILENAME",
            "other.csv",
        ),
        (
            json!({"data": {"format": "BEAN"}}),
            "SERVICE_DATA_FORMAT",
            "BEAN",
        ),
        (
            json!({"storage": {"folder": "/other"}}),
            "STORAGE_DATA_FOLDER",
            "/other",
        ),
        (
            json!({"operand": {"env": [{"name": "MORE", "value": "x"}]}}),
            "MORE",
            "x",
        ),
    ] {
        world.edit_spec(name, spec).await;
        world.variable_becomes(name, found, value).await;
    }
    world.edit_spec(name, json!({"replicas": 0})).await;
    world
        .until(DEPLOYMENT, name, |d| d.data["spec"]["replicas"] == 0)
        .await;
    world
        .edit_spec(
            name,
            json!({"replicas": null, "resources": {"limits": {"memory": "1Gi"}}}),
        )
        .await;
    world
        .until(DEPLOYMENT, name, |d| {
            template(d, "/spec/containers/0/resources/limits/memory") == "1Gi"
        })
        .await;
    world
        .edit_spec(name, json!({"storage": {"size": "2Gi"}}))
        .await;
    world
        .until(PERSISTENT_VOLUME_CLAIM, "edited-pvc", |claim| {
            claim.data["spec"]["resources"]["requests"]["storage"] == "2Gi"
        })
        .await;
    let operand = json!({"operand": {"podDisruptionBudget": {"minAvailable": 1}}});
    world.edit_spec(name, operand).await;
    world.until(POD_DISRUPTION_BUDGET, name, |_| true).await;
    world
        .edit_spec(
            name,
            json!({"operand": {"podDisruptionBudget": {"minAvailable": 2}}}),
        )
        .await;
    world
        .until(POD_DISRUPTION_BUDGET, name, |b| {
            b.data["spec"]["minAvailable"] == 2
        })
        .await;
    world.edit_spec(name, json!({"operand": null})).await;
    gone(&world, POD_DISRUPTION_BUDGET, name).await;
    let ways = json!({"expose": {"hosts": ["a.example.test"], "ingress": {}}});
    world.edit_spec(name, ways).await;
    world.until(INGRESS, name, |_| true).await;
    world
        .edit_spec(name, json!({"expose": {"hosts": ["b.example.test"]}}))
        .await;
    world
        .until(INGRESS, name, |i| {
            i.data["spec"]["rules"][0]["host"] == "b.example.test"
        })
        .await;
    world.edit_spec(name, json!({"expose": null})).await;
    gone(&world, INGRESS, name).await;
    world.ready(name).await;
}

/// Waits until an object is gone.
pub(crate) async fn gone(world: &World, kind: resources::Kind, name: &str) {
    let api = world.api(kind);
    let gone = cluster::until(&api, name, SOON, |object| object.is_none());
    gone.await.expect("gone");
}

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
    world
        .edit_spec(
            name,
            json!({"storage": {"databaseConfigurations": "second"}}),
        )
        .await;
    world
        .until(DEPLOYMENT, name, |d| template(d, INPUTS_HASH) != &hash)
        .await;
    world.ready(name).await;
}

async fn hash(world: &World, name: &str) -> Value {
    let deployment = world.api(DEPLOYMENT).get(name).await.expect("a Deployment");
    template(&deployment, INPUTS_HASH).clone()
}

#[tokio::test]
async fn data_moves_to_the_database_and_the_claim_stays() {
    let world = world(Platform::OpenShift, "migration").await;
    let name = "moved";
    world.apply(&credentials("p")).await;
    world.service(name, &files()).await;
    world.ready(name).await;
    world.condition(name, "PVCAvailable", "True").await;
    world
        .edit(
            TRUSTYAI,
            name,
            json!({"metadata": {"annotations": {"trustyai.opendatahub.io/db-migration": "true"}},
        "spec": {"storage": {"format": "DATABASE", "databaseConfigurations": "db"}}}),
        )
        .await;
    world
        .variable_becomes(name, "DATABASE_ATTEMPT_MIGRATION", "true")
        .await;
    world.condition(name, "MigrationCompleted", "True").await;
    world.ready(name).await;
    world
        .edit_spec(name, json!({"storage": {"folder": null}}))
        .await;
    world
        .until(DEPLOYMENT, name, |d| {
            variable(d, "DATABASE_ATTEMPT_MIGRATION").is_null()
        })
        .await;
    let service = world.ready(name).await;
    for condition in cluster::conditions(&service.data) {
        assert_ne!(condition["type"], "PVCAvailable", "of the other mode");
        assert_ne!(condition["type"], "MigrationCompleted");
    }
    let claim = world.api(PERSISTENT_VOLUME_CLAIM).get("moved-pvc").await;
    assert!(
        claim
            .expect("it stays")
            .metadata
            .deletion_timestamp
            .is_none()
    );
}

#[tokio::test]
async fn the_route_and_the_monitor_follow_the_resource_on_openshift() {
    let world = world(Platform::OpenShift, "ways").await;
    let name = "ways";
    world.service(name, &files()).await;
    let service = world.ready(name).await;
    let url = service.data["status"]["url"].as_str().expect("an address");
    assert!(url.ends_with("apps.example.test"), "{url}");
    world
        .edit_spec(name, json!({"serviceMonitoring": {"interval": "30s"}}))
        .await;
    world
        .until(SERVICE_MONITOR, name, |m| {
            m.data["spec"]["endpoints"][0]["interval"] == "30s"
        })
        .await;
    world
        .edit_spec(
            name,
            json!({"serviceMonitoring": {"ref": {"spec": {"endpoints": [{"path": "/other"}]}}}}),
        )
        .await;
    world
        .until(SERVICE_MONITOR, name, |m| {
            m.data["spec"]["endpoints"][0]["path"] == "/other"
        })
        .await;
    world
        .edit_spec(
            name,
            json!({"serviceMonitoring": {"enabled": false, "interval": null, "ref": null}}),
        )
        .await;
    gone(&world, SERVICE_MONITOR, name).await;
    world
        .edit_spec(name, json!({"serviceRoute": "disabled"}))
        .await;
    gone(&world, ROUTE, name).await;
    let service = world.ready(name).await;
    let mut conditions = cluster::conditions(&service.data);
    assert!(conditions.all(|condition| condition["type"] != "RouteAvailable"));
}

#[tokio::test]
async fn the_installations_images_are_followed() {
    // The ConfigMap is the installation's: no other test depends on what is in it.
    let world = world(Platform::OpenShift, "images").await;
    let name = "images";
    world.service(name, &files()).await;
    world.ready(name).await;
    let maps = cluster::api_of(&world.client, Some(OPERATOR.0), CONFIG_MAP);
    let patch =
        |image: &str| kube::api::Patch::Merge(json!({"data": {"trustyaiServiceImage": image}}));
    let image = "quay.io/trustyai/trustyai-service:latest";
    for image in ["registry.example.test/other:1", image] {
        maps.patch(
            "trustyai-service-operator-config",
            &kube::api::PatchParams::default(),
            &patch(image),
        )
        .await
        .expect("edited");
        world
            .until(DEPLOYMENT, name, |d| {
                template(d, "/spec/containers/0/image") == image
            })
            .await;
    }
}
