//! MLflowConfig and MLflowOperator: their CEL rules as an API server evaluates them.
#![cfg(test)]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::cel::Validator;
use serde_json::{Value, json};

fn refusals(crd: &CustomResourceDefinition, name: &str, spec: &Value) -> Vec<String> {
    let object = json!({"metadata": {"name": name}, "spec": spec});
    let schema = crd.spec.versions[0].schema.clone().expect("a schema");
    let schema = serde_json::to_value(schema.open_api_v3_schema).expect("JSON");
    match Validator::new().validate(&schema, &object, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

#[test]
fn there_is_one_module() {
    let crd = api::mlflow_operator();
    assert!(refusals(&crd, "default-mlflowoperator", &json!({})).is_empty());
    assert_eq!(
        refusals(&crd, "another", &json!({})),
        ["MLflowOperator name must be default-mlflowoperator"]
    );
}

#[test]
fn a_namespaces_configuration_has_one_name_and_one_secret() {
    let crd = api::mlflow_config();
    let secret = "mlflow-artifact-connection";
    let path = |path: &str| json!({"artifactRootSecret": secret, "artifactRootPath": path});
    for spec in [
        json!({"artifactRootSecret": secret}),
        path(""),
        path("team/experiments"),
        path("a..b/...c"),
    ] {
        assert_eq!(
            refusals(&crd, "mlflow", &spec),
            Vec::<String>::new(),
            "{spec}"
        );
    }
    for (name, spec, message) in [
        (
            "other",
            json!({"artifactRootSecret": secret}),
            "MLflowConfig resource name must be 'mlflow'",
        ),
        (
            "mlflow",
            json!({"artifactRootSecret": "other"}),
            "artifactRootSecret must be 'mlflow-artifact-connection'",
        ),
        ("mlflow", path("/team"), "artifactRootPath must be relative"),
        (
            "mlflow",
            path(".."),
            "artifactRootPath must not contain '..' path segments",
        ),
        (
            "mlflow",
            path("a/../b"),
            "artifactRootPath must not contain '..' path segments",
        ),
    ] {
        assert_eq!(refusals(&crd, name, &spec), [message], "{spec}");
    }
}
