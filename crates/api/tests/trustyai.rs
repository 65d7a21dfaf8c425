//! TrustyAIService: its CEL rules as an API server evaluates them, and what is stored as it is read.
#![cfg(test)]

use api::trustyai::rules;
use api::trustyai::v1::{TrustyAIService, TrustyAIServiceSpec};
use kube::core::cel::Validator;
use serde_json::{Value, json};

/// A service whose spec has these fields over a sound one; null takes a field away.
fn service(fields: &Value) -> Value {
    let mut spec = json!({"metrics": {"schedule": "5s"},
        "storage": {"format": "PVC", "folder": "/inputs", "size": "1Gi"}});
    for (name, value) in fields.as_object().expect("fields") {
        spec[name] = value.clone();
    }
    let fields = spec.as_object_mut().expect("an object");
    fields.retain(|_, value| !value.is_null());
    json!({"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
        "metadata": {"name": "tas", "namespace": "models"}, "spec": spec})
}

/// The messages of both versions, which are the same.
fn refusals(fields: &Value) -> Vec<String> {
    let mut all = api::trustyai().spec.versions.into_iter().map(|version| {
        let schema = version.schema.and_then(|schema| schema.open_api_v3_schema);
        let schema = serde_json::to_value(schema.expect("a schema")).expect("JSON");
        match Validator::new().validate(&schema, &service(fields), None) {
            Ok(()) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.message.clone()).collect(),
        }
    });
    let (first, second) = (all.next(), all.next());
    assert_eq!(first, second, "versions differ");
    first.expect("a version")
}

#[test]
fn what_is_right_passes() {
    for fields in [
        json!({}),
        json!({"metrics": null, "trustyaiMetrics": {"schedule": "15s"}}),
        json!({"storage": {"format": "PVC", "folder": "inputs"}}),
        json!({"storage": {"format": "PVC", "folder": "/inputs", "size": ""}}),
        json!({"storage": {"format": "PVC", "folder": "/inputs", "pv": "mypv", "storageClassName": ""}}),
        json!({"storage": {"format": "PVC", "folder": "/inputs", "existingClaim": "c"}}),
        // All of these ran, or waited for something, under the Go operator.
        json!({"storage": {"format": "DATABASE"}}),
        json!({"storage": {"format": "DATABASE", "folder": "/", "size": "lots"}}),
        json!({"metrics": {"schedule": "", "batchSize": -1}, "replicas": -1}),
        json!({"replicas": 3}),
        json!({"operand": {"replicas": 3}}),
        json!({"serviceMonitoring": {"enabled": false}}),
        json!({"serviceMonitoring": {"interval": "15s", "ref": {"spec": {"endpoints": [{}]}}}}),
    ] {
        assert_eq!(refusals(&fields), Vec::<String>::new(), "{fields}");
    }
}

#[test]
fn what_can_never_run_is_refused_with_the_remedy() {
    let storage = |more: Value| {
        let mut storage = json!({"format": "PVC", "folder": "/inputs", "size": "1Gi"});
        for (name, value) in more.as_object().expect("fields") {
            storage[name] = value.clone();
        }
        json!({ "storage": storage })
    };
    for (fields, message) in [
        (json!({"metrics": null}), rules::ONE_METRICS),
        (
            json!({"trustyaiMetrics": {"schedule": "5s"}}),
            rules::ONE_METRICS,
        ),
        (
            json!({"replicas": 1, "operand": {"replicas": 1}}),
            rules::ONE_REPLICAS,
        ),
        (json!({"storage": {"format": "PVC"}}), rules::NO_FOLDER),
        (storage(json!({"folder": ""})), rules::NO_FOLDER),
        (storage(json!({"folder": "//"})), rules::BAD_FOLDER),
        (storage(json!({"folder": "/a:b"})), rules::BAD_FOLDER),
        (
            storage(json!({"folder": "/etc/tls/internal"})),
            rules::BAD_FOLDER,
        ),
        (storage(json!({"size": "lots"})), rules::BAD_SIZE),
        (storage(json!({"size": "0"})), rules::BAD_SIZE),
        (
            storage(json!({"existingClaim": "c", "pv": "v"})),
            rules::EXISTING_CLAIM,
        ),
        (
            json!({"serviceMonitoring": {"enabled": false, "interval": "5s"}}),
            rules::MONITORING[0].message,
        ),
    ] {
        assert_eq!(refusals(&fields), [message], "{fields}");
    }
}

fn read(service: Value) -> TrustyAIService {
    serde_json::from_value(service).expect("a service")
}

#[test]
fn one_stored_without_a_spec_is_read() {
    for spec in [json!({}), json!({"spec": null})] {
        let mut service = service(&json!({}));
        service.as_object_mut().expect("an object").remove("spec");
        if let Some(spec) = spec.get("spec") {
            service["spec"] = spec.clone();
        }
        assert_eq!(read(service).spec, TrustyAIServiceSpec::default());
    }
}

#[test]
fn conditions_of_an_earlier_time_are_read() {
    let mut service = service(&json!({}));
    service["status"] = json!({"phase": "Ready", "conditions": [
        {"type": "Ready", "status": "True"},
        {"type": "StorageReady", "status": "True", "lastUpdateTime": "2024-01-01T00:00:00Z"}]});
    let status = read(service).status.expect("a status");
    let types: Vec<&str> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(types, ["Ready", "StorageReady"]);
}

#[test]
fn either_name_gives_the_metrics() {
    let other = json!({"metrics": null, "trustyaiMetrics": {"schedule": "15s", "batchSize": 7}});
    for (fields, schedule) in [(json!({}), "5s"), (other, "15s")] {
        let service = read(service(&fields));
        let metrics = service.spec.metrics().expect("metrics");
        assert_eq!(metrics.schedule, schedule);
    }
}
