//! What the API server fills in.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::Value;

/// A resource as the API server hands it out: an explicit null goes, as no field is
/// nullable, and an absent field gets its default.
pub(crate) fn defaulted(crd: &CustomResourceDefinition, mut resource: Value) -> Value {
    let root = crd.spec.versions[0]
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref());
    if let Some(root) = root {
        fill(root, &mut resource);
    }
    resource
}

fn fill(schema: &JSONSchemaProps, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let properties = schema.properties.as_ref();
            let values = match &schema.additional_properties {
                Some(JSONSchemaPropsOrBool::Schema(values)) => Some(&**values),
                _ => None,
            };
            let schema_of = |name: &str| {
                properties
                    .and_then(|properties| properties.get(name))
                    .or(values)
            };
            fields.retain(|name, field| !(field.is_null() && schema_of(name).is_some()));
            for (name, property) in properties.into_iter().flatten() {
                if let Some(default) = &property.default {
                    fields.entry(name).or_insert_with(|| default.0.clone());
                }
            }
            for (name, field) in fields.iter_mut() {
                if let Some(schema) = schema_of(name) {
                    fill(schema, field);
                }
            }
        }
        Value::Array(entries) => {
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
                for entry in entries {
                    fill(items, entry);
                }
            }
        }
        _ => {}
    }
}
