//! MLflow: its CEL rules as an API server evaluates them, its defaults, and what is stored as it is
//! read.
#![cfg(test)]

#[path = "support/defaulted.rs"]
mod defaulted;

use api::mlflow::rules;
use api::mlflow::v1::{MLflow, MigrationMode};
use defaulted::defaulted;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::core::cel::Validator;
use serde_json::{Value, json};

/// A server whose spec has these fields over a sound one; null takes a field away.
fn server(fields: &Value) -> Value {
    let mut spec = json!({"backendStoreUri": "sqlite:////mlflow/mlflow.db",
        "serveArtifacts": true, "storage": {}});
    for (name, value) in fields.as_object().expect("fields") {
        spec[name] = value.clone();
    }
    let fields = spec.as_object_mut().expect("an object");
    fields.retain(|_, value| !value.is_null());
    json!({"apiVersion": "mlflow.opendatahub.io/v1", "kind": "MLflow",
        "metadata": {"name": "mlflow"}, "spec": spec})
}

fn refusals(fields: &Value) -> Vec<String> {
    refused(&server(fields))
}

fn refused(object: &Value) -> Vec<String> {
    let crd = api::mlflow();
    let schema = crd.spec.versions[0].schema.clone().expect("a schema");
    let schema = serde_json::to_value(schema.open_api_v3_schema).expect("JSON");
    match Validator::new().validate(&schema, &defaulted(&crd, object.clone()), None) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
    }
}

#[test]
fn what_is_right_passes() {
    let secret = json!({"name": "db", "key": "uri"});
    for fields in [
        json!({}),
        json!({"backendStoreUri": null, "backendStoreUriFrom": secret, "storage": null}),
        json!({"backendStoreUri": "postgresql+psycopg2://u@db/m", "storage": null,
            "serveArtifacts": false, "defaultArtifactRoot": "s3://bucket"}),
        json!({"backendStoreUri": "mysql://u@db/m", "registryStoreUriFrom": secret,
            "readReplicaBackendStoreUriFrom": secret}),
        json!({"storage": {"size": "20Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"}}),
        json!({"storage": {"resources": {"requests": {"storage": "20Gi"}}, "accessModes": ["ReadWriteOnce"], "storageClassName": ""}}),
        json!({"networkPolicy": {"egress": "All"}}),
        json!({"networkPolicyEgressRules": [{"ports": [{"port": 443}]}]}),
        json!({"traceArchival": {"enabled": true, "location": "s3://b", "retention": "30d"}}),
        json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "c", "resourceClaimTemplateName": ""}]}),
        json!({"tls": {"secretName": "certificate"}}),
    ] {
        assert_eq!(refusals(&fields), Vec::<String>::new(), "{fields}");
    }
}

/// Every rule, broken alone where another does not speak of the same.
#[test]
fn what_is_wrong_is_refused_with_the_words_of_its_rule() {
    let secret = json!({"name": "db", "key": "uri"});
    let half = json!({"name": "", "key": "uri"});
    let archival = |field: &str| {
        let mut archival = json!({"enabled": true, "schedule": "0 0 * * *", "location": "s3://b", "retention": "30d"});
        archival[field] = json!("");
        json!({ "traceArchival": archival })
    };
    // Index of the rule in the list, and what breaks it.
    let cases = [
        (0, json!({"serveArtifacts": false})),
        (
            1,
            json!({"serveArtifacts": false, "defaultArtifactRoot": "file:///mlflow/artifacts"}),
        ),
        (2, json!({"backendStoreUri": null})),
        (3, json!({"backendStoreUriFrom": secret})),
        (
            4,
            json!({"readReplicaBackendStoreUri": "postgresql://r/m", "readReplicaBackendStoreUriFrom": secret}),
        ),
        (5, json!({"readReplicaBackendStoreUriFrom": half})),
        (
            6,
            json!({"registryStoreUri": "postgresql://r/m", "registryStoreUriFrom": secret}),
        ),
        (7, json!({"registryStoreUriFrom": half})),
        (8, json!({"backendStoreUri": "oracle://db"})),
        (9, json!({"readReplicaBackendStoreUri": "oracle://db"})),
        (10, json!({"registryStoreUri": "oracle://db"})),
        (11, json!({"storage": null})),
        (
            12,
            json!({"backendStoreUri": "postgresql://db/m", "storage": null, "readReplicaBackendStoreUri": "sqlite:////r.db"}),
        ),
        (
            13,
            json!({"backendStoreUri": "postgresql://db/m", "storage": null, "registryStoreUri": "sqlite:////r.db"}),
        ),
        (
            14,
            json!({"backendStoreUri": "postgresql://db/m", "storage": null, "artifactsDestination": "file:///a"}),
        ),
        (
            15,
            json!({"serveArtifacts": false, "defaultArtifactRoot": "s3://b", "artifactsDestination": "file:///a"}),
        ),
        (
            16,
            json!({"env": [{"name": "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "value": "true"}]}),
        ),
        (
            17,
            json!({"env": [{"name": "MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "value": "true"}]}),
        ),
        (18, json!({"networkPolicyEgressRules": [{}]})),
        (
            19,
            json!({"networkPolicyAdditionalEgressRules": [{"ports": [], "to": []}]}),
        ),
        (
            20,
            json!({"resourceClaims": [{"name": "gpu", "resourceClaimName": "a", "resourceClaimTemplateName": "b"}]}),
        ),
        (
            21,
            json!({"backendStoreUri": "postgresql://db/m", "storage": null, "traceArchival": {"location": "file:///a"}}),
        ),
        (22, archival("schedule")),
        (23, archival("location")),
        (24, archival("retention")),
        (
            25,
            json!({"networkPolicy": {"egress": "All"}, "networkPolicyAdditionalEgressRules": [{"ports": [{"port": 1}]}]}),
        ),
    ];
    assert_eq!(cases.len(), rules::SPEC.len(), "every rule has a case");
    for (index, fields) in cases {
        let found = refusals(&fields);
        assert_eq!(found, [rules::SPEC[index].message], "{fields}");
    }
}

#[test]
fn rules_further_down_have_their_words_too() {
    for (fields, message) in [
        (
            json!({"podLabels": {"a": "x".repeat(64)}}),
            rules::LABELS[0].message,
        ),
        (
            json!({"nodeSelector": {"a": "x".repeat(64)}}),
            rules::LABELS[0].message,
        ),
        (
            json!({"storage": {"size": "1Gi", "volumeName": "v"}}),
            rules::MIXED_STORAGE,
        ),
        (
            json!({"storage": {"size": 0}}),
            "size must be greater than zero",
        ),
        (
            json!({"tls": {"secretName": "a", "certManager": {"issuerRef": {"name": "b"}}}}),
            rules::TWO_CERTIFICATES,
        ),
    ] {
        assert_eq!(refusals(&fields), [message], "{fields}");
    }
}

#[test]
fn the_name_is_a_rule_of_the_definition() {
    let mut other = server(&json!({}));
    other["metadata"]["name"] = json!("production");
    assert_eq!(refused(&other), [rules::ONLY_NAME.message]);
    other["metadata"]["name"] = json!("x".repeat(41));
    assert_eq!(
        refused(&other),
        [rules::ONLY_NAME.message, rules::ROOT[0].message]
    );
}

fn read(fields: &Value) -> MLflow {
    serde_json::from_value(defaulted(&api::mlflow(), server(fields))).expect("it is read")
}

#[test]
fn defaults_are_those_of_the_go_operator() {
    let server = defaulted(&api::mlflow(), server(&json!({"traceArchival": {}})));
    let spec = &server["spec"];
    for (field, default) in [
        ("replicas", json!(1)),
        ("workers", json!(1)),
        ("migration", json!({"mode": "Automatic"})),
        ("serviceAccountName", json!("mlflow-sa")),
        (
            "traceArchival",
            json!({"enabled": false, "schedule": "0 */6 * * *", "maxTracesPerPass": 1000}),
        ),
    ] {
        assert_eq!(spec[field], default, "{field}");
    }
    assert_eq!(
        read(&json!({"garbageCollection": null}))
            .spec
            .migration
            .mode,
        MigrationMode::Automatic
    );
}

#[test]
fn both_shapes_of_storage_give_the_same_claim() {
    let short = json!({"storage": {"size": "20Gi", "storageClassName": "fast", "accessMode": "ReadWriteMany"}});
    let long = json!({"storage": {"resources": {"requests": {"storage": "20Gi"}},
        "storageClassName": "fast", "accessModes": ["ReadWriteMany"]}});
    let claim = |fields| read(&fields).spec.storage.expect("storage").claim();
    assert_eq!(claim(short.clone()), claim(long));
    let requests = claim(short)
        .resources
        .and_then(|resources| resources.requests);
    assert_eq!(
        requests.expect("requests")["storage"],
        Quantity("20Gi".into())
    );
}

/// What this operator does not know of an environment variable is not lost.
#[test]
fn a_source_of_a_newer_kubernetes_is_kept() {
    let env = json!([{"name": "A", "valueFrom": {"fileKeyRef": {"key": "k", "path": "p", "volumeName": "tmp", "optional": false}}}]);
    let read = read(&json!({"env": env}));
    assert_eq!(serde_json::to_value(read.spec.env).expect("JSON"), env);
}
