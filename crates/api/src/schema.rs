//! Schemas as an API server wants them.
//!
//! What schemars derives is turned into the structural form of Kubernetes here, and types
//! whose derived schema is weaker than what Kubernetes itself uses get theirs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::modelregistry::access::{Access, ServiceAccountReference};
use crate::rules;

/// A number with an optional suffix, as Kubernetes writes amounts (`500m`, `2Gi`).
const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

/// A DNS domain, or nothing.
pub(crate) const DOMAIN: &str = r"^(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])(\.([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]{0,61}[a-zA-Z0-9]))*)?$";

/// A name that may have dots: lower case, as in DNS.
pub(crate) const SUBDOMAIN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// A name without dots.
pub(crate) const LABEL: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Host names: at least one, and no more than an HTTPRoute may have.
pub(crate) fn hosts(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 16,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 253, "pattern": SUBDOMAIN},
    })
}

/// An amount: a number, or a text with a suffix.
pub(crate) fn quantity() -> Schema {
    json_schema!({
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": QUANTITY,
        "x-kubernetes-int-or-string": true,
    })
}

/// Size of a volume: a quantity above zero.
pub(crate) fn size(_: &mut SchemaGenerator) -> Schema {
    let mut schema = quantity();
    schema.insert(
        "x-kubernetes-validations".into(),
        rules::extension(rules::POSITIVE_QUANTITY),
    );
    schema
}

/// Most that a volume may hold: a quantity above zero.
pub(crate) fn size_limit(_: &mut SchemaGenerator) -> Schema {
    let mut schema = quantity();
    schema.insert(
        "x-kubernetes-validations".into(),
        rules::extension(rules::POSITIVE_SIZE_LIMIT),
    );
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

/// Most subjects of one kind that an entry of `access` has. Each becomes an object.
const SUBJECTS: usize = 128;

/// Names of users or groups, each once.
pub(crate) fn subjects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": SUBJECTS,
        "x-kubernetes-list-type": "set",
        "items": {"type": "string", "minLength": 1, "maxLength": 1024},
    })
}

/// Names of namespaces, each once.
pub(crate) fn namespaces(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": SUBJECTS,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 63,
            "x-kubernetes-validations": (rules::extension(rules::NAMESPACE)),
        },
    })
}

/// Service accounts, each once.
pub(crate) fn service_accounts(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": SUBJECTS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["namespace", "name"],
        "items": (generator.subschema_for::<ServiceAccountReference>()),
    })
}

/// Who is let in, with one entry for each role.
pub(crate) fn access(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 2,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["role"],
        "items": (generator.subschema_for::<Access>()),
    })
}

/// Leaves the description to the field that has the type.
///
/// Of an optional field, kube's rewriting keeps the description of the type and drops that
/// of the field, which says what absence means.
pub(crate) fn described_by_field(schema: &mut Schema) {
    schema.remove("description");
}

/// The definition in the form that is served.
///
/// - `spec` is not required: a resource without one has always been accepted.
/// - No field is nullable. The API server drops an explicit null of such a field before it
///   validates, and puts the default in its place where there is one.
/// - A number of 32 bits has its bounds. The API server does not check the format, and one
///   resource that does not fit the type keeps the whole list from being read.
/// - A field that takes a number or a string says so in the form that the API server
///   checks; the derive leaves the alternatives empty.
#[must_use]
pub fn structural(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    crd.spec.names.list_kind = Some(format!("{}List", crd.spec.names.kind));
    for version in &mut crd.spec.versions {
        let root = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut());
        let Some(root) = root else { continue };
        root.required = None;
        root.title = None;
        let properties = root.properties.get_or_insert_default();
        properties.insert("apiVersion".into(), described("string", API_VERSION));
        properties.insert("kind".into(), described("string", KIND));
        // The API server refuses a description here: it has its own.
        properties.insert("metadata".into(), typed("object"));
        visit(root, &mut |schema| {
            schema.nullable = None;
            if let Some(description) = &mut schema.description {
                *description = unwrapped(description);
            }
            if schema.format.as_deref() == Some("int32") {
                schema.minimum.get_or_insert(i32::MIN.into());
                schema.maximum.get_or_insert(i32::MAX.into());
            }
            if schema.x_kubernetes_int_or_string == Some(true) {
                schema.any_of = Some(vec![typed("integer"), typed("string")]);
            }
        });
    }
    crd
}

const API_VERSION: &str = "Group and version of the schema that this object is written in.";
const KIND: &str = "Kind of this object.";

/// A description without the line breaks that its doc comment has in the source. Blank
/// lines, lists and indented text stay.
fn unwrapped(description: &str) -> String {
    let mut text = String::with_capacity(description.len());
    for line in description.split('\n') {
        let continues = line.starts_with(|first: char| first.is_alphanumeric() || first == '`');
        if !text.is_empty() {
            text.push(if continues && !text.ends_with('\n') {
                ' '
            } else {
                '\n'
            });
        }
        text.push_str(line);
    }
    text
}

fn typed(name: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        type_: Some(name.into()),
        ..Default::default()
    }
}

fn described(name: &str, description: &str) -> JSONSchemaProps {
    JSONSchemaProps {
        description: Some(description.into()),
        ..typed(name)
    }
}

fn visit(schema: &mut JSONSchemaProps, change: &mut impl FnMut(&mut JSONSchemaProps)) {
    change(schema);
    for property in schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
    {
        visit(property, change);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        visit(values, change);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        visit(items, change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_loses_its_line_breaks_only() {
        for (written, read) in [
            ("one\ntwo", "one two"),
            ("one\n`two`", "one `two`"),
            ("one\n\ntwo", "one\n\ntwo"),
            ("one\n- two\n\tthree", "one\n- two\n\tthree"),
            ("", ""),
        ] {
            assert_eq!(unwrapped(written), read);
        }
    }
}
