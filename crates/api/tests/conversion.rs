//! Conversion there and back, of anything that the schemas admit, with an API server's part in
//! between: it prunes what a version does not know, and puts in that version's defaults.
#![cfg(test)]

mod support;

use std::sync::LazyLock;

use api::arbitrary::{model_registry_spec, model_registry_v1alpha1_spec, text};
use api::modelregistry::conversion::convert;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use support::{MODEL_REGISTRY, defaulted, resource};

static V1ALPHA1: LazyLock<CustomResourceDefinition> = LazyLock::new(api::v1alpha1);

const OLD: &str = "modelregistry.opendatahub.io/v1alpha1";
const NEW: &str = "modelregistry.opendatahub.io/v1beta1";

fn definition(version: &str) -> &'static CustomResourceDefinition {
    if version == OLD {
        &V1ALPHA1
    } else {
        &MODEL_REGISTRY
    }
}

/// As the API server hands it out in this version.
fn served(object: Value, version: &str) -> Value {
    let crd = definition(version);
    let root = crd.spec.versions[0]
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref());
    let mut object = object;
    prune("", root.expect("a schema"), &mut object, &mut Vec::new());
    defaulted(crd, object)
}

/// Drops what the schema does not know, and names it.
fn prune(path: &str, schema: &JSONSchemaProps, value: &mut Value, dropped: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(properties) = &schema.properties {
                fields.retain(|name, _| {
                    let known = properties.contains_key(name);
                    if !known {
                        dropped.push(format!("{path}.{name}"));
                    }
                    known
                });
                for (name, field) in fields {
                    prune(&format!("{path}.{name}"), &properties[name], field, dropped);
                }
            } else if let Some(JSONSchemaPropsOrBool::Schema(values)) =
                &schema.additional_properties
            {
                for (name, field) in fields {
                    prune(&format!("{path}.{name}"), values, field, dropped);
                }
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                for item in items {
                    prune(&format!("{path}[]"), schema, item, dropped);
                }
            }
        }
        _ => {}
    }
}

/// What the schema requires and the value has not.
fn lacking(path: &str, schema: &JSONSchemaProps, value: &Value) -> Vec<String> {
    let Some(fields) = value.as_object() else {
        return Vec::new();
    };
    let required = schema.required.iter().flatten();
    let mut found: Vec<String> = required
        .filter(|name| !fields.contains_key(*name))
        .map(|name| format!("{path}.{name}"))
        .collect();
    for (name, field) in schema.properties.iter().flatten() {
        if let Some(value) = fields.get(name) {
            found.extend(lacking(&format!("{path}.{name}"), field, value));
        }
    }
    found
}

fn object(version: &str, spec: &Value) -> Value {
    let mut object = resource(spec);
    object["apiVersion"] = version.into();
    object["metadata"]["annotations"] = json!({"of": "somebody"});
    object["status"] = json!({"hosts": ["h"], "observedGeneration": 3, "url": "u"});
    object
}

fn there_and_back(spec: &Value, from: &str, to: &str) -> Result<(), TestCaseError> {
    let first = served(object(from, spec), from);
    let converted = convert(first.clone(), to).expect("a version");
    let root = definition(to).spec.versions[0]
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref());
    let root = root.expect("a schema");
    let mut dropped = Vec::new();
    prune("", root, &mut converted.clone(), &mut dropped);
    prop_assert_eq!(dropped, Vec::<String>::new(), "what would be pruned");
    prop_assert_eq!(
        lacking("", root, &converted),
        Vec::<String>::new(),
        "what would be refused"
    );
    let other = served(converted, to);
    let back = served(convert(other, from).expect("a version"), from);
    prop_assert_eq!(back, first);
    Ok(())
}

fn many(cases: u32) {
    let run = |specs: BoxedStrategy<Value>, from: &str, to: &str| {
        TestRunner::new(Config::with_cases(cases))
            .run(&specs, |spec| there_and_back(&spec, from, to))
    };
    run(model_registry_spec(&text()), NEW, OLD).expect("v1beta1 returns unchanged");
    run(model_registry_v1alpha1_spec(&text()), OLD, NEW).expect("v1alpha1 returns unchanged");
}

#[test]
fn nothing_is_lost_there_and_back() {
    many(1_000);
}

#[test]
#[ignore = "10,000 of each version; run with --full"]
fn nothing_is_lost_there_and_back_ten_thousand_times() {
    many(10_000);
}
