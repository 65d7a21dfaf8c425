//! Nothing is left when a service goes, however it goes.

use cluster::Platform;
use kube::ResourceExt;
use kube::api::DeleteParams;
use resources::kind::{CLUSTER_ROLE_BINDING, PERSISTENT_VOLUME_CLAIM};

use crate::harness::{COLLECTED, TRUSTYAI, files, world};

async fn deletion(platform: Platform, name: &str, params: DeleteParams) {
    let world = world(platform, "deletion").await;
    world.service(name, &files()).await;
    world.ready(name).await;
    let before = world.traces(name).await;
    assert!(
        before.len() > 8,
        "the search finds what is there: {before:?}"
    );
    let service = world.api(TRUSTYAI);
    service.delete(name, &params).await.expect("deleted");
    world.nothing_left(name).await;
}

#[tokio::test]
async fn nothing_is_left_in_the_background_on_kubernetes() {
    deletion(
        Platform::Kubernetes,
        "background",
        DeleteParams::background(),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_left_in_the_foreground_on_kubernetes() {
    deletion(
        Platform::Kubernetes,
        "foreground",
        DeleteParams::foreground(),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_left_in_the_background_on_openshift() {
    deletion(
        Platform::OpenShift,
        "background-os",
        DeleteParams::background(),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_left_in_the_foreground_on_openshift() {
    deletion(
        Platform::OpenShift,
        "foreground-os",
        DeleteParams::foreground(),
    )
    .await;
}

/// With its namespace, in both ways.
async fn with_namespace(platform: Platform) {
    let both = ["background", "foreground"].map(|way| async move {
        let world = world(platform, "namespace").await;
        world.service("whole", &files()).await;
        world.ready("whole").await;
        let cascade = format!("--cascade={way}");
        let kubectl = [
            "delete",
            "namespace",
            &world.namespace,
            &cascade,
            "--timeout=120s",
        ];
        world.cluster.kubectl(&kubectl).await.expect("gone");
        let binding = format!("whole-{}-proxy-rolebinding", world.namespace);
        let left = world.api(CLUSTER_ROLE_BINDING).get_opt(&binding).await;
        assert!(left.expect("an answer").is_none(), "{binding}");
    });
    futures::future::join_all(both).await;
}

#[tokio::test]
async fn a_namespace_with_a_service_goes_on_kubernetes() {
    with_namespace(Platform::Kubernetes).await;
}

#[tokio::test]
async fn a_namespace_with_a_service_goes_on_openshift() {
    with_namespace(Platform::OpenShift).await;
}

#[tokio::test]
async fn data_stays_where_the_resource_says_so_and_is_used_again() {
    let world = world(Platform::Kubernetes, "retain").await;
    let mut spec = files();
    spec["deletionPolicy"] = "Retain".into();
    world.service("kept", &spec).await;
    world.ready("kept").await;
    let claims = world.api(PERSISTENT_VOLUME_CLAIM);
    let before = claims.get("kept-pvc").await.expect("the claim");
    let services = world.api(TRUSTYAI);
    cluster::remove(&services, "kept", &DeleteParams::foreground(), COLLECTED)
        .await
        .expect("gone");
    let after = claims.get("kept-pvc").await.expect("it stays");
    assert_eq!(
        (after.uid(), after.metadata.deletion_timestamp),
        (before.uid(), None)
    );
    world.service("kept", &files()).await;
    world.ready("kept").await;
    let owned = world
        .until(PERSISTENT_VOLUME_CLAIM, "kept-pvc", |claim| {
            !claim.owner_references().is_empty()
        })
        .await;
    assert_eq!(owned.uid(), before.uid(), "the same volume");
}
