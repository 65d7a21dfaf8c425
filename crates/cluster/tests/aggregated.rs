//! An API behind an `APIService`: written, watched, collected as garbage, gone.
#![cfg(test)]

use std::time::Duration;

use cluster::{AggregatedApi, Platform, apply_yaml, eventually, gone, shared};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{GroupVersionKind, PartialObjectMeta};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Discovery};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
async fn an_aggregated_api_comes_serves_and_goes() {
    let cluster = shared(Platform::Kubernetes).unwrap();
    let (client, namespace) = (
        cluster.client().unwrap(),
        cluster.namespace("aggregated").await.unwrap(),
    );
    let has_routes = || async {
        let discovery = Discovery::new(client.clone())
            .run()
            .await
            .map_err(|error| error.to_string())?;
        Ok::<_, String>(discovery.has_group("route.openshift.io"))
    };
    assert!(!has_routes().await.unwrap());
    let served = cluster
        .serve_aggregated(AggregatedApi::ROUTE)
        .await
        .unwrap();
    assert!(has_routes().await.unwrap());

    // Written, by apply and by status.
    let route = "{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: r, labels: {a: b}}, spec: {host: h}}";
    let applied = apply_yaml(&client, &namespace, route).await.unwrap();
    let again = apply_yaml(&client, &namespace, route).await.unwrap();
    assert_eq!(
        applied[0].metadata.resource_version,
        again[0].metadata.resource_version
    );
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("route.openshift.io", "v1", "Route"));
    let api = Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource);
    let status = json!({"status": {"ingress": []}});
    let patched = api
        .patch_status("r", &PatchParams::default(), &Patch::Merge(status))
        .await
        .unwrap();
    assert_eq!(patched.data["spec"]["host"], "h");
    let selected = api
        .list(&ListParams::default().labels("a=b"))
        .await
        .unwrap();
    assert_eq!(selected.items.len(), 1);
    assert_eq!(
        api.list(&ListParams::default().labels("a=c"))
            .await
            .unwrap()
            .items
            .len(),
        0
    );

    // Watched, as metadata.
    let metas = Api::<PartialObjectMeta<DynamicObject>>::all_with(client.clone(), &resource);
    let mut seen = watcher(metas, watcher::Config::default().labels("a=b"))
        .applied_objects()
        .boxed();
    let first = tokio::time::timeout(LIMIT, seen.try_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(first.metadata.name.as_deref(), Some("r"));
    apply_yaml(&client, &namespace, &route.replace("name: r", "name: s"))
        .await
        .unwrap();
    let second = tokio::time::timeout(LIMIT, seen.try_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(second.metadata.name.as_deref(), Some("s"));

    // Collected as garbage with its owner.
    let owner = apply_yaml(
        &client,
        &namespace,
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: owner}}",
    )
    .await
    .unwrap();
    let uid = owner[0].metadata.uid.clone().unwrap();
    let reference = json!({"metadata": {"ownerReferences": [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}]}});
    api.patch("r", &PatchParams::default(), &Patch::Merge(reference))
        .await
        .unwrap();
    let configs = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    configs
        .delete("owner", &DeleteParams::default())
        .await
        .unwrap();
    gone(&api, "r", Duration::from_mins(2)).await.unwrap();

    served.withdraw(cluster).await.unwrap();
    eventually("the API to be gone", LIMIT, || async {
        if has_routes().await? {
            Err("still discovered".to_owned())
        } else {
            Ok(())
        }
    })
    .await
    .unwrap();
}
