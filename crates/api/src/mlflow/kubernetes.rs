//! Schemas of Kubernetes' own types, as an API server has them.
//!
//! What is derived from the types lacks what Go's markers say: which amounts are quantities, which
//! objects are one value for whoever applies them, and that the name of a referent may be empty.

use k8s_openapi::api::core::v1::EnvVar;
use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::schema as schemas;

/// Objects that are applied as one value, by the names of their fields, and whether the name of
/// what they refer to may be empty.
const ATOMIC: &[(&[&str], bool)] = &[
    (&["key", "name", "optional"], true),
    (&["name", "optional"], true),
    (&["apiVersion", "fieldPath"], false),
    (&["containerName", "divisor", "resource"], false),
    (&["matchExpressions", "matchLabels"], false),
    (&["matchExpressions", "matchFields"], false),
    (&["nodeSelectorTerms"], false),
    (&["apiGroup", "kind", "name"], false),
];

/// The schema of a type of Kubernetes in which every number that may be a text is a quantity.
pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    marked::<T>(generator, &|amount| {
        let quantity = schemas::quantity();
        amount.extend(quantity.as_object().cloned().unwrap_or_default());
    })
}

/// A list of such.
pub(super) fn list<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": (schema::<T>(generator))})
}

/// A list of such whose entries have a unique `name`.
pub(super) fn list_by_name<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut list = list::<T>(generator);
    list.insert("x-kubernetes-list-type".into(), "map".into());
    list.insert("x-kubernetes-list-map-keys".into(), json!(["name"]));
    list
}

/// Rules of a NetworkPolicy. Ports are numbers or names there.
pub(super) fn egress(generator: &mut SchemaGenerator) -> Schema {
    let rule = marked::<NetworkPolicyEgressRule>(generator, &|_| {});
    json_schema!({"type": "array", "maxItems": 32, "items": (rule)})
}

/// Who may call.
pub(super) fn peers(generator: &mut SchemaGenerator) -> Schema {
    let peer = schema::<NetworkPolicyPeer>(generator);
    json_schema!({"type": "array", "maxItems": 32, "items": (peer)})
}

/// Conditions, one of each type.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    let mut list = schemas::conditions(generator);
    list.insert("x-kubernetes-list-type".into(), "map".into());
    list.insert("x-kubernetes-list-map-keys".into(), json!(["type"]));
    list
}

/// Environment variables, with the source that Kubernetes 1.34 added.
pub(super) fn environment(generator: &mut SchemaGenerator) -> Schema {
    let mut list = list::<EnvVar>(generator);
    let sources = list
        .as_object_mut()
        .and_then(|list| list.get_mut("items"))
        .and_then(|items| items.pointer_mut("/properties/valueFrom/properties"));
    if let Some(sources) = sources.and_then(Value::as_object_mut) {
        let file = json!({
            "description": "A key of a file in a volume of the pod, as a container before this one wrote it. Needs Kubernetes 1.34 with its feature EnvFiles.",
            "type": "object",
            "x-kubernetes-map-type": "atomic",
            "required": ["key", "path", "volumeName"],
            "properties": {
                "key": {"description": "The key in the file.", "type": "string"},
                "optional": {"description": "Whether the container starts without it.", "type": "boolean", "default": false},
                "path": {"description": "The file, relative to the volume.", "type": "string"},
                "volumeName": {"description": "Name of the volume.", "type": "string"},
            },
        });
        sources.insert("fileKeyRef".into(), file);
    }
    list
}

fn marked<T: JsonSchema>(
    generator: &mut SchemaGenerator,
    amount: &dyn Fn(&mut Map<String, Value>),
) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    if let Some(schema) = schema.as_object_mut() {
        mark(schema, amount);
    }
    schema
}

fn mark(schema: &mut Map<String, Value>, amount: &dyn Fn(&mut Map<String, Value>)) {
    if schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        amount(schema);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(key).and_then(Value::as_object_mut) {
            mark(inner, amount);
        }
    }
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for property in properties.values_mut().filter_map(Value::as_object_mut) {
        mark(property, amount);
    }
    let mut names: Vec<&str> = properties.keys().map(String::as_str).collect();
    names.sort_unstable();
    let Some((_, nameless)) = ATOMIC.iter().find(|(fields, _)| *fields == names) else {
        return;
    };
    if *nameless && let Some(name) = properties.get_mut("name").and_then(Value::as_object_mut) {
        name.insert("default".into(), "".into());
    }
    if *nameless && let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|field| field != "name");
        if required.is_empty() {
            schema.remove("required");
        }
    }
    schema.insert("x-kubernetes-map-type".into(), "atomic".into());
}
