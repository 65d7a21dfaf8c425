//! Nothing is left when a service goes, however it goes.

use cluster::{Platform, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams};
use resources::kind::PERSISTENT_VOLUME_CLAIM;

use crate::harness::{COLLECTED, TRUSTYAI, World, files, world};

/// Every object in the cluster that speaks of the service, by its labels, owner or name, except
/// Events. Every listable resource type is looked at.
async fn traces(world: &World, name: &str) -> Vec<String> {
    let discovery = kube::Discovery::new(world.client.clone());
    let discovery = discovery.run_aggregated().await.expect("discovery");
    let mut found = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            if !capabilities.supports_operation("list") || resource.kind == "Event" {
                continue;
            }
            let api = kube::Api::<DynamicObject>::all_with(world.client.clone(), &resource);
            // An API that went meanwhile has nothing.
            let Ok(list) = api.list(&ListParams::default()).await else {
                continue;
            };
            for object in list {
                let here = object.namespace().is_none_or(|of| of == world.namespace);
                let owned = object
                    .owner_references()
                    .iter()
                    .any(|owner| owner.kind == "TrustyAIService" && owner.name == name);
                if here && (owned || object.name_any().contains(name)) {
                    found.push(format!("{} {}", resource.kind, object.name_any()));
                }
            }
        }
    }
    found.sort();
    found
}

/// Waits until no trace of the service is left.
pub(crate) async fn nothing_left(world: &World, name: &str) {
    eventually(&format!("nothing left of {name}"), COLLECTED, || async {
        let left = traces(world, name).await;
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    })
    .await
    .expect("nothing left");
}

async fn deletion(platform: Platform, name: &str, params: DeleteParams) {
    let world = world(platform, "deletion").await;
    world.service(name, &files()).await;
    world.ready(name).await;
    let before = traces(&world, name).await;
    assert!(
        before.len() > 8,
        "the search finds what is there: {before:?}"
    );
    let service = world.api(TRUSTYAI);
    service.delete(name, &params).await.expect("deleted");
    nothing_left(&world, name).await;
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
