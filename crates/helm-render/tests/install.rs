//! `charts/mlflow` as people install it: real Helm, a real API server, simulated pods.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

use cluster::{Cluster, Platform, StandIn};

fn chart() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/mlflow")
}

/// Runs `helm` in the chart's directory, as its README does, and gives what it prints.
fn helm(cluster: &Cluster, arguments: &str) -> Result<String, String> {
    let home = cluster.dir().join("helm");
    let output = Command::new(cluster::tools::helm().unwrap())
        .args(arguments.split_whitespace())
        .current_dir(chart())
        .env("KUBECONFIG", cluster.kubeconfig_path())
        .env("HOME", &home)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(format!("helm {arguments}: {}", text(&output.stderr)))
    }
}

/// Helm blocks; the cluster's simulated pods run in this process meanwhile.
async fn run(cluster: &'static Cluster, arguments: String) -> Result<String, String> {
    tokio::task::spawn_blocking(move || helm(cluster, &arguments))
        .await
        .unwrap()
}

/// What is in a namespace, and cluster-wide under its name, without what Kubernetes puts there and
/// what Helm remembers. Events are no part of a release.
async fn left(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let kinds = "deployments,services,serviceaccounts,persistentvolumeclaims,networkpolicies,\
                 configmaps,secrets,cronjobs,jobs,poddisruptionbudgets";
    let listed = cluster
        .kubectl(&["get", kinds, "-n", namespace, "-o", "name"])
        .await
        .unwrap();
    let roles = cluster
        .kubectl(&["get", "clusterroles,clusterrolebindings", "-o", "name"])
        .await
        .unwrap();
    let roles = roles
        .lines()
        .filter(|name| name.contains(&format!("/{namespace}-")));
    let mut names: Vec<_> = listed.lines().chain(roles).map(str::to_owned).collect();
    names.retain(|name| {
        !["serviceaccount/default", "configmap/kube-root-ca.crt"].contains(&name.as_str())
            && !name.starts_with("secret/sh.helm.release")
    });
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn installed_as_typed_it_gets_ready_and_leaves_only_its_data() {
    let cluster = cluster::shared(Platform::Kubernetes).unwrap();
    let namespace = "opendatahub";
    let install = format!("install mlflow . -n {namespace} --create-namespace");
    let notes = run(cluster, format!("{install} --wait --timeout 5m"))
        .await
        .unwrap();
    assert!(
        notes.contains("MLflow is at https://mlflow.opendatahub.svc:8443 "),
        "{notes}"
    );
    assert_eq!(
        left(cluster, namespace).await,
        [
            "clusterrole.rbac.authorization.k8s.io/opendatahub-mlflow",
            "clusterrolebinding.rbac.authorization.k8s.io/opendatahub-mlflow",
            "deployment.apps/mlflow",
            "networkpolicy.networking.k8s.io/mlflow",
            "persistentvolumeclaim/mlflow-pvc",
            "service/mlflow",
            "serviceaccount/mlflow-sa",
        ]
    );
    run(cluster, format!("test mlflow -n {namespace} --timeout 5m"))
        .await
        .unwrap();

    // The README's other command, as an upgrade. The volume grows where its class allows; here only
    // the image changes.
    let upgrade =
        format!("upgrade mlflow . -n {namespace} --set image.tag=v2.0.0 --wait --timeout 5m");
    run(cluster, upgrade).await.unwrap();
    let image = "jsonpath={.spec.template.spec.containers[0].image}";
    let image = cluster
        .kubectl(&["get", "deployment", "mlflow", "-n", namespace, "-o", image])
        .await
        .unwrap();
    assert_eq!(image, "quay.io/opendatahub/mlflow:v2.0.0");

    run(
        cluster,
        format!("uninstall mlflow -n {namespace} --wait --timeout 5m"),
    )
    .await
    .unwrap();
    assert_eq!(
        left(cluster, namespace).await,
        ["persistentvolumeclaim/mlflow-pvc"]
    );
    // The data is taken up again by the next release of the same name.
    run(cluster, format!("{install} --wait --timeout 5m"))
        .await
        .unwrap();
    run(
        cluster,
        format!("uninstall mlflow -n {namespace} --wait --timeout 5m"),
    )
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn releases_live_side_by_side() {
    let cluster = cluster::shared(Platform::Kubernetes).unwrap();
    let first = cluster.namespace("side").await.unwrap();
    let second = cluster.namespace("side").await.unwrap();
    let jobs = "--set garbageCollection.enabled=true --set storage.keep=false";
    for (release, namespace) in [("mlflow", &first), ("prod", &first), ("mlflow", &second)] {
        let install = format!("install {release} . -n {namespace} {jobs} --wait --timeout 5m");
        run(cluster, install).await.unwrap();
    }
    let before = left(cluster, &second).await;
    // One pod each answers to its own Service, of the two in one namespace, too.
    for name in ["mlflow", "mlflow-prod"] {
        let path = "jsonpath={.items[*].metadata.name}";
        let selector = format!("app={name}");
        let pods = cluster
            .kubectl(&["get", "pods", "-n", &first, "-l", &selector, "-o", path])
            .await
            .unwrap();
        assert_eq!(pods.split_whitespace().count(), 1, "{pods}");
    }
    run(
        cluster,
        format!("uninstall mlflow -n {first} --wait --timeout 5m"),
    )
    .await
    .unwrap();
    let rest = left(cluster, &first).await;
    assert!(
        !rest.is_empty() && rest.iter().all(|name| name.contains("prod")),
        "{rest:?}"
    );
    assert_eq!(left(cluster, &second).await, before);
    run(
        cluster,
        format!("uninstall prod -n {first} --wait --timeout 5m"),
    )
    .await
    .unwrap();
    run(
        cluster,
        format!("uninstall mlflow -n {second} --wait --timeout 5m"),
    )
    .await
    .unwrap();
    assert_eq!(left(cluster, &first).await, [""; 0]);
    assert_eq!(left(cluster, &second).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_on_is_accepted_by_the_api_server() {
    let cluster = cluster::shared(Platform::Kubernetes).unwrap();
    cluster.install(StandIn::ServiceMonitor).await.unwrap();
    let namespace = cluster.namespace("all").await.unwrap();
    for line in [
        "create secret generic mlflow-tls --from-literal=tls.crt=x --from-literal=tls.key=y",
        "create configmap mine --from-literal=ca.crt=x",
        "create secret generic db --from-literal=backend=postgresql://x",
        "create secret generic aws --from-literal=A=b",
    ] {
        let namespaced = ["-n", namespace.as_str()];
        let arguments: Vec<_> = line.split(' ').chain(namespaced).collect();
        cluster.kubectl(&arguments).await.unwrap();
    }
    let values = cluster.dir().join(format!("{namespace}.yaml"));
    std::fs::write(&values, EVERYTHING).unwrap();
    let file = values.display();
    let install = format!("install mlflow . -n {namespace} --values {file} --wait --timeout 5m");
    run(cluster, install).await.unwrap();
    let installed = left(cluster, &namespace).await;
    for name in [
        "cronjob.batch/mlflow-gc",
        "cronjob.batch/mlflow-trace-archival",
        "poddisruptionbudget.policy/mlflow",
    ] {
        assert!(
            installed.iter().any(|installed| installed == name),
            "{installed:?}"
        );
    }
    let monitors = cluster
        .kubectl(&["get", "servicemonitors", "-n", &namespace, "-o", "name"])
        .await
        .unwrap();
    assert!(monitors.contains("mlflow-metrics-monitor"), "{monitors}");
    // The jobs' pods start, too: nothing that they mount is missing.
    for cronjob in ["mlflow-gc", "mlflow-trace-archival"] {
        let from = format!("--from=cronjob/{cronjob}");
        cluster
            .kubectl(&["create", "job", cronjob, &from, "-n", &namespace])
            .await
            .unwrap();
        let job = format!("job/{cronjob}");
        let wait = [
            "wait",
            "--for=condition=complete",
            &job,
            "--timeout=180s",
            "-n",
            &namespace,
        ];
        cluster.kubectl(&wait).await.unwrap();
    }
    run(cluster, format!("test mlflow -n {namespace} --timeout 5m"))
        .await
        .unwrap();
    run(
        cluster,
        format!("uninstall mlflow -n {namespace} --wait --timeout 5m"),
    )
    .await
    .unwrap();
}

/// Each option that adds an object or a part of a pod.
const EVERYTHING: &str = "
replicaCount: 2
storage: {accessMode: ReadWriteMany, fsGroup: 2000}
tls: {source: secret, ca: {secret: mlflow-tls, key: tls.crt}}
mlflow:
  backendStoreUriFrom: {secretKeyRef: {name: db, key: backend}}
  readReplicaBackendStoreUri: postgresql://replica/x
  registryStoreUri: mysql+pymysql://r/x
  artifactsDestination: s3://a/b
  workspaceLabelSelector: mlflow-enabled=true
  staticPrefix: /mlflow
env: [{name: AWS_DEFAULT_REGION, value: us-east-1}]
envFrom: [{secretRef: {name: aws}}]
startupProbe: {failureThreshold: 60}
podDisruptionBudget: {minAvailable: 1}
networkPolicy: {additionalEgressRules: [{to: [{podSelector: {}}]}]}
garbageCollection: {enabled: true, olderThan: 30d}
traceArchival: {enabled: true, location: 's3://t', retention: 30d}
caBundle: {configMaps: [{name: mine, mountPath: /etc/custom}]}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
";
