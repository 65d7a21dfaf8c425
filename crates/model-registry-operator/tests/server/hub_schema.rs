//! What the schema of AIHub refuses, before any operator looks at it.

use cluster::{Platform, eventually};
use operator_harness::{SOON, root};
use serde_json::{Value, json};

use crate::harness::world;

#[tokio::test]
async fn a_hub_that_cannot_be_is_refused() {
    let world = world(Platform::Kubernetes, "hub-schema").await;
    let file = "config/model-registry-operator/overlays/aihub/components.platform.opendatahub.io_aihubs.yaml";
    let file = root().join(file);
    let file = file.to_str().expect("a path");
    world
        .cluster
        .kubectl(&["apply", "--server-side", "-f", file])
        .await
        .expect("the definition");
    let tried = async |name: &str, spec: Value| {
        let hub = json!({"apiVersion": "components.platform.opendatahub.io/v1alpha1", "kind": "AIHub",
            "metadata": {"name": name}, "spec": spec});
        let file = world.cluster.dir().join("hub.json");
        std::fs::write(&file, hub.to_string()).expect("a file");
        let file = file.to_str().expect("a path");
        let words = ["create", "--dry-run=server", "-f", file];
        let tried = world.cluster.kubectl(&words).await;
        tried.map(drop).map_err(|error| error.to_string())
    };
    let both = json!({"applicationNamespace": "apps", "instancesNamespace": "models"});
    eventually("the kind is served", SOON, || {
        tried("default-aihub", both.clone())
    })
    .await
    .expect("what is right passes");
    let long = "a".repeat(64);
    for (name, spec, sentence) in [
        (
            "other",
            both.clone(),
            "Only the name 'default-aihub' is allowed",
        ),
        ("default-aihub", Value::Null, "spec"),
        (
            "default-aihub",
            json!({"applicationNamespace": "apps"}),
            "instancesNamespace",
        ),
        (
            "default-aihub",
            json!({"instancesNamespace": "models"}),
            "applicationNamespace",
        ),
        (
            "default-aihub",
            json!({"applicationNamespace": "apps", "instancesNamespace": "models",
                "gateway": {"domain": format!("{long}.example.test")}}),
            "spec.gateway.domain",
        ),
    ] {
        let error = tried(name, spec).await.expect_err("refused");
        assert!(error.contains(sentence), "{sentence} is not in {error}");
    }
}
