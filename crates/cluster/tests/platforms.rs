//! Plain Kubernetes has no API of the stand-in until one is installed.
#![cfg(test)]

use std::time::Duration;

use cluster::{Platform, StandIn, apply_yaml, eventually, shared};
use kube::{core::GroupVersionKind, discovery};

#[tokio::test]
async fn apis_come_and_go() {
    let cluster = shared(Platform::Kubernetes).unwrap();
    let client = cluster.client().unwrap();
    let route = "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r}, spec: {}}";
    // `apply_yaml` waits for a kind that is new; discovery says what is there.
    let kind = GroupVersionKind::gvk("gateway.networking.k8s.io", "v1", "HTTPRoute");
    discovery::pinned_kind(&client, &kind).await.unwrap_err();
    cluster.install(StandIn::HttpRoute).await.unwrap();
    apply_yaml(&client, "default", route).await.unwrap();
    cluster.uninstall(StandIn::HttpRoute).await.unwrap();
    eventually("the API to be gone", Duration::from_secs(20), || async {
        match discovery::pinned_kind(&client, &kind).await {
            Ok(_) => Err("still there".to_owned()),
            Err(_) => Ok(()),
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn every_api_of_the_stand_in_installs() {
    let cluster = shared(Platform::Kubernetes).unwrap();
    for api in StandIn::OPENSHIFT.into_iter().chain([
        StandIn::BackendTlsPolicyAlpha,
        StandIn::BackendTlsPolicy,
        StandIn::Certificate,
    ]) {
        assert!(api.crd().contains(&format!("name: {}\n", api.name())));
        if api != StandIn::HttpRoute {
            cluster.install(api).await.unwrap();
        }
    }
}
