//! The platform's MLflowOperator.

use cluster::{Cluster, Options, until};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject};
use mlflow_operator::kinds::MLFLOW;
use mlflow_operator::module::{MLFLOW_OPERATOR, PLATFORM_CONFIG, SINGLETON};
use operator_harness::{COLLECTED, SOON};
use resources::kind::{CONFIG_MAP, DEFINITION, DEPLOYMENT};
use serde_json::{Value, json};

use crate::world::{OPERATOR, World, install, run, world};

fn module(spec: Option<Value>) -> Value {
    let mut module = json!({"apiVersion": "components.platform.opendatahub.io/v1alpha1",
        "kind": "MLflowOperator", "metadata": {"name": SINGLETON}});
    if let Some(spec) = spec {
        module["spec"] = spec;
    }
    module
}

fn condition<'a>(module: &'a DynamicObject, type_: &str) -> &'a Value {
    let conditions = module.data["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let found = conditions.find(|condition| condition["type"] == type_);
    found.unwrap_or(&Value::Null)
}

fn release<'a>(module: &'a DynamicObject, index: usize, field: &str) -> &'a Value {
    &module.data["status"]["releases"][index][field]
}

impl World {
    /// Waits until the status speaks of the newest generation and `holds`.
    async fn module(&self, holds: impl Fn(&DynamicObject) -> bool) -> DynamicObject {
        let api = self.api(MLFLOW_OPERATOR);
        let settled = |module: Option<&DynamicObject>| {
            module.is_some_and(|module| {
                let observed = &module.data["status"]["observedGeneration"];
                observed.as_i64() == module.metadata.generation && holds(module)
            })
        };
        let found = until(&api, SINGLETON, SOON, settled).await;
        found.expect("the status").expect("the module")
    }

    async fn platform_says(&self, version: &str) {
        self.apply(&json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": PLATFORM_CONFIG, "namespace": OPERATOR.0},
            "data": {"platformVersion": version}}))
            .await;
    }
}

#[tokio::test]
async fn the_platform_is_answered_as_it_says_more() {
    let world = world().await;
    // No spec at all, as the platform begins.
    world.apply(&module(None)).await;
    let pending = world
        .module(|m| condition(m, "Ready")["reason"] == "ConfigPending")
        .await;
    assert_eq!(
        pending.finalizers(),
        ["mlflow.opendatahub.io/mlflow-operator-protection"]
    );
    assert_eq!(pending.data["status"]["phase"], "Progressing");
    let message = condition(&pending, "Ready")["message"]
        .as_str()
        .expect("a message");
    assert!(
        message.contains("spec.gatewayName, spec.sectionTitle"),
        "{message}"
    );

    let spec = json!({"gatewayName": "data-science-gateway", "sectionTitle": "Open Data Hub"});
    world.apply(&module(Some(spec))).await;
    let ready = world
        .module(|m| condition(m, "Ready")["status"] == "True")
        .await;
    assert_eq!(ready.data["status"]["phase"], "Ready");
    assert_eq!(release(&ready, 0, "name"), "MLflow");

    world.platform_says("2.30.1").await;
    let named = world.module(|m| release(m, 0, "version") == "2.30.1").await;
    assert_eq!(release(&named, 0, "name"), "platform");
    assert_eq!(release(&named, 1, "version"), "3.14.0");

    world.platform_says("latest").await;
    let degraded = world
        .module(|m| condition(m, "Degraded")["reason"] == "PlatformVersionInvalid")
        .await;
    assert_eq!(condition(&degraded, "Ready")["status"], "True");
    assert_eq!(release(&degraded, 0, "version"), "2.30.1");
    world.platform_says("2.30.2").await;
    world
        .module(|m| condition(m, "Degraded").is_null() && release(m, 0, "version") == "2.30.2")
        .await;

    let config = world.within(OPERATOR.0, CONFIG_MAP);
    cluster::remove(&config, PLATFORM_CONFIG, &DeleteParams::default(), SOON)
        .await
        .expect("removed");
    world.module(|m| release(m, 0, "name") == "MLflow").await;
    operator_harness::at_rest(world.cluster, OPERATOR).await;
    world.delete(MLFLOW_OPERATOR, SINGLETON).await;
}

#[tokio::test]
async fn the_module_stays_until_the_last_mlflow_is_gone() {
    let world = world().await;
    world.mlflow().await;
    let spec = json!({"gatewayName": "g", "sectionTitle": "s"});
    world.apply(&module(Some(spec))).await;
    world
        .module(|m| condition(m, "Ready")["status"] == "True")
        .await;

    let api = world.api(MLFLOW_OPERATOR);
    api.delete(SINGLETON, &DeleteParams::default())
        .await
        .expect("deleted");
    let held = world
        .module(|m| condition(m, "Ready")["reason"] == "MLflowInstancesPresent")
        .await;
    let message = condition(&held, "Ready")["message"]
        .as_str()
        .expect("a message");
    let start = "cannot delete MLflowOperator while 1 MLflow instance(s) still exist";
    assert!(message.starts_with(start), "{message}");
    assert_eq!(held.data["status"]["phase"], "Progressing");
    assert_eq!(held.finalizers().len(), 1);

    world.delete(MLFLOW, "mlflow").await;
    until(&api, SINGLETON, SOON, |module| module.is_none())
        .await
        .expect("gone");
}

#[tokio::test]
async fn the_schema_knows_one_name_of_each_kind() {
    let world = world().await;
    let refused = async |document: Value| {
        let text = document.to_string();
        let error = cluster::apply_yaml(&world.client, OPERATOR.0, &text).await;
        error.expect_err("refused").to_string()
    };
    let mut other = module(None);
    other["metadata"]["name"] = "other".into();
    let said = refused(other).await;
    assert!(
        said.contains("MLflowOperator name must be default-mlflowoperator"),
        "{said}"
    );

    let config = |name: &str, spec: Value| {
        json!({"apiVersion": "mlflow.kubeflow.org/v1", "kind": "MLflowConfig",
            "metadata": {"name": name}, "spec": spec})
    };
    let secret = "mlflow-artifact-connection";
    for (document, message) in [
        (
            config("other", json!({"artifactRootSecret": secret})),
            "MLflowConfig resource name must be 'mlflow'",
        ),
        (
            config("mlflow", json!({"artifactRootSecret": "other"})),
            "artifactRootSecret must be 'mlflow-artifact-connection'",
        ),
        (
            config(
                "mlflow",
                json!({"artifactRootSecret": secret, "artifactRootPath": "a/../b"}),
            ),
            "artifactRootPath must not contain '..' path segments",
        ),
    ] {
        let said = refused(document).await;
        assert!(said.contains(message), "{said}");
    }
    let sound = json!({"artifactRootSecret": secret, "artifactRootPath": "team/experiments"});
    world.apply(&config("mlflow", sound)).await;
}

#[tokio::test]
async fn a_definition_that_comes_later_is_used() {
    let options = Options {
        manifests: serde_json::to_string(&api::mlflow()).expect("a definition"),
        ..Options::default()
    };
    // It blocks until the cluster is ready.
    let start = tokio::task::spawn_blocking(move || Cluster::start(&options));
    let cluster = start.await.expect("no panic").expect("a cluster");
    let kubeconfig = install(&cluster).await;
    let client = cluster.client().expect("a client");
    let definitions = cluster::api_of(&client, None, DEFINITION);
    let name = "mlflowoperators.components.platform.opendatahub.io";
    let params = DeleteParams::default();
    cluster::remove(&definitions, name, &params, SOON)
        .await
        .expect("no definition");
    let operator = run(&kubeconfig);
    let apply = async |document: &str| {
        cluster::apply_yaml(&client, OPERATOR.0, document)
            .await
            .map_err(|e| e.to_string())
    };
    // It looks for its kinds side by side, and one of them is not there.
    let begun = cluster::eventually("it has begun", SOON, || async {
        let log = cluster.audit_since(0).await.map_err(|e| e.to_string())?;
        let requests = log.by_service_account(OPERATOR.0, OPERATOR.1);
        let mut requests = requests.iter();
        let listed = requests.any(|r| r.verb == "list" && r.resource == "namespaces");
        listed.then_some(()).ok_or("nothing is listed".to_owned())
    });
    begun.await.expect("begun");
    let definition = serde_json::to_string(&api::mlflow_operator()).expect("a definition");
    apply(&definition).await.expect("the definition");
    let module = module(None).to_string();
    let applied = cluster::eventually("the kind is served", SOON, || apply(&module));
    applied.await.expect("the module");
    let api = cluster::api_of(&client, None, MLFLOW_OPERATOR);
    let is_answered = |found: Option<&DynamicObject>| {
        found.is_some_and(|found| !condition(found, "Ready").is_null())
    };
    until(&api, SINGLETON, SOON, is_answered)
        .await
        .expect("an answer");
    operator.stop();
}

/// Status and reason of a condition of the MLflow.
fn says<'a>(mlflow: &'a DynamicObject, type_: &str) -> [&'a str; 2] {
    let condition = condition(mlflow, type_);
    ["status", "reason"].map(|field| condition[field].as_str().unwrap_or_default())
}

#[tokio::test]
async fn an_mlflow_waits_for_the_platform_and_runs_on_while_that_goes() {
    let world = world().await;
    world.mlflow().await;
    let mlflow = async |type_: &str, wanted: [&str; 2]| {
        let api = world.api(MLFLOW);
        let told = |found: Option<&DynamicObject>| found.is_some_and(|m| says(m, type_) == wanted);
        let found = until(&api, "mlflow", SOON, told).await;
        found.expect("the condition").expect("the MLflow")
    };
    let missing = "MLflowOperatorMissing";
    let waiting = mlflow("MLflowOperatorReady", ["False", missing]).await;
    assert_eq!(says(&waiting, "Available"), ["False", missing]);
    assert_eq!(says(&waiting, "Progressing"), ["True", missing]);
    assert_eq!(says(&waiting, "Ready"), ["False", missing]);
    let deployments = world.within(OPERATOR.0, DEPLOYMENT);
    let deployment = deployments.get_opt("mlflow").await.expect("an answer");
    assert!(deployment.is_none(), "nothing is made");

    // It says too little, and then enough.
    world.apply(&module(None)).await;
    mlflow("MLflowOperatorReady", ["False", "ConfigPending"]).await;
    let spec = json!({"gatewayName": "g", "sectionTitle": "s"});
    world.apply(&module(Some(spec))).await;
    let open = mlflow("MLflowOperatorReady", ["True", "Ready"]).await;
    assert_ne!(says(&open, "Available")[1], "ConfigPending");
    until(&deployments, "mlflow", SOON, |found| found.is_some())
        .await
        .expect("the server");
    mlflow("Available", ["True", "DeploymentReady"]).await;
    operator_harness::at_rest(world.cluster, OPERATOR).await;

    // The platform goes first: the server runs on, and nobody looks after it.
    let api = world.api(MLFLOW_OPERATOR);
    api.delete(SINGLETON, &DeleteParams::default())
        .await
        .expect("deleted");
    let alone = mlflow("MLflowOperatorReady", ["False", "MLflowInstancesPresent"]).await;
    assert_eq!(says(&alone, "Available"), ["True", "DeploymentReady"]);
    world.delete(MLFLOW, "mlflow").await;
    until(&api, SINGLETON, SOON, |module| module.is_none())
        .await
        .expect("gone");
    until(&deployments, "mlflow", COLLECTED, |found| found.is_none())
        .await
        .expect("collected");
}
