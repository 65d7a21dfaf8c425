//! Models of KServe send to a service, for as long as it is there.

use cluster::{Foreign, Platform};
use kube::api::{DeleteParams, DynamicObject};
use resources::kind::{CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, VIRTUAL_SERVICE};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{OPERATOR, SOON, TRUSTYAI, files};
use crate::models::{MODE, logger, models};

const THEIRS: &str = "http://mine.example.test/";

#[tokio::test]
async fn models_of_kserve_send_to_the_service_until_it_goes() {
    let world = models(Platform::Kubernetes, "kserve").await;
    let raw = world
        .model("raw", "somebody", "RawDeployment", Value::Null)
        .await;
    let own = json!({"mode": "request", "url": THEIRS, "metadataHeaders": ["a"]});
    let foreign = world.model("foreign", "somebody", "Standard", own).await;
    let mesh = world
        .model("mesh", "somebody", "ModelMesh", Value::Null)
        .await;
    world.service("tas", &files()).await;
    world.logs_to("raw", "tas").await;
    let told = world.condition("tas", "ModelsWired", "False").await;
    let message = told["message"].as_str().unwrap_or_default();
    assert!(
        message.contains("foreign keeps its own logger http://mine"),
        "{message}"
    );
    world
        .condition("tas", "InferenceServicesPresent", "True")
        .await;
    world.ready("tas").await;
    world.as_it_was(INFERENCE_SERVICE, &foreign).await;

    // Later ones by their event.
    let later = world
        .model("later", "somebody", "Standard", Value::Null)
        .await;
    world.logs_to("later", "tas").await;
    // One that runs in another way sends no more.
    world.annotate("later", MODE, json!("ModelMesh")).await;
    let is_free = |model: &DynamicObject| logger(model).is_null();
    world.until(INFERENCE_SERVICE, "later", is_free).await;
    world.annotate("later", MODE, json!("Standard")).await;
    world.logs_to("later", "tas").await;

    // Somebody else's is replaced when that is asked for, and comes back.
    world
        .set(json!({"kserve": {"existingLoggers": "Replace"}}))
        .await;
    world.logs_to("foreign", "tas").await;
    world.condition("tas", "ModelsWired", "True").await;
    world.set(json!({"kserve": null})).await;
    world.as_it_was(INFERENCE_SERVICE, &foreign).await;
    world
        .set(json!({"kserve": {"existingLoggers": "Replace"}}))
        .await;
    world.logs_to("foreign", "tas").await;

    world.condition("tas", "ModelsWired", "True").await;
    world.remove("tas").await;
    for before in [&raw, &foreign, &mesh, &later] {
        world.as_it_was(INFERENCE_SERVICE, before).await;
    }
}

#[tokio::test]
async fn a_model_that_goes_is_not_made_again_and_models_at_rest_cost_nothing() {
    let world = models(Platform::Kubernetes, "rest").await;
    for name in ["a", "b"] {
        world.model(name, "somebody", "Standard", Value::Null).await;
    }
    world.service("tas", &files()).await;
    for name in ["a", "b"] {
        world.logs_to(name, "tas").await;
    }
    let api = world.api(INFERENCE_SERVICE);
    let params = DeleteParams::default();
    cluster::remove(&api, "a", &params, SOON)
        .await
        .expect("gone");
    world.condition("tas", "ModelsWired", "True").await;
    world.ready("tas").await;
    // Whatever the end of its start still causes.
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let mark = world.cluster.audit_mark().await.expect("a mark");
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let log = world
        .cluster
        .audit_since(mark)
        .await
        .expect("the audit log");
    let asked = log.by_service_account(OPERATOR.0, OPERATOR.1);
    let here = asked
        .into_iter()
        .filter(|r| r.namespace == world.namespace && r.verb != "watch");
    let here: Vec<_> = here.map(|r| format!("{} {}", r.verb, r.resource)).collect();
    assert_eq!(here, [""; 0]);
    assert!(api.get_opt("a").await.expect("an answer").is_none());
}

#[tokio::test]
async fn what_the_go_operator_wired_is_taken_over_and_goes_with_the_service() {
    let world = models(Platform::Kubernetes, "adopted").await;
    let url = format!("https://tas.{}.svc.cluster.local", world.namespace);
    let logger = json!({"mode": "all", "url": url});
    let free = world
        .model("free", "somebody", "Standard", Value::Null)
        .await;
    world.model("model", "manager", "Standard", logger).await;
    let processor = format!("https://tas.{}.svc/consumer/kserve/v2", world.namespace);
    let mount =
        json!([{"name": "tas-internal", "mountPath": "/etc/trustyai/tls", "readOnly": true}]);
    let listed = json!({"name": "MM_PAYLOAD_PROCESSORS", "value": processor});
    let certificate = json!({"name": "MM_TLS_KEY_CERT_PATH", "value": "/etc/trustyai/tls/tls.crt"});
    let spec = json!({
        "containers": [
            {"name": "mm", "image": "i", "env": [listed, certificate], "volumeMounts": mount},
            {"name": "mlserver", "image": "i", "env": [listed], "volumeMounts": mount},
        ],
        "volumes": [{"name": "tas-internal", "secret": {"secretName": "tas-internal"}}],
    });
    let server = world.server("modelmesh-serving-a", "manager", spec).await;
    world.service("tas", &files()).await;
    world.logs_to("free", "tas").await;
    world.condition("tas", "ModelsWired", "True").await;
    world.as_it_was(DEPLOYMENT, &server).await;
    world.remove("tas").await;
    let is_free = |model: &DynamicObject| model.data["spec"]["predictor"]["logger"].is_null();
    world.until(INFERENCE_SERVICE, "model", is_free).await;
    world.as_it_was(INFERENCE_SERVICE, &free).await;
    let is_clean = |server: &DynamicObject| {
        let text = server.data["spec"].to_string();
        !text.contains("tas-internal") && !text.contains("MM_")
    };
    world
        .until(DEPLOYMENT, "modelmesh-serving-a", is_clean)
        .await;
}

#[tokio::test]
async fn of_two_services_the_older_one_has_the_models_until_it_goes() {
    let world = models(Platform::Kubernetes, "two").await;
    let model = world
        .model("model", "somebody", "Standard", Value::Null)
        .await;
    world.service("first", &files()).await;
    world.logs_to("model", "first").await;
    // Creation times have whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    world.service("second", &files()).await;
    let conflict = world.condition("second", "WiringConflict", "True").await;
    let message = conflict["message"].as_str().unwrap_or_default();
    assert!(message.contains("TrustyAIService first"), "{message}");
    world.ready("second").await;
    world.logs_to("model", "first").await;
    world.remove("first").await;
    world.logs_to("model", "second").await;
    world.condition("second", "ModelsWired", "True").await;
    let second = world
        .api(TRUSTYAI)
        .get("second")
        .await
        .expect("the service");
    let mut conditions = cluster::conditions(&second.data);
    assert!(conditions.all(|condition| condition["type"] != "WiringConflict"));
    world.remove("second").await;
    world.as_it_was(INFERENCE_SERVICE, &model).await;
}

#[tokio::test]
async fn models_in_the_mesh_are_led_to_tls() {
    let world = models(Platform::Kubernetes, "in-mesh").await;
    for crd in Foreign::Istio.crds().expect("the definitions") {
        cluster::apply_yaml(&world.client, "default", &crd)
            .await
            .expect("applied");
    }
    let model = world
        .model("model", "somebody", "Standard", Value::Null)
        .await;
    world
        .annotate("model", "sidecar.istio.io/inject", json!("true"))
        .await;
    world.service("tas", &files()).await;
    let both = [
        (DESTINATION_RULE, "tas-internal"),
        (VIRTUAL_SERVICE, "tas-redirect"),
    ];
    for (kind, name) in both {
        world.until(kind, name, |_| true).await;
    }
    // What somebody changes comes back.
    world
        .edit(
            DESTINATION_RULE,
            both[0].1,
            json!({"spec": {"host": "other"}}),
        )
        .await;
    world
        .edit(
            VIRTUAL_SERVICE,
            both[1].1,
            json!({"spec": {"hosts": ["other"]}}),
        )
        .await;
    for (kind, name) in both {
        world
            .until(kind, name, |object| {
                !object.data["spec"].to_string().contains("other")
            })
            .await;
    }
    world
        .annotate("model", "sidecar.istio.io/inject", json!(null))
        .await;
    for (kind, name) in both {
        let gone = cluster::until(&world.api(kind), name, SOON, |object| object.is_none()).await;
        gone.expect("gone");
    }
    world.remove("tas").await;
    world.as_it_was(INFERENCE_SERVICE, &model).await;
}

#[tokio::test]
async fn loggers_find_the_authority_where_kserve_looks_for_it() {
    // Of KServe's ConfigMap there is one in a cluster, so this test has a platform to itself.
    let world = models(Platform::OpenShift, "bundle").await;
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "inferenceservice-config"},
    "data": {
        "deploy": "{\"defaultDeploymentMode\": \"Standard\"}",
        "logger": "{\"caBundle\": \"logger-ca\", \"caCertFile\": \"service-ca.crt\"}",
    }});
    let kserve = world
        .cluster
        .namespace("kserve")
        .await
        .expect("a namespace");
    cluster::apply_yaml(&world.client, &kserve, &config.to_string())
        .await
        .expect("applied");
    world.model("model", "somebody", "", Value::Null).await;
    world.service("tas", &files()).await;
    world.logs_to("model", "tas").await;
    let is_filled = |map: &DynamicObject| map.data["data"]["service-ca.crt"].is_string();
    world.until(CONFIG_MAP, "logger-ca", is_filled).await;
    world.condition("tas", "ModelsWired", "True").await;
}
