//! Ways in from outside the cluster, and what stands in them.

use cluster::Platform;
use kube::ResourceExt;
use resources::kind::INGRESS;
use serde_json::json;

use crate::harness::{TRUSTYAI, files, world};

/// An object of somebody else is left alone, and is no reason for an outage.
#[tokio::test]
async fn a_way_that_is_somebody_elses_is_told_of_and_the_service_goes_on() {
    let world = world(Platform::Kubernetes, "ways").await;
    let backend = json!({"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}});
    world
        .apply(
            &json!({"apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
            "metadata": {"name": "taken"}, "spec": backend}),
        )
        .await;
    let mut spec = files();
    spec["expose"] = json!({"hosts": ["a.example.test"], "ingress": {}});
    world.service("taken", &spec).await;
    let told = world.condition("taken", "Exposed", "False").await;
    assert_eq!(told["reason"], "ObjectConflict");
    world.ready("taken").await;
    let left = world.until(INGRESS, "taken", |_| true).await;
    assert!(left.owner_references().is_empty(), "{left:?}");
    let delete = kube::api::DeleteParams::default();
    let ingresses = world.api(INGRESS);
    ingresses.delete("taken", &delete).await.expect("deleted");
    world.condition("taken", "Exposed", "True").await;
    let service = world.ready("taken").await;
    assert_eq!(service.data["status"]["url"], "http://a.example.test");
    let none = json!({"spec": {"expose": null}});
    world.edit(TRUSTYAI, "taken", none).await;
    let service = world.ready("taken").await;
    let mut conditions = cluster::conditions(&service.data);
    assert!(conditions.all(|condition| condition["type"] != "Exposed"));
}
