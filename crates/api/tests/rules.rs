//! The CEL rules, evaluated as an API server does.
#![cfg(test)]

mod support;

use std::sync::LazyLock;

use api::rules::{NAMESPACE, SERVICE_ACCOUNT, VIEWER_BY_METHOD};
use kube::core::cel::Validator;
use serde_json::{Value, json};
use support::{MODEL_REGISTRY, defaulted, resource};

/// The messages that the schema of v1beta1 has for a spec, after defaulting.
fn refusals(spec: &Value) -> Vec<String> {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let version = &MODEL_REGISTRY.spec.versions[0];
        let schema = version
            .schema
            .as_ref()
            .and_then(|schema| schema.open_api_v3_schema.as_ref());
        serde_json::to_value(schema.expect("a schema")).expect("JSON")
    });
    let resource = defaulted(&MODEL_REGISTRY, resource(spec));
    match Validator::new().validate(&SCHEMA, &resource, None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

const NO_HOST: &str = "GenerateDeployment must be set to true if host/hostAddress are not provided";
const NO_USER: &str = "Username must be set if database is specified";
const HOST_AND_GENERATE: &str =
    "host and hostAddress must not be set when generateDeployment is true";
const TWO_PROXIES: &str = "Cannot use both oauthProxy and kubeRBACProxy";
const HALF_A_CERTIFICATE: &str = "tlsCertificateSecret and tlsKeySecret MUST be set together";
const CONTRADICTION: &str = "authentication None contradicts kubeRBACProxy and oauthProxy; remove authentication to keep the proxy, or remove the proxy";
const ONE_OF_TWO: &str = "set exactly one of minAvailable and maxUnavailable";
const NO_SIZE: &str = "size must be greater than zero";

#[test]
fn what_is_right_passes() {
    let key = json!({"name": "tls", "key": "tls.crt"});
    for spec in [
        json!({"rest": {}}),
        json!({"rest": {}, "kubeRBACProxy": {}, "grpc": {}}),
        json!({"rest": {}, "oauthProxy": {}}),
        json!({"rest": {}, "kubeRBACProxy": {"tlsCertificateSecret": key, "tlsKeySecret": key}}),
        json!({"rest": {}, "postgres": {"generateDeployment": true}}),
        json!({"rest": {}, "postgres": {"generateDeployment": true, "host": "", "hostAddress": ""}}),
        json!({"rest": {}, "postgres": {"host": "db"}}),
        json!({"rest": {}, "postgres": {"hostAddress": "192.0.2.1"}}),
        json!({"rest": {}, "postgres": {"host": "db", "generateDeployment": false}}),
        json!({"rest": {}, "postgres": {"host": "db", "database": "models", "username": "ann"}}),
        json!({"rest": {}, "postgres": {"host": "db", "database": ""}}),
        json!({"rest": {}, "postgres": {"generateDeployment": true, "storage": {"size": "1Gi"}}}),
        json!({"rest": {}, "authentication": "None"}),
        json!({"rest": {}, "access": [{"role": "user", "groups": ["system:authenticated"]}]}),
        json!({"rest": {}, "kubeRBACProxy": {"authorization": "ByMethod"}, "access": [
            {"users": ["ann@example.test", "system:serviceaccount:ds1:a"], "namespaces": ["ds1", "2"]},
            {"role": "viewer", "serviceAccounts": [{"namespace": "ds1", "name": "a.b"}]}]}),
        json!({"rest": {}, "authentication": "KubeRBACProxy", "kubeRBACProxy": {}}),
        json!({"rest": {}, "operand": {"podDisruptionBudget": {"minAvailable": 1}}}),
        json!({"rest": {}, "operand": {"podDisruptionBudget": {"maxUnavailable": "50%"}}}),
    ] {
        assert_eq!(refusals(&spec), Vec::<String>::new(), "{spec}");
    }
}

#[test]
fn what_is_wrong_is_refused_with_the_message() {
    let key = json!({"name": "tls", "key": "tls.crt"});
    for (spec, message) in [
        (json!({"rest": {}, "postgres": {}}), NO_HOST),
        (json!({"rest": {}, "postgres": {"host": ""}}), NO_HOST),
        (
            json!({"rest": {}, "postgres": {"hostAddress": ""}}),
            NO_HOST,
        ),
        (
            json!({"rest": {}, "postgres": {"generateDeployment": false}}),
            NO_HOST,
        ),
        (
            json!({"rest": {}, "postgres": {"host": "db", "database": "models"}}),
            NO_USER,
        ),
        (
            json!({"rest": {}, "postgres": {"host": "db", "database": "models", "username": ""}}),
            NO_USER,
        ),
        (
            json!({"rest": {}, "postgres": {"generateDeployment": true, "host": "db"}}),
            HOST_AND_GENERATE,
        ),
        (
            json!({"rest": {}, "postgres": {"generateDeployment": true, "hostAddress": "192.0.2.1"}}),
            HOST_AND_GENERATE,
        ),
        (
            json!({"rest": {}, "postgres": {"generateDeployment": true, "storage": {"size": "0"}}}),
            NO_SIZE,
        ),
        (
            json!({"rest": {}, "oauthProxy": {}, "kubeRBACProxy": {}}),
            TWO_PROXIES,
        ),
        (
            json!({"rest": {}, "kubeRBACProxy": {"tlsKeySecret": key}}),
            HALF_A_CERTIFICATE,
        ),
        (
            json!({"rest": {}, "oauthProxy": {"tlsCertificateSecret": key}}),
            HALF_A_CERTIFICATE,
        ),
        (
            json!({"rest": {}, "authentication": "None", "kubeRBACProxy": {}}),
            CONTRADICTION,
        ),
        (
            json!({"rest": {}, "authentication": "None", "oauthProxy": {}}),
            CONTRADICTION,
        ),
        (
            json!({"rest": {}, "access": [{"role": "viewer"}]}),
            VIEWER_BY_METHOD,
        ),
        (
            json!({"rest": {}, "kubeRBACProxy": {"authorization": "Get"}, "access": [{}, {"role": "viewer"}]}),
            VIEWER_BY_METHOD,
        ),
        (
            json!({"rest": {}, "access": [{"namespaces": ["a.b"]}]}),
            NAMESPACE[0].message,
        ),
        (
            json!({"rest": {}, "access": [{"serviceAccounts": [{"namespace": "A", "name": "a"}]}]}),
            NAMESPACE[0].message,
        ),
        (
            json!({"rest": {}, "access": [{"serviceAccounts": [{"namespace": "a", "name": "a."}]}]}),
            SERVICE_ACCOUNT[0].message,
        ),
        (
            json!({"rest": {}, "operand": {"podDisruptionBudget": {}}}),
            ONE_OF_TWO,
        ),
        (
            json!({"rest": {}, "operand": {"podDisruptionBudget": {"minAvailable": 1, "maxUnavailable": 1}}}),
            ONE_OF_TWO,
        ),
    ] {
        assert_eq!(refusals(&spec), [message], "{spec}");
    }
}
