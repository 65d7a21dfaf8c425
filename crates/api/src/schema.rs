//! Schemas as an API server wants them.
//!
//! What schemars derives is turned into the structural form of Kubernetes here, and types
//! whose derived schema is weaker than what Kubernetes itself uses get theirs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::rules;

/// A number with an optional suffix, as Kubernetes writes amounts (`500m`, `2Gi`).
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// A DNS domain, or nothing.
pub(crate) const DOMAIN: &str = r"^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9]))*)?$";

fn quantity() -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": QUANTITY,
        "x-kubernetes-int-or-string": true,
    })
}

/// Size of a volume: a quantity above zero.
pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    let mut schema = quantity();
    schema.insert("x-kubernetes-validations".into(), rules::extension(rules::POSITIVE_QUANTITY));
    schema
}

/// A number of pods, or a percentage.
pub(crate) fn count_or_percentage(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": "^[0-9]+%$",
        "minimum": 0,
        "maximum": i32::MAX,
        "x-kubernetes-int-or-string": true,
    })
}

/// Requests, limits and claims of a container, with the checks that a pod has.
pub(crate) fn resources(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "claims": {
                "description": "Resource claims of the pod that this container uses. Needs dynamic resource allocation in the cluster.",
                "type": "array",
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": {
                    "description": "One claim of the pod.",
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": {
                            "description": "Name of the claim in the pod.",
                            "type": "string",
                        },
                        "request": {
                            "description": "One request of the claim. Absent means the whole claim.",
                            "type": "string",
                        },
                    },
                },
            },
            "limits": {
                "description": "The most that the container may use, per resource.",
                "type": "object",
                "additionalProperties": (quantity()),
            },
            "requests": {
                "description": "What the scheduler reserves for the container, per resource. Absent means the limits.",
                "type": "object",
                "additionalProperties": (quantity()),
            },
        },
    })
}

/// Conditions with the limits of Kubernetes' own type.
///
/// A plain list, without the markers of a map by type: objects in clusters were stored
/// under a schema without them.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "items": {
            "description": "One aspect of the state of the resource.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {
                    "description": "Name of the condition.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                },
                "status": {
                    "description": "Whether the condition holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "reason": {
                    "description": "Why, as one word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "message": {
                    "description": "Why, as a sentence for people.",
                    "type": "string",
                    "maxLength": 32768,
                },
                "lastTransitionTime": {
                    "description": "When the status last changed.",
                    "type": "string",
                    "format": "date-time",
                },
                "observedGeneration": {
                    "description": "Generation of the resource that the condition speaks of. Older than metadata.generation means out of date.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
            },
        },
    })
}

/// A list whose entries have a unique `name`, so that several writers can each apply theirs.
pub(crate) fn list_map_by_name<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": (generator.subschema_for::<T>()),
    })
}

/// The definition in the form that is served.
///
/// - `spec` is not required: a resource without one has always been accepted.
/// - No field is nullable. The API server drops an explicit null of such a field before it
///   validates, and puts the default in its place where there is one.
#[must_use]
pub fn structural(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(root) = root_mut(version) {
            root.required = None;
            for top in root.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
                top.default = None;
            }
            visit(root, &mut |schema| schema.nullable = None);
        }
    }
    crd
}

fn root_mut(version: &mut CustomResourceDefinitionVersion) -> Option<&mut JSONSchemaProps> {
    version.schema.as_mut()?.open_api_v3_schema.as_mut()
}

fn visit(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        visit(property, change);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values, change);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        visit(items, change);
    }
}
