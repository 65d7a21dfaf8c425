//! The stand-in for OpenShift.
#![cfg(test)]

use std::time::Duration;

use cluster::{Platform, apply_yaml, eventually, shared};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ApiResource, DynamicObject};
use kube::core::GroupVersionKind;
use kube::{Api, Client};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_route_is_admitted() {
    let cluster = shared(Platform::OpenShift).unwrap();
    let (client, namespace) = (
        cluster.client().unwrap(),
        cluster.namespace("route").await.unwrap(),
    );
    let route = "{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: r}, spec: {to: {name: s}}}";
    apply_yaml(&client, &namespace, route).await.unwrap();
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("route.openshift.io", "v1", "Route"));
    let api = Api::<DynamicObject>::namespaced_with(client, &namespace, &resource);
    let host = format!("r-{namespace}.{}", cluster::standin::DOMAIN);
    eventually("admission", LIMIT, || async {
        let route = api.get("r").await.map_err(|error| error.to_string())?;
        let ingress = route
            .data
            .pointer("/status/ingress/0")
            .cloned()
            .unwrap_or_default();
        let admitted = ingress["conditions"][0]["type"] == "Admitted"
            && ingress["conditions"][0]["status"] == "True";
        if admitted && ingress["host"] == host && route.data["spec"]["host"] == host {
            Ok(())
        } else {
            Err(format!("{}", route.data))
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_service_gets_its_certificate_and_gets_it_again() {
    let cluster = shared(Platform::OpenShift).unwrap();
    let (client, namespace) = (
        cluster.client().unwrap(),
        cluster.namespace("serving").await.unwrap(),
    );
    let service = "{apiVersion: v1, kind: Service, metadata: {name: s, annotations: \
                   {service.beta.openshift.io/serving-cert-secret-name: s-tls}}, spec: {ports: [{port: 443}]}}";
    apply_yaml(&client, &namespace, service).await.unwrap();
    let secrets = Api::<Secret>::namespaced(client.clone(), &namespace);
    let certificate = || async {
        let secret = secrets
            .get("s-tls")
            .await
            .map_err(|error| error.to_string())?;
        let data = secret.data.unwrap_or_default();
        let text = |key: &str| {
            data.get(key)
                .map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned())
        };
        text("tls.key")
            .filter(|key| key.contains("PRIVATE KEY"))
            .ok_or("no key")?;
        text("tls.crt").ok_or_else(|| "no certificate".to_owned())
    };
    let first = eventually("the certificate", LIMIT, certificate)
        .await
        .unwrap();
    secrets
        .delete("s-tls", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let second = eventually("another certificate", LIMIT, certificate)
        .await
        .unwrap();
    assert_ne!(first, second);

    let configs = Api::<ConfigMap>::namespaced(client, &namespace);
    let ca = eventually("the CA of the namespace", LIMIT, || async {
        let config = configs
            .get("openshift-service-ca.crt")
            .await
            .map_err(|error| error.to_string())?;
        config
            .data
            .and_then(|mut data| data.remove("service-ca.crt"))
            .ok_or_else(|| "no CA".to_owned())
    })
    .await
    .unwrap();
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn an_owner_reference_that_blocks_needs_the_right_to_finalizers() {
    let cluster = shared(Platform::OpenShift).unwrap();
    let (client, namespace) = (
        cluster.client().unwrap(),
        cluster.namespace("owner").await.unwrap(),
    );
    let rights = "\
{apiVersion: v1, kind: ServiceAccount, metadata: {name: worker}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: worker}, rules: [{apiGroups: [''], resources: [configmaps], verbs: ['*']}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: worker}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: worker}, subjects: [{kind: ServiceAccount, name: worker}]}
";
    apply_yaml(&client, &namespace, rights).await.unwrap();
    let worker = Client::try_from(
        cluster
            .config_for_service_account(&namespace, "worker")
            .await
            .unwrap(),
    )
    .unwrap();
    eventually("the role to count", LIMIT, || async {
        let plain = "{apiVersion: v1, kind: ConfigMap, metadata: {name: plain}}";
        apply_yaml(&worker, &namespace, plain)
            .await
            .map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    let owned = "{apiVersion: v1, kind: ConfigMap, metadata: {name: owned, ownerReferences: [{apiVersion: apps/v1, \
                 kind: Deployment, name: a, uid: 5cf4e8a8-9f3c-4a4e-8f6a-3b1f0c1d2e3f, controller: true, \
                 blockOwnerDeletion: true}]}}";
    let refused = apply_yaml(&worker, &namespace, owned).await.unwrap_err();
    assert!(
        format!("{refused}").contains("cannot set blockOwnerDeletion"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_group_has_its_users_at_the_top() {
    let cluster = shared(Platform::OpenShift).unwrap();
    let client = cluster.client().unwrap();
    let group =
        "{apiVersion: user.openshift.io/v1, kind: Group, metadata: {name: g}, users: [anna, ben]}";
    let applied = apply_yaml(&client, "default", group).await.unwrap();
    assert_eq!(applied[0].data["users"], serde_json::json!(["anna", "ben"]));
}

/// A kind that is there before the controllers start is known to the garbage collector at once.
#[tokio::test]
async fn what_a_route_owns_goes_with_it() {
    let cluster = shared(Platform::OpenShift).unwrap();
    let (client, namespace) = (
        cluster.client().unwrap(),
        cluster.namespace("garbage").await.unwrap(),
    );
    let route = "{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: r}, spec: {host: h, to: {name: s}}}";
    let route = apply_yaml(&client, &namespace, route).await.unwrap();
    let uid = route[0].metadata.uid.clone().unwrap();
    let owned = format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: owned, ownerReferences: \
         [{{apiVersion: route.openshift.io/v1, kind: Route, name: r, uid: {uid}}}]}}}}"
    );
    apply_yaml(&client, &namespace, &owned).await.unwrap();
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("route.openshift.io", "v1", "Route"));
    Api::<DynamicObject>::namespaced_with(client.clone(), &namespace, &resource)
        .delete("r", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    let configs = Api::<ConfigMap>::namespaced(client, &namespace);
    cluster::gone(&configs, "owned", Duration::from_secs(10))
        .await
        .unwrap();
}
