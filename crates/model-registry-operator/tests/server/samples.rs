//! Every sample, applied as a user applies it, becomes Available.

use std::{fs, path::PathBuf};

use cluster::Platform;
use operator_harness::root;
use serde_json::json;

use crate::harness::{World, world};

/// Folders of samples/model-registry that `kubectl apply -k` takes as they are: components and
/// shared pieces are of another kind.
pub(crate) fn samples() -> Vec<PathBuf> {
    fn walk(folder: &PathBuf, found: &mut Vec<PathBuf>) {
        let file = folder.join("kustomization.yaml");
        if let Ok(text) = fs::read_to_string(&file)
            && text.contains("kind: Kustomization")
            && !folder.components().any(|c| {
                matches!(
                    c.as_os_str().to_str(),
                    Some("components" | "base" | "shared" | "catalog" | "aihub")
                )
            })
        {
            found.push(folder.clone());
        }
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            if entry.path().is_dir() {
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("samples/model-registry"), &mut found);
    found.sort();
    found
}

#[tokio::test]
async fn every_sample_becomes_available_and_goes_without_a_trace_on_kubernetes() {
    every_sample(Platform::Kubernetes).await;
}

#[tokio::test]
async fn every_sample_becomes_available_and_goes_without_a_trace_on_openshift() {
    every_sample(Platform::OpenShift).await;
}

async fn every_sample(platform: Platform) {
    let samples = samples();
    assert!(samples.len() >= 14, "{samples:?}");
    for sample in samples {
        // All samples have one name, which the cluster shares: one after the other.
        let world = world(platform, "sample").await;
        let folder = sample.to_str().expect("a path");
        credential(&world).await;
        world
            .cluster
            .kubectl(&["apply", "-n", &world.namespace, "-k", folder])
            .await
            .expect("applied");
        let registry = world.available("modelregistry-sample").await;
        assert!(
            registry.data["status"]["hosts"]
                .as_array()
                .is_some_and(|h| h.len() >= 3),
            "{folder}"
        );
        world
            .cluster
            .kubectl(&["delete", "-n", &world.namespace, "-k", folder])
            .await
            .expect("deleted");
        world.nothing_left("modelregistry-sample").await;
    }
}

/// The certificate that the samples with TLS to the database refer to.
pub(crate) async fn credential(world: &World) {
    let made = rcgen::generate_simple_self_signed(["model-registry-db".to_owned()])
        .expect("a certificate");
    let cert = made.cert.pem();
    let data =
        json!({"tls.crt": cert, "tls.key": made.signing_key.serialize_pem(), "ca.crt": cert});
    let named = |kind: &str, field: &str| {
        json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "model-registry-db-credential"}, field: data}).to_string()
    };
    world.apply(&named("Secret", "stringData")).await;
    world.apply(&named("ConfigMap", "data")).await;
}
