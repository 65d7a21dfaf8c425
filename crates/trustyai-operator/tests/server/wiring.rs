//! Models of KServe and ModelMesh send to a service, for as long as it is there.

use cluster::{Foreign, Platform, StandIn, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use resources::kind::{CONFIG_MAP, DEPLOYMENT, DESTINATION_RULE, VIRTUAL_SERVICE};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{COLLECTED, OPERATOR, SOON, TRUSTYAI, World, files, world};

const MODE: &str = "serving.kserve.io/deploymentMode";
const THEIRS: &str = "http://mine.example.test/";
const CONFIG: &str = "model-serving-config";

async fn models(platform: Platform, prefix: &str) -> World {
    let world = world(platform, prefix).await;
    let installed = world.cluster.install(StandIn::InferenceService).await;
    installed.expect("the API");
    let api = world.api(INFERENCE_SERVICE);
    eventually("InferenceServices are served", SOON, || async {
        let all = api.list(&kube::api::ListParams::default()).await;
        all.map(drop).map_err(|error| error.to_string())
    })
    .await
    .expect("served");
    world
}

impl World {
    /// A model of somebody else, written as `manager`.
    async fn model(&self, name: &str, manager: &str, mode: &str, logger: Value) -> DynamicObject {
        let mut predictor = json!({"model": {"modelFormat": {"name": "sklearn"}}});
        if !logger.is_null() {
            predictor["logger"] = logger;
        }
        let object = json!({
            "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": name, "annotations": {MODE: mode}},
            "spec": {"predictor": predictor},
        });
        self.create(INFERENCE_SERVICE, manager, object).await
    }

    /// A server of ModelMesh, with this environment.
    async fn server(&self, name: &str, manager: &str, spec: Value) -> DynamicObject {
        let labels = json!({"name": name});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": {"modelmesh-service": "modelmesh-serving"}},
            "spec": {"selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec}},
        });
        self.create(DEPLOYMENT, manager, object).await
    }

    async fn create(&self, kind: resources::Kind, manager: &str, object: Value) -> DynamicObject {
        let object = serde_json::from_value(object).expect("an object");
        let params = PostParams {
            field_manager: Some(manager.into()),
            ..PostParams::default()
        };
        self.api(kind)
            .create(&params, &object)
            .await
            .expect("created")
    }

    async fn logs_to(&self, model: &str, service: &str) -> DynamicObject {
        let url = format!("https://{service}.{}.svc.cluster.local", self.namespace);
        let wired = |model: &DynamicObject| logger(model)["url"] == url.as_str();
        self.until(INFERENCE_SERVICE, model, wired).await
    }

    /// Waits until the object is as `before`.
    async fn as_it_was(&self, kind: resources::Kind, before: &DynamicObject) {
        let wanted = content(before);
        let name = before.name_any();
        self.until(kind, &name, |object| content(object) == wanted)
            .await;
    }

    async fn remove(&self, service: &str) {
        let params = DeleteParams::foreground();
        let services = self.api(TRUSTYAI);
        let gone = cluster::remove(&services, service, &params, COLLECTED).await;
        gone.expect("gone");
    }

    /// Waits until `config.yaml` is this text.
    async fn serving_config(&self, text: &str) {
        let text = text.replace("URL", &self.processor("tas"));
        let is_so = |config: &DynamicObject| config.data["data"]["config.yaml"] == text.as_str();
        self.until(CONFIG_MAP, CONFIG, is_so).await;
    }

    fn processor(&self, service: &str) -> String {
        format!(
            "http://{service}.{}.svc.cluster.local/consumer/kserve/v2",
            self.namespace
        )
    }
}

fn logger(model: &DynamicObject) -> &Value {
    &model.data["spec"]["predictor"]["logger"]
}

/// What somebody wrote into an object.
fn content(object: &DynamicObject) -> Value {
    let meta = &object.metadata;
    let annotations = meta.annotations.iter().flatten();
    let annotations: Vec<_> = annotations
        .filter(|(key, _)| !key.starts_with("deployment.kubernetes.io/"))
        .collect();
    let data = object.data.get("data");
    json!({"uid": meta.uid, "labels": meta.labels, "annotations": annotations,
        "spec": object.data.get("spec"), "data": data})
}

fn method(method: &str) -> Value {
    let mut spec = files();
    spec["modelMesh"] = json!({"method": method});
    spec
}

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
    world
        .edit(
            INFERENCE_SERVICE,
            "later",
            json!({"metadata": {"annotations": {MODE: "ModelMesh"}}}),
        )
        .await;
    let is_free = |model: &DynamicObject| logger(model).is_null();
    world.until(INFERENCE_SERVICE, "later", is_free).await;
    world
        .edit(
            INFERENCE_SERVICE,
            "later",
            json!({"metadata": {"annotations": {MODE: "Standard"}}}),
        )
        .await;
    world.logs_to("later", "tas").await;

    // Somebody else's is replaced when that is asked for, and comes back.
    world
        .edit(
            TRUSTYAI,
            "tas",
            json!({"spec": {"kserve": {"existingLoggers": "Replace"}}}),
        )
        .await;
    world.logs_to("foreign", "tas").await;
    world.condition("tas", "ModelsWired", "True").await;
    world
        .edit(TRUSTYAI, "tas", json!({"spec": {"kserve": null}}))
        .await;
    world.as_it_was(INFERENCE_SERVICE, &foreign).await;
    world
        .edit(
            TRUSTYAI,
            "tas",
            json!({"spec": {"kserve": {"existingLoggers": "Replace"}}}),
        )
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
async fn modelmesh_is_told_by_the_environment_of_its_servers() {
    let world = models(Platform::Kubernetes, "mm-env").await;
    let listed = json!([{"name": "MM_PAYLOAD_PROCESSORS", "value": "http://theirs"}]);
    let listed = json!({"containers": [{"name": "mm", "image": "i", "env": listed}, {"name": "other", "image": "i"}]});
    let first = world
        .server("modelmesh-serving-a", "somebody", listed)
        .await;
    world.service("tas", &files()).await;
    let processor = format!("https://tas.{}.svc/consumer/kserve/v2", world.namespace);
    let value = |server: &DynamicObject| {
        server.data["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"].clone()
    };
    let both = json!(format!("http://theirs {processor}"));
    let wired = world
        .until(DEPLOYMENT, "modelmesh-serving-a", |s| value(s) == both)
        .await;
    assert_eq!(
        wired.metadata.generation,
        Some(2),
        "one change, one restart"
    );
    world.condition("tas", "ModelsWired", "True").await;
    // One that appears later, and one that loses what was set.
    let none = json!({"containers": [{"name": "mm", "image": "i"}]});
    let later = world.server("modelmesh-serving-b", "somebody", none).await;
    world
        .until(DEPLOYMENT, "modelmesh-serving-b", |s| {
            value(s) == processor.as_str()
        })
        .await;
    let reset = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/env/0/value", "value": "http://theirs"}]);
    let reset: json_patch::Patch = serde_json::from_value(reset).expect("a patch");
    world
        .api(DEPLOYMENT)
        .patch(
            "modelmesh-serving-a",
            &PatchParams::default(),
            &Patch::Json::<()>(reset),
        )
        .await
        .expect("reset");
    world
        .until(DEPLOYMENT, "modelmesh-serving-a", |s| value(s) == both)
        .await;
    world.condition("tas", "ModelMeshReady", "True").await;
    // Another way, and none.
    world
        .edit(
            TRUSTYAI,
            "tas",
            json!({"spec": {"modelMesh": {"method": "none"}}}),
        )
        .await;
    for before in [&first, &later] {
        world.as_it_was(DEPLOYMENT, before).await;
    }
    world.remove("tas").await;
    for before in [&first, &later] {
        world.as_it_was(DEPLOYMENT, before).await;
    }
}

#[tokio::test]
async fn modelmesh_is_told_by_its_config_map_of_which_nothing_is_lost() {
    let world = models(Platform::Kubernetes, "mm-config").await;
    let before = "# of the platform\npodsPerRuntime: 2\npayloadProcessors:\n- http://theirs\n";
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CONFIG},
        "data": {"config.yaml": before, "other": "x"}});
    let made = world.create(CONFIG_MAP, "somebody", config).await;
    world.service("tas", &method("configMap")).await;
    // Somebody else writes all the time.
    for round in 0..30 {
        world
            .edit(
                CONFIG_MAP,
                CONFIG,
                json!({"data": {"round": round.to_string()}}),
            )
            .await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    world
        .edit(CONFIG_MAP, CONFIG, json!({"data": {"round": null}}))
        .await;
    let wired =
        "# of the platform\npodsPerRuntime: 2\npayloadProcessors:\n- URL\n- http://theirs\n";
    world.serving_config(wired).await;
    world.condition("tas", "ModelsWired", "True").await;
    // Ours comes back, whatever somebody makes of the rest.
    for (theirs, wired) in [
        (
            "payloadProcessors: http://a,http://b\n",
            "payloadProcessors: URL,http://a,http://b\n",
        ),
        ("PayloadProcessors: []", "PayloadProcessors: [URL]"),
        ("a: 1", "payloadProcessors:\n- URL\na: 1"),
    ] {
        world
            .edit(CONFIG_MAP, CONFIG, json!({"data": {"config.yaml": theirs}}))
            .await;
        world.serving_config(wired).await;
    }
    world
        .edit(CONFIG_MAP, CONFIG, json!({"data": {"config.yaml": "a: ["}}))
        .await;
    let told = world.condition("tas", "ModelsWired", "False").await;
    let message = told["message"].as_str().unwrap_or_default();
    assert!(message.contains("not valid YAML"), "{message}");
    world.serving_config("a: [").await;
    world
        .edit(CONFIG_MAP, CONFIG, json!({"data": {"config.yaml": before}}))
        .await;
    world.serving_config(wired).await;
    world.remove("tas").await;
    world.as_it_was(CONFIG_MAP, &made).await;

    // One that was made for the service goes with it.
    let params = DeleteParams::default();
    let configs = world.api(CONFIG_MAP);
    cluster::remove(&configs, CONFIG, &params, SOON)
        .await
        .expect("gone");
    world.service("tas", &method("configMap")).await;
    world
        .serving_config("payloadProcessors:\n- URL\n# made by the TrustyAI operator\n")
        .await;
    world.condition("tas", "ModelsWired", "True").await;
    world.remove("tas").await;
    assert!(configs.get_opt(CONFIG).await.expect("an answer").is_none());
}

#[tokio::test]
async fn the_config_map_is_the_way_where_the_controller_runs() {
    let world = models(Platform::Kubernetes, "mm-auto").await;
    let labels = json!({"name": "controller"});
    let controller = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "modelmesh-controller"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "manager", "image": "i"}]}}},
    });
    world.create(DEPLOYMENT, "somebody", controller).await;
    let none = json!({"containers": [{"name": "mm", "image": "i"}]});
    let server = world.server("modelmesh-serving-a", "somebody", none).await;
    world.service("tas", &files()).await;
    world
        .serving_config("payloadProcessors:\n- URL\n# made by the TrustyAI operator\n")
        .await;
    world.as_it_was(DEPLOYMENT, &server).await;
    world.condition("tas", "ModelMeshReady", "True").await;
    // The other way undoes the first.
    world
        .edit(
            TRUSTYAI,
            "tas",
            json!({"spec": {"modelMesh": {"method": "env"}}}),
        )
        .await;
    let is_told = |server: &DynamicObject| server.data["spec"].to_string().contains("tas-internal");
    world
        .until(DEPLOYMENT, "modelmesh-serving-a", is_told)
        .await;
    let configs = world.api(CONFIG_MAP);
    let gone = cluster::until(&configs, CONFIG, SOON, |config| config.is_none()).await;
    gone.expect("gone");
    world.remove("tas").await;
    world.as_it_was(DEPLOYMENT, &server).await;
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
        .edit(
            INFERENCE_SERVICE,
            "model",
            json!({"metadata": {"annotations": {"sidecar.istio.io/inject": "true"}}}),
        )
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
        .edit(
            INFERENCE_SERVICE,
            "model",
            json!({"metadata": {"annotations": {"sidecar.istio.io/inject": null}}}),
        )
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
