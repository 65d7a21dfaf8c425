//! Where the data is: claims and volumes, and the way from files to a database.

use cluster::Platform;
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject};
use resources::kind::{DEPLOYMENT, PERSISTENT_VOLUME_CLAIM};
use serde_json::{Value, json};

use crate::harness::{COLLECTED, TRUSTYAI, World, credentials, files, template, variable, world};

/// [`files`], with these fields of the storage too.
fn stored(more: &Value) -> Value {
    let mut spec = files();
    json_patch::merge(&mut spec["storage"], more);
    spec
}

fn size(claim: &DynamicObject) -> &Value {
    &claim.data["spec"]["resources"]["requests"]["storage"]
}

/// A volume of this class that nobody provisions. Its name has the namespace in it: it is in none.
async fn volume(world: &World, name: &str, class: &str) -> String {
    let name = format!("{name}-{}", world.namespace);
    world
        .apply(
            &json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
                "storageClassName": class, "hostPath": {"path": "/var/tmp/data"}}}),
        )
        .await;
    name
}

async fn claim(world: &World, name: &str) -> DynamicObject {
    let found = world.api(PERSISTENT_VOLUME_CLAIM).get(name).await;
    found.expect("the claim")
}

async fn edit(world: &World, name: &str, storage: Value) {
    let patch = json!({"spec": {"storage": storage}});
    world.edit(TRUSTYAI, name, patch).await;
}

/// Waits until the status warns of these fields.
async fn warned(world: &World, name: &str, fields: &[&str]) {
    let told = world.condition(name, "SpecWarnings", "True").await;
    let message = told["message"].as_str().unwrap_or_default();
    for field in fields {
        assert!(message.contains(field), "{field} is not in {message}");
    }
}

#[tokio::test]
async fn a_volume_grows_and_never_shrinks() {
    let world = world(Platform::Kubernetes, "size").await;
    world.service("grows", &files()).await;
    world.ready("grows").await;
    let before = claim(&world, "grows-pvc").await;
    edit(&world, "grows", json!({"size": "2Gi"})).await;
    let grown = world
        .until(PERSISTENT_VOLUME_CLAIM, "grows-pvc", |c| size(c) == "2Gi")
        .await;
    assert_eq!(grown.uid(), before.uid());
    world.ready("grows").await;
    edit(&world, "grows", json!({"size": "1Gi"})).await;
    warned(&world, "grows", &["spec.storage.size 1Gi"]).await;
    assert_eq!(size(&claim(&world, "grows-pvc").await), "2Gi");
    world.ready("grows").await;
}

/// The service goes on with the volume that it has.
#[tokio::test]
async fn a_volume_that_cannot_grow_is_told_of() {
    let world = world(Platform::Kubernetes, "fixed").await;
    let volume = volume(&world, "fixed", "").await;
    world
        .service("fixed", &stored(&json!({"pv": volume})))
        .await;
    world.ready("fixed").await;
    // Admission refuses it, in the words that a missing right has, too.
    let refused = ["patch persistentvolumeclaims"];
    world.cluster.expect_refusals(&refused).expect("noted");
    edit(&world, "fixed", json!({"size": "2Gi"})).await;
    warned(&world, "fixed", &["the claim stays as it is"]).await;
    world.ready("fixed").await;
    assert_eq!(size(&claim(&world, "fixed-pvc").await), "1Gi");
}

#[tokio::test]
async fn a_volume_that_is_there_is_bound_by_its_name() {
    let world = world(Platform::Kubernetes, "volume").await;
    let first = volume(&world, "first", "slow").await;
    world.service("first", &stored(&json!({"pv": first}))).await;
    world.ready("first").await;
    let claim = claim(&world, "first-pvc").await;
    assert_eq!(claim.data["spec"]["volumeName"], first.as_str());
    assert_eq!(claim.data["spec"]["storageClassName"], "slow");
    world.condition("first", "PVAvailable", "True").await;
    world.condition("first", "StorageReady", "True").await;

    // One that appears later is bound when it does.
    let name = format!("later-{}", world.namespace);
    world.service("later", &stored(&json!({"pv": name}))).await;
    let missing = world.condition("later", "PVAvailable", "False").await;
    assert_eq!(missing["reason"], "PVNotFound");
    world.condition("later", "Ready", "False").await;
    volume(&world, "later", "").await;
    world.condition("later", "PVAvailable", "True").await;
    world.ready("later").await;
}

#[tokio::test]
async fn what_a_claim_is_made_with_is_chosen_once() {
    let world = world(Platform::Kubernetes, "chosen").await;
    let storage = json!({"storageClassName": "simulated", "accessModes": ["ReadWriteMany"]});
    let mut spec = stored(&storage);
    spec["replicas"] = 2.into();
    world.service("chosen", &spec).await;
    let service = world.ready("chosen").await;
    assert_eq!(service.data["status"]["readyReplicas"], 2, "many may write");
    let before = claim(&world, "chosen-pvc").await;
    for (field, value) in storage.as_object().expect("fields") {
        assert_eq!(&before.data["spec"][field], value);
    }
    let other = json!({"storageClassName": "other", "accessModes": ["ReadWriteOnce"]});
    edit(&world, "chosen", other).await;
    let fields = ["accessModes ReadWriteMany", "storageClassName simulated"];
    warned(&world, "chosen", &fields).await;
    let after = claim(&world, "chosen-pvc").await;
    assert_eq!(
        (after.uid(), &after.data["spec"]),
        (before.uid(), &before.data["spec"])
    );
    world.ready("chosen").await;
}

/// One that was there before, by the name that the service would give it.
#[tokio::test]
async fn a_claim_that_somebody_prepared_is_used_as_it_is() {
    let world = world(Platform::Kubernetes, "prepared").await;
    let spec =
        json!({"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "3Gi"}}});
    world
        .apply(&json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": "prepared-pvc"}, "spec": spec}))
        .await;
    let before = world
        .until(PERSISTENT_VOLUME_CLAIM, "prepared-pvc", |claim| {
            claim.data["status"]["phase"] == "Bound"
        })
        .await;
    world.service("prepared", &files()).await;
    world.ready("prepared").await;
    let after = claim(&world, "prepared-pvc").await;
    assert_eq!(after.data["spec"], before.data["spec"]);
    assert!(after.owner_references().is_empty());
    assert!(after.labels().is_empty(), "{:?}", after.labels());
}

#[tokio::test]
async fn somebody_elses_claim_is_used_and_stays() {
    let world = world(Platform::Kubernetes, "theirs").await;
    let prepared = |name: &str| {
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
    };
    let mounted = |deployment: &DynamicObject| {
        let volumes = template(deployment, "/spec/volumes").as_array().cloned();
        let mut all = volumes.into_iter().flatten();
        let data = all.find(|volume| volume["name"] == "volume");
        data.map(|volume| volume["persistentVolumeClaim"]["claimName"].clone())
    };
    let mut spec = stored(&json!({"existingClaim": "one"}));
    spec["storage"]
        .as_object_mut()
        .expect("storage")
        .remove("size");
    world.service("user", &spec).await;
    let missing = world.condition("user", "PVCAvailable", "False").await;
    let message = missing["message"].as_str().unwrap_or_default();
    assert!(message.contains("spec.storage.existingClaim"), "{message}");
    world.apply(&prepared("one")).await;
    world.ready("user").await;
    world.apply(&prepared("two")).await;
    edit(&world, "user", json!({"existingClaim": "two"})).await;
    world
        .until(DEPLOYMENT, "user", |d| mounted(d) == Some("two".into()))
        .await;
    world.ready("user").await;
    let params = DeleteParams::foreground();
    let services = world.api(TRUSTYAI);
    cluster::remove(&services, "user", &params, COLLECTED)
        .await
        .expect("gone");
    for name in ["one", "two"] {
        let left = claim(&world, name).await;
        assert!(left.metadata.deletion_timestamp.is_none(), "{name}");
        assert!(left.owner_references().is_empty(), "{name}");
    }
    let made = world.api(PERSISTENT_VOLUME_CLAIM).get_opt("user-pvc").await;
    assert!(made.expect("an answer").is_none());
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
        .until(DEPLOYMENT, name, |d| {
            variable(d, "DATABASE_ATTEMPT_MIGRATION") == "true"
        })
        .await;
    world.condition(name, "MigrationCompleted", "True").await;
    world.ready(name).await;
    edit(&world, name, json!({"folder": null})).await;
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
