//! What the API server refuses, and what it asks the operator about: validation and conversion.

use api::trustyai::rules;
use cluster::{Platform, eventually};
use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use operator_harness::{Installation, Operator, free_ports};
use resources::Kind;
use runtime::operator::Beside;
use serde_json::{Value, json};
use trustyai_operator::service::webhook::{self, CONFIGURATION, DEFINITION_NAME};

use crate::harness::{INSTALLATION, OPERATOR, SOON, TRUSTYAI, World, files, run, world};

const VERSIONS: [&str; 2] = ["v1", "v1alpha1"];

fn services(world: &World, version: &'static str) -> Api<DynamicObject> {
    world.api(Kind {
        version,
        ..TRUSTYAI
    })
}

async fn create(
    world: &World,
    version: &'static str,
    name: &str,
    spec: &Value,
) -> kube::Result<DynamicObject> {
    let object = json!({"apiVersion": format!("trustyai.opendatahub.io/{version}"),
        "kind": "TrustyAIService", "metadata": {"name": name}, "spec": spec});
    let object = serde_json::from_value(object).expect("an object");
    let params = PostParams::default();
    services(world, version).create(&params, &object).await
}

/// The sentence of a refusal.
fn refusal(answer: kube::Result<DynamicObject>) -> (u16, String) {
    match answer {
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        other => panic!("not refused: {other:?}"),
    }
}

/// The schema refuses in both versions, with or without the operator.
#[tokio::test]
async fn what_can_never_run_is_refused_by_the_schema() {
    let world = world(Platform::Kubernetes, "schema").await;
    for (patch, sentence) in [
        (
            json!({"trustyaiMetrics": {"schedule": "5s"}}),
            rules::ONE_METRICS,
        ),
        (json!({"metrics": null}), rules::ONE_METRICS),
        (
            json!({"replicas": 1, "operand": {"replicas": 1}}),
            rules::ONE_REPLICAS,
        ),
        (json!({"storage": {"folder": null}}), rules::NO_FOLDER),
        (json!({"storage": {"folder": "//"}}), rules::BAD_FOLDER),
        (json!({"storage": {"size": "0"}}), rules::BAD_SIZE),
        (json!({"storage": {"size": "much"}}), rules::BAD_SIZE),
        (
            json!({"storage": {"existingClaim": "a", "pv": "b"}}),
            rules::EXISTING_CLAIM,
        ),
        (
            json!({"storage": {"format": "FILES"}}),
            "supported values: \"PVC\", \"DATABASE\"",
        ),
        (
            json!({"serviceMonitoring": {"enabled": false, "interval": "1s"}}),
            "remove the rest, or remove enabled",
        ),
    ] {
        let mut spec = files();
        json_patch::merge(&mut spec, &patch);
        for version in VERSIONS {
            let (code, message) = refusal(create(&world, version, "wrong", &spec).await);
            assert_eq!(code, 422, "{message}");
            assert!(
                message.to_lowercase().contains(&sentence.to_lowercase()),
                "{patch}: {message}"
            );
        }
    }
}

/// An operator that serves webhooks on a port of this machine, and an API server that calls it there.
async fn serving() -> (World, Operator) {
    let installation = Installation {
        folder: "config/trustyai-operator/overlays/webhook",
        ..INSTALLATION
    };
    let site = installation.alone(Platform::Kubernetes).await;
    let [port] = free_ports();
    let kubectl = async |args: &[&str]| site.cluster.kubectl(args).await.expect("kubectl");
    let (namespace, service) = (OPERATOR.0, webhook::SERVICE);
    let validation = ("validatingwebhookconfiguration", CONFIGURATION);
    operator_harness::lead_to(site.cluster, port, (namespace, service), validation).await;
    let path = "/spec/conversion/webhook/clientConfig/service/port";
    let led = json!([{"op": "replace", "path": path, "value": port}]).to_string();
    kubectl(&["patch", "crd", DEFINITION_NAME, "--type=json", "-p", &led]).await;
    let served = Beside::serving(webhook::webhooks(), true, Some(namespace.to_owned()), None);
    let bound = format!("--webhook-bind-address=127.0.0.1:{port}");
    let operator = run(&site.kubeconfig, &[&bound], served);
    (World(site.world("admission").await), operator)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_asked_about_both_versions() {
    let (world, operator) = serving().await;
    let mut nameless = files();
    nameless.as_object_mut().expect("a spec").remove("data");
    eventually("an answer of the webhook", SOON, || async {
        let answer = create(&world, "v1", "nameless", &nameless).await;
        match answer {
            Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("answers");
    for version in VERSIONS {
        let (code, message) = refusal(create(&world, version, "nameless", &nameless).await);
        assert_eq!(code, 403, "{message}");
        assert!(message.contains("set filename"), "{message}");
        let long = "n".repeat(58);
        let (_, message) = refusal(create(&world, version, &long, &files()).await);
        assert!(message.contains("may have 57"), "{message}");
    }

    // Written in one version, read and edited in the other.
    let mut spec = files();
    spec["storage"]["accessModes"] = json!(["ReadWriteOnce"]);
    spec["trustyaiMetrics"] = json!({"schedule": "15s", "batchSize": 7});
    spec.as_object_mut().expect("a spec").remove("metrics");
    for (name, [version, other]) in [("new", VERSIONS), ("old", ["v1alpha1", "v1"])] {
        let made = create(&world, version, name, &spec).await.expect("created");
        assert_eq!(made.data["spec"], spec);
        world.ready(name).await;
        let there = services(&world, other).get(name).await.expect("the other");
        assert_eq!(there.data["spec"], spec);
        assert_eq!(there.data["status"]["phase"], "Ready");
        let patch = Patch::Merge(json!({"spec": {"trustyaiMetrics": {"schedule": "9s"}}}));
        let params = PatchParams::default();
        let edited = services(&world, other).patch(name, &params, &patch).await;
        edited.expect("edited");
        let back = services(&world, version).get(name).await.expect("back");
        let metrics = json!({"schedule": "9s", "batchSize": 7});
        assert_eq!(back.data["spec"]["trustyaiMetrics"], metrics);
        world.ready(name).await;
    }
    operator.stop();
}
