//! The control plane and the simulated pods.
#![cfg(test)]

use std::time::{Duration, Instant};

use cluster::{Cluster, Platform, apply_yaml, available, eventually, shared};
use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client};

const LIMIT: Duration = Duration::from_secs(20);

async fn setup(prefix: &str) -> (&'static Cluster, Client, String) {
    let cluster = shared(Platform::Kubernetes).unwrap();
    (
        cluster,
        cluster.client().unwrap(),
        cluster.namespace(prefix).await.unwrap(),
    )
}

fn deployment(name: &str, pod: &str) -> String {
    format!(
        "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: {name}}}, spec: {{\
         selector: {{matchLabels: {{app: {name}}}}}, \
         template: {{metadata: {{labels: {{app: {name}}}}}, spec: {pod}}}}}}}"
    )
}

/// Waits until the only pod has a container that waits, or is unready, with this reason or message.
async fn complains(client: &Client, namespace: &str, words: &str) {
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    eventually(&format!("a pod that says `{words}`"), LIMIT, || async {
        let list = pods
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let text =
            serde_json::to_string(&list.items.first().and_then(|pod| pod.status.clone())).unwrap();
        let unready = text.contains(r#""status":"False","type":"Ready""#);
        if unready && text.replace('\\', "").contains(words) {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_deployment_becomes_available_and_rolls() {
    let (cluster, client, namespace) = setup("plain").await;
    apply_yaml(
        &client,
        &namespace,
        &deployment("a", "{containers: [{name: main, image: one}]}"),
    )
    .await
    .unwrap();
    available(&client, &namespace, "a", LIMIT).await.unwrap();
    apply_yaml(
        &client,
        &namespace,
        &deployment("a", "{containers: [{name: main, image: two}]}"),
    )
    .await
    .unwrap();
    available(&client, &namespace, "a", LIMIT).await.unwrap();
    let pods = Api::<Pod>::namespaced(client, &namespace);
    eventually("one pod, of the new image", LIMIT, || async {
        let list = pods
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let images: Vec<_> = list
            .items
            .iter()
            .filter_map(|pod| pod.spec.as_ref()?.containers.first()?.image.clone())
            .collect();
        if images == ["two"] {
            Ok(())
        } else {
            Err(format!("{images:?}"))
        }
    })
    .await
    .unwrap();
    let listed = cluster
        .kubectl(&["get", "pods", "--namespace", &namespace, "--output=name"])
        .await
        .unwrap();
    assert_eq!(listed.lines().count(), 1, "{listed}");
}

#[tokio::test]
async fn a_pod_waits_for_a_secret_that_it_mounts() {
    let (_, client, namespace) = setup("mount").await;
    let pod =
        "{containers: [{name: main, image: i}], volumes: [{name: v, secret: {secretName: late}}]}";
    apply_yaml(&client, &namespace, &deployment("a", pod))
        .await
        .unwrap();
    complains(
        &client,
        &namespace,
        "MountVolume.SetUp failed for volume \"v\": secret \"late\" not found",
    )
    .await;
    apply_yaml(
        &client,
        &namespace,
        "{apiVersion: v1, kind: Secret, metadata: {name: late}}",
    )
    .await
    .unwrap();
    let created = Instant::now();
    available(&client, &namespace, "a", LIMIT).await.unwrap();
    assert!(
        created.elapsed() < Duration::from_secs(5),
        "the Secret is seen by its event: {:?}",
        created.elapsed()
    );
}

#[tokio::test]
async fn a_pod_waits_for_a_key_of_its_environment() {
    let (_, client, namespace) = setup("environment").await;
    let config = |data: &str| {
        format!("{{apiVersion: v1, kind: ConfigMap, metadata: {{name: c}}, data: {{{data}}}}}")
    };
    apply_yaml(&client, &namespace, &config("other: x"))
        .await
        .unwrap();
    let pod = "{containers: [{name: main, image: i, \
               env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: wanted}}}]}]}";
    apply_yaml(&client, &namespace, &deployment("a", pod))
        .await
        .unwrap();
    complains(&client, &namespace, "CreateContainerConfigError").await;
    complains(
        &client,
        &namespace,
        &format!("couldn't find key wanted in ConfigMap {namespace}/c"),
    )
    .await;
    apply_yaml(&client, &namespace, &config("wanted: x"))
        .await
        .unwrap();
    available(&client, &namespace, "a", LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_pod_with_an_undeclared_probe_port_is_never_ready() {
    let (_, client, namespace) = setup("probe").await;
    let pod = "{containers: [{name: main, image: i, ports: [{name: http, containerPort: 80}], \
               readinessProbe: {httpGet: {port: https}}}]}";
    apply_yaml(&client, &namespace, &deployment("a", pod))
        .await
        .unwrap();
    complains(
        &client,
        &namespace,
        "couldn't find port \"https\" in container main",
    )
    .await;
    available(&client, &namespace, "a", Duration::from_secs(1))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_claim_binds_and_its_pod_waits_for_it() {
    let (_, client, namespace) = setup("claim").await;
    let pod = "{containers: [{name: main, image: i}], volumes: [{name: v, persistentVolumeClaim: {claimName: c}}]}";
    apply_yaml(&client, &namespace, &deployment("a", pod))
        .await
        .unwrap();
    available(&client, &namespace, "a", Duration::from_secs(1))
        .await
        .unwrap_err();
    let claim = "{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: c}, \
                 spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}";
    apply_yaml(&client, &namespace, claim).await.unwrap();
    available(&client, &namespace, "a", LIMIT).await.unwrap();
}

#[tokio::test]
async fn a_job_completes_and_a_namespace_goes() {
    let (cluster, client, namespace) = setup("job").await;
    let job = "{apiVersion: batch/v1, kind: Job, metadata: {name: j}, \
               spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: i}]}}}}";
    apply_yaml(&client, &namespace, job).await.unwrap();
    cluster
        .kubectl(&[
            "wait",
            "--namespace",
            &namespace,
            "--for=condition=Complete",
            "--timeout=20s",
            "job/j",
        ])
        .await
        .unwrap();
    cluster
        .kubectl(&["delete", "namespace", &namespace, "--timeout=20s"])
        .await
        .unwrap();
}

#[tokio::test]
async fn a_service_account_is_held_to_its_rights_and_the_log_says_what_it_asked() {
    let (cluster, client, namespace) = setup("rights").await;
    let rights = "\
{apiVersion: v1, kind: ServiceAccount, metadata: {name: worker}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: worker}, rules: [{apiGroups: [''], resources: [configmaps], verbs: [create, patch, get, list, watch]}]}
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
    let mark = cluster.audit_mark().await.unwrap();
    let config = "{apiVersion: v1, kind: ConfigMap, metadata: {name: made}, data: {a: b}}";
    eventually("the role to count", LIMIT, || async {
        apply_yaml(&worker, &namespace, config)
            .await
            .map_err(|error| error.to_string())
    })
    .await
    .unwrap();
    Api::<Pod>::namespaced(worker, &namespace)
        .list(&ListParams::default())
        .await
        .unwrap_err();

    let log = cluster.audit_since(mark).await.unwrap();
    let asked = log.by_service_account(&namespace, "worker");
    let write = asked.iter().rfind(|record| record.is_write()).unwrap();
    assert_eq!(
        (
            write.verb.as_str(),
            write.resource.as_str(),
            write.name.as_str()
        ),
        ("patch", "configmaps", "made")
    );
    assert_eq!(write.namespace, namespace);
    assert_eq!(write.body.as_ref().unwrap()["data"]["a"], "b");
    assert!(write.answered >= write.received);
    let refused = asked
        .iter()
        .find(|record| record.resource == "pods")
        .unwrap();
    assert_eq!((refused.verb.as_str(), refused.code), ("list", 403));
}

#[tokio::test]
async fn a_watch_is_in_the_log_while_it_lasts() {
    use futures::StreamExt as _;
    let (cluster, client, namespace) = setup("watch").await;
    let mark = cluster.audit_mark().await.unwrap();
    let pods = Api::<Pod>::namespaced(client, &namespace);
    let mut watch = pods
        .watch(&kube::api::WatchParams::default(), "0")
        .await
        .unwrap()
        .boxed();
    let log = cluster.audit_since(mark).await.unwrap();
    let watches = log
        .by("admin")
        .filter(|record| record.verb == "watch" && record.namespace == namespace);
    assert_eq!(watches.count(), 1);
    drop(watch.next());
}
