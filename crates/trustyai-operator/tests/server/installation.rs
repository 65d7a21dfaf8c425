//! The manifests: valid, sufficient, and no more than that.

use cluster::Platform;
use operator_harness::accepted;

use crate::harness::{OPERATOR, SOON, files, root, world};

#[tokio::test]
async fn the_manifests_are_accepted_by_the_server_with_pod_security_restricted() {
    let world = world(Platform::Kubernetes, "manifests").await;
    for overlay in ["default", "overlays/webhook"] {
        let folder = root().join("config/trustyai-operator").join(overlay);
        let printed = accepted(world.cluster, &folder).await;
        for expected in [
            "deployment.apps/",
            "customresourcedefinition",
            "networkpolicy",
        ] {
            assert!(printed.contains(expected), "{expected} in {printed}");
        }
    }
    cluster::available(&world.client, OPERATOR.0, OPERATOR.1, SOON)
        .await
        .expect("its pods are admitted");
}

#[tokio::test]
async fn pods_of_a_service_meet_the_restricted_profile() {
    let world = world(Platform::Kubernetes, "restricted").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    world
        .cluster
        .kubectl(&["label", "namespace", &world.namespace, label])
        .await
        .expect("labelled");
    world.service("restricted", &files()).await;
    world.ready("restricted").await;
}

#[tokio::test]
async fn the_old_version_is_served_without_a_webhook() {
    let world = world(Platform::Kubernetes, "old-version").await;
    // In the old version, as some write it.
    let document = serde_json::json!({"apiVersion": "trustyai.opendatahub.io/v1alpha1",
        "kind": "TrustyAIService", "metadata": {"name": "old"}, "spec": files()});
    world.apply(&document).await;
    world.ready("old").await;
    let old = world
        .cluster
        .kubectl(&[
            "get",
            "trustyaiservices.v1alpha1.trustyai.opendatahub.io",
            "old",
            "-n",
            &world.namespace,
            "-o",
            "jsonpath={.status.phase}",
        ])
        .await
        .expect("the old version");
    assert_eq!(old, "Ready");
}
