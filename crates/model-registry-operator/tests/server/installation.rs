//! The manifests: valid, sufficient, and no more than that.

use cluster::Platform;
use operator_harness::{accepted, root};
use serde_json::Value;

use crate::harness::{MODEL_REGISTRY, OPERATOR, behind_proxy, world};

#[tokio::test]
async fn the_manifests_are_accepted_by_the_server_with_pod_security_restricted() {
    let world = world(Platform::Kubernetes, "manifests").await;
    let folder = root().join("config/model-registry-operator/default");
    let printed = accepted(world.cluster, &folder).await;
    for expected in [
        "deployment.apps/",
        "clusterrole.rbac.authorization.k8s.io/",
        "networkpolicy.networking.k8s.io/",
        "customresourcedefinition",
    ] {
        assert!(printed.contains(expected), "{expected} in {printed}");
    }
    // The namespace enforces the strictest level, and the operator's own pod passes it.
    let namespace: Value = serde_json::from_str(
        &world
            .cluster
            .kubectl(&["get", "namespace", OPERATOR.0, "-o", "json"])
            .await
            .expect("the namespace"),
    )
    .expect("JSON");
    assert_eq!(
        namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
        "restricted"
    );
    cluster::available(
        &world.client,
        OPERATOR.0,
        OPERATOR.1,
        operator_harness::SOON,
    )
    .await
    .expect("its pods are admitted");
}

#[tokio::test]
async fn nothing_is_forbidden_to_the_operator_on_kubernetes() {
    nothing_is_forbidden(Platform::Kubernetes).await;
}

#[tokio::test]
async fn nothing_is_forbidden_to_the_operator_on_openshift() {
    nothing_is_forbidden(Platform::OpenShift).await;
}

/// What other tests have asked of the operator so far counts, too: the log is the cluster's.
async fn nothing_is_forbidden(platform: Platform) {
    let world = world(platform, "forbidden").await;
    world.registry("forbidden", behind_proxy()).await;
    world.available("forbidden").await;
    world
        .api(MODEL_REGISTRY)
        .delete("forbidden", &kube::api::DeleteParams::default())
        .await
        .expect("deleted");
    cluster::gone(
        &kube::Api::<api::modelregistry::v1beta1::ModelRegistry>::namespaced(
            world.client.clone(),
            &world.namespace,
        ),
        "forbidden",
        operator_harness::SOON,
    )
    .await
    .expect("gone");
    let log = world.cluster.audit().await.expect("the audit log");
    let forbidden: Vec<String> = log
        .by_service_account(OPERATOR.0, OPERATOR.1)
        .into_iter()
        .filter(|record| record.code == 403)
        .map(|record| format!("{} {} {}", record.verb, record.uri, record.name))
        .collect();
    assert_eq!(forbidden, Vec::<String>::new());
}
