//! Every sample, applied as a user applies it, becomes Ready and goes without a trace.

use std::fs;
use std::path::PathBuf;

use cluster::Platform;

use crate::harness::{root, world};

/// Folders of samples/trustyai that `kubectl apply -k` takes.
fn samples() -> Vec<PathBuf> {
    let folder = root().join("samples/trustyai");
    let entries = fs::read_dir(folder).expect("samples").flatten();
    let mut found: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join("kustomization.yaml").exists())
        .collect();
    found.sort();
    found
}

#[tokio::test]
async fn every_sample_becomes_ready_and_goes_without_a_trace_on_kubernetes() {
    every_sample(Platform::Kubernetes).await;
}

#[tokio::test]
async fn every_sample_becomes_ready_and_goes_without_a_trace_on_openshift() {
    every_sample(Platform::OpenShift).await;
}

async fn every_sample(platform: Platform) {
    let samples = samples();
    assert!(samples.len() >= 5, "{samples:?}");
    for sample in samples {
        // All samples have one name.
        let world = world(platform, "sample").await;
        let folder = sample.to_str().expect("a path");
        let kubectl = async |verb: &str| {
            world
                .cluster
                .kubectl(&[verb, "-n", &world.namespace, "-k", folder])
                .await
                .expect("kubectl");
        };
        kubectl("apply").await;
        let service = world.ready("trustyaiservice-sample").await;
        let status = &service.data["status"];
        assert_eq!(
            (&status["phase"], &status["ready"]),
            (&"Ready".into(), &"True".into())
        );
        assert_eq!(status["readyReplicas"], 1, "{folder}");
        kubectl("delete").await;
        world.nothing_left("trustyaiservice-sample").await;
    }
}
