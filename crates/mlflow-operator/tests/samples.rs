//! What users copy is what the API server takes, and goes as its README says.

#![allow(clippy::expect_used, reason = "a test ends at the first surprise")]

use std::fs;
use std::path::PathBuf;

use cluster::{Cluster, Platform, StandIn};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Files of a folder that are manifests, in order.
fn manifests(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder))
        .expect("a folder")
        .flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .filter(|path| !path.ends_with("kustomization.yaml"))
        .collect();
    found.sort();
    found
}

/// A cluster that has the definitions and namespace `opendatahub`.
async fn cluster() -> &'static Cluster {
    let definitions = || {
        let files = manifests("config/mlflow-operator/crd").into_iter();
        let texts = files.map(|file| fs::read_to_string(file).expect("a definition"));
        texts.collect::<Vec<_>>().join("\n---\n")
    };
    let cluster = cluster::shared_with(Platform::Kubernetes, definitions).expect("a cluster");
    let client = cluster.client().expect("a client");
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: opendatahub}}";
    let applied = cluster::apply_yaml(&client, "default", namespace).await;
    applied.expect("a namespace");
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_accepted_and_goes_with_delete_k() {
    let cluster = cluster().await;
    let samples = manifests("samples/mlflow");
    assert!(samples.len() >= 8, "{samples:?}");
    let folder = root().join("samples/mlflow");
    let folder = folder.to_str().expect("a path");
    for sample in &samples {
        let file = sample.to_str().expect("a path");
        // Fields that the definition does not know are errors.
        let apply = [
            "apply",
            "--validate=strict",
            "-n",
            "opendatahub",
            "-f",
            file,
        ];
        cluster.kubectl(&apply).await.expect(file);
        let is_mlflow = fs::read_to_string(sample)
            .expect(file)
            .contains("kind: MLflow\n");
        if is_mlflow {
            cluster
                .kubectl(&["delete", "-k", folder])
                .await
                .expect(file);
        }
        let left = cluster.kubectl(&["get", "mlflows", "-o", "name"]).await;
        assert_eq!(left.expect("a list"), "", "{file}");
    }
}

/// Every way to install the operator is what the API server takes.
#[tokio::test(flavor = "multi_thread")]
async fn every_overlay_is_accepted() {
    let cluster = cluster().await;
    let client = cluster.client().expect("a client");
    let namespace = "{apiVersion: v1, kind: Namespace, metadata: {name: redhat-ods-applications}}";
    let applied = cluster::apply_yaml(&client, "default", namespace).await;
    applied.expect("a namespace");
    let monitors = cluster.install(StandIn::ServiceMonitor).await;
    monitors.expect("ServiceMonitors");
    let config = root().join("config/mlflow-operator");
    let overlays = fs::read_dir(config.join("overlays")).expect("a folder");
    let overlays = overlays.flatten().map(|entry| entry.path());
    let folders: Vec<_> = overlays.chain([config.join("default")]).collect();
    assert!(folders.len() >= 5, "{folders:?}");
    for folder in folders {
        let folder = folder.to_str().expect("a path");
        // Fields that the API server does not know are errors. The definitions are there already.
        let apply = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-k",
            folder,
        ];
        let applied = cluster.kubectl(&apply).await.expect(folder);
        assert!(applied.contains("deployment.apps/"), "{folder}: {applied}");
    }
}

#[test]
fn the_readme_names_every_sample() {
    let readme = fs::read_to_string(root().join("samples/mlflow/README.md")).expect("a text");
    for sample in manifests("samples/mlflow") {
        let name = sample
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert!(readme.contains(&format!("| `{name}` |")), "{name}");
    }
}
