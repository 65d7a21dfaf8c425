//! Models of KServe and ModelMesh, as somebody else makes them.

use cluster::{Platform, StandIn, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use resources::kind::{CONFIG_MAP, DEPLOYMENT};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{COLLECTED, SOON, TRUSTYAI, World, world};

/// How KServe is told in which way a model runs.
pub(crate) const MODE: &str = "serving.kserve.io/deploymentMode";
/// ModelMesh's ConfigMap.
pub(crate) const CONFIG: &str = "model-serving-config";

/// A namespace of a cluster that has InferenceServices.
pub(crate) async fn models(platform: Platform, prefix: &str) -> World {
    let world = world(platform, prefix).await;
    let installed = world.cluster.install(StandIn::InferenceService).await;
    installed.expect("the API");
    let api = world.api(INFERENCE_SERVICE);
    eventually("InferenceServices are served", SOON, || async {
        let all = api.list(&ListParams::default()).await;
        all.map(drop).map_err(|error| error.to_string())
    })
    .await
    .expect("served");
    world
}

impl World {
    /// A model of somebody else, written as `manager`.
    pub(crate) async fn model(
        &self,
        name: &str,
        manager: &str,
        mode: &str,
        logger: Value,
    ) -> DynamicObject {
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

    /// A server of ModelMesh, with pods of this spec.
    pub(crate) async fn server(&self, name: &str, manager: &str, spec: Value) -> DynamicObject {
        let labels = json!({"name": name});
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "labels": {"modelmesh-service": "modelmesh-serving"}},
            "spec": {"selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec}},
        });
        self.create(DEPLOYMENT, manager, object).await
    }

    /// Makes an object as `manager`.
    pub(crate) async fn create(
        &self,
        kind: resources::Kind,
        manager: &str,
        object: Value,
    ) -> DynamicObject {
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

    /// Edits the spec of service `tas`.
    pub(crate) async fn set(&self, spec: Value) {
        self.edit(TRUSTYAI, "tas", json!({ "spec": spec })).await;
    }

    /// Annotates a model; null takes the annotation away.
    pub(crate) async fn annotate(&self, model: &str, key: &str, value: Value) {
        let annotations = json!({"metadata": {"annotations": {key: value}}});
        self.edit(INFERENCE_SERVICE, model, annotations).await;
    }

    /// Waits until a model sends to a service.
    pub(crate) async fn logs_to(&self, model: &str, service: &str) -> DynamicObject {
        let url = format!("https://{service}.{}.svc.cluster.local", self.namespace);
        let wired = |model: &DynamicObject| logger(model)["url"] == url.as_str();
        self.until(INFERENCE_SERVICE, model, wired).await
    }

    /// Waits until the object is as `before`.
    pub(crate) async fn as_it_was(&self, kind: resources::Kind, before: &DynamicObject) {
        let wanted = content(before);
        let name = before.name_any();
        self.until(kind, &name, |object| content(object) == wanted)
            .await;
    }

    /// Deletes a service and waits until it is gone.
    pub(crate) async fn remove(&self, service: &str) {
        let params = DeleteParams::foreground();
        let services = self.api(TRUSTYAI);
        let gone = cluster::remove(&services, service, &params, COLLECTED).await;
        gone.expect("gone");
    }

    /// Waits until `config.yaml` is this text.
    pub(crate) async fn serving_config(&self, text: &str) {
        let text = text.replace("URL", &self.processor("tas"));
        let is_so = |config: &DynamicObject| config.data["data"]["config.yaml"] == text.as_str();
        self.until(CONFIG_MAP, CONFIG, is_so).await;
    }

    /// How ModelMesh's ConfigMap names a service.
    pub(crate) fn processor(&self, service: &str) -> String {
        format!(
            "http://{service}.{}.svc.cluster.local/consumer/kserve/v2",
            self.namespace
        )
    }
}

/// The logger of a model.
pub(crate) fn logger(model: &DynamicObject) -> &Value {
    &model.data["spec"]["predictor"]["logger"]
}

/// What somebody wrote into an object.
pub(crate) fn content(object: &DynamicObject) -> Value {
    let meta = &object.metadata;
    let annotations = meta.annotations.iter().flatten();
    let annotations: Vec<_> = annotations
        .filter(|(key, _)| !key.starts_with("deployment.kubernetes.io/"))
        .collect();
    let data = object.data.get("data");
    json!({"uid": meta.uid, "labels": meta.labels, "annotations": annotations,
        "spec": object.data.get("spec"), "data": data})
}
