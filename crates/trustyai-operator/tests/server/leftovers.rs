//! Nothing is left when a service goes, however it goes.

use cluster::Platform;
use kube::ResourceExt;
use kube::api::DeleteParams;
use resources::kind::PERSISTENT_VOLUME_CLAIM;

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

#[tokio::test]
async fn a_namespace_with_a_service_goes() {
    let world = world(Platform::Kubernetes, "namespace").await;
    world.service("whole", &files()).await;
    world.ready("whole").await;
    let kubectl = ["delete", "namespace", &world.namespace, "--timeout=120s"];
    world.cluster.kubectl(&kubectl).await.expect("gone");
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
