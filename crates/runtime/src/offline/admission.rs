//! What an API server does to a custom resource on its way in, without one.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::core::cel::Validator;
use regex::Regex;
use serde_json::{Map, Value};

/// A resource as it would be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted {
    /// The resource with defaults and without what the schema does not know.
    pub object: Value,
    /// Paths of the fields that the schema does not know. `kubectl` refuses them.
    pub unknown: Vec<String>,
}

/// A resource that an API server would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No version of the definition is served under this `apiVersion`.
    #[error("apiVersion: {found:?} is not served; use {served}")]
    Version {
        /// `apiVersion` of the resource.
        found: String,
        /// What is served.
        served: String,
    },
    /// The resource breaks the schema or one of its rules.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Fields(Vec<FieldError>),
}

/// What is wrong with one field, in the words of the API server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FieldError {
    /// Path of the field: `spec.rest.port`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Prunes, defaults and validates `object` as an API server does on creation: first the
/// structural schema, then, if that holds, the CEL rules.
///
/// Of the formats only those of integers are checked.
pub fn admit(definition: &CustomResourceDefinition, object: &Value) -> Result<Admitted, Refused> {
    let found = object
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let served = || {
        definition
            .spec
            .versions
            .iter()
            .filter(|version| version.served)
    };
    let api_version = |version: &str| format!("{}/{version}", definition.spec.group);
    let schema = served()
        .find(|version| api_version(&version.name) == found)
        .and_then(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref())
        .ok_or_else(|| Refused::Version {
            found: found.to_owned(),
            served: served()
                .map(|version| api_version(&version.name))
                .collect::<Vec<_>>()
                .join(" or "),
        })?;

    let mut object = object.clone();
    if let Value::Object(object) = &mut object {
        // A subresource: what a creation says about it is dropped.
        object.remove("status");
    }
    let mut unknown = Vec::new();
    prune(&mut object, schema, &Path::root(), &mut unknown);
    default(&mut object, schema);
    drop_nulls(&mut object, schema);

    let mut errors = Vec::new();
    check(&object, schema, &Path::root(), &mut errors);
    if errors.is_empty() {
        errors = check_rules(&object, schema);
    }
    if errors.is_empty() {
        Ok(Admitted { object, unknown })
    } else {
        Err(Refused::Fields(errors))
    }
}

fn check_rules(object: &Value, schema: &JSONSchemaProps) -> Vec<FieldError> {
    let schema = serde_json::to_value(schema).unwrap_or_default();
    let Err(errors) = Validator::new().validate(&schema, object, None) else {
        return Vec::new();
    };
    errors
        .into_vec()
        .into_iter()
        .map(|error| FieldError {
            path: error.field_path,
            message: format!("Invalid value: {}", error.message),
        })
        .collect()
}

/// Path of a field, as the API server writes it.
struct Path(String);

impl Path {
    const fn root() -> Self {
        Self(String::new())
    }

    fn field(&self, name: &str) -> Self {
        Self(if self.0.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.0)
        })
    }

    fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// Schema of a member of an object.
fn member<'a>(schema: &'a JSONSchemaProps, name: &str) -> Option<&'a JSONSchemaProps> {
    match (
        schema
            .properties
            .as_ref()
            .and_then(|properties| properties.get(name)),
        &schema.additional_properties,
    ) {
        (Some(property), _) => Some(property),
        (None, Some(JSONSchemaPropsOrBool::Schema(schema))) => Some(schema),
        (None, _) => None,
    }
}

fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(schema)) => Some(schema),
        _ => None,
    }
}

fn keeps_unknown(schema: &JSONSchemaProps) -> bool {
    schema.x_kubernetes_preserve_unknown_fields == Some(true)
        || matches!(
            schema.additional_properties,
            Some(JSONSchemaPropsOrBool::Bool(true))
        )
}

fn prune(value: &mut Value, schema: &JSONSchemaProps, path: &Path, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.retain(|name, value| {
            // Every object has these, whatever its schema says of them.
            if path.is_root() && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                return true;
            }
            let path = path.field(name);
            match member(schema, name) {
                Some(schema) => prune(value, schema, &path, unknown),
                None if keeps_unknown(schema) => {}
                None => {
                    unknown.push(path.0);
                    return false;
                }
            }
            true
        }),
        Value::Array(list) => {
            if let Some(schema) = items(schema) {
                for (index, value) in list.iter_mut().enumerate() {
                    prune(value, schema, &path.index(index), unknown);
                }
            }
        }
        _ => {}
    }
}

fn is_nullable(schema: &JSONSchemaProps) -> bool {
    schema.nullable == Some(true)
}

fn default(value: &mut Value, schema: &JSONSchemaProps) {
    match value {
        Value::Object(map) => {
            for (name, property) in schema.properties.iter().flatten() {
                let Some(JSON(default)) = &property.default else {
                    continue;
                };
                if map
                    .get(name)
                    .is_none_or(|found| found.is_null() && !is_nullable(property))
                {
                    map.insert(name.clone(), default.clone());
                }
            }
            for (name, value) in map {
                if let Some(schema) = member(schema, name) {
                    default(value, schema);
                }
            }
        }
        Value::Array(list) => {
            if let Some(schema) = items(schema) {
                for value in list {
                    default(value, schema);
                }
            }
        }
        _ => {}
    }
}

/// A null in a field that cannot be null counts as absent.
fn drop_nulls(value: &mut Value, schema: &JSONSchemaProps) {
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let Some(schema) = member(schema, name) else {
                return true;
            };
            if value.is_null() && !is_nullable(schema) {
                return false;
            }
            drop_nulls(value, schema);
            true
        }),
        Value::Array(list) => {
            if let Some(schema) = items(schema) {
                for value in list {
                    drop_nulls(value, schema);
                }
            }
        }
        _ => {}
    }
}

fn check(value: &Value, schema: &JSONSchemaProps, path: &Path, errors: &mut Vec<FieldError>) {
    if value.is_null() && is_nullable(schema) {
        return;
    }
    let mut refuse = |message: String| {
        errors.push(FieldError {
            path: path.0.clone(),
            message,
        });
    };
    if !has_type(value, schema) {
        let (wanted, found) = (wanted_type(schema), type_of(value));
        refuse(format!(
            "Invalid value: \"{found}\": {} in body must be of type {wanted}: \"{found}\"",
            path.0
        ));
        return;
    }
    if let Some(allowed) = &schema.enum_
        && !allowed.iter().any(|JSON(allowed)| allowed == value)
    {
        let allowed: Vec<_> = allowed
            .iter()
            .map(|JSON(allowed)| allowed.to_string())
            .collect();
        refuse(format!(
            "Unsupported value: {value}: supported values: {}",
            allowed.join(", ")
        ));
    }
    let complaint = match value {
        Value::String(text) => wrong_text(text, schema),
        Value::Number(number) => number
            .as_f64()
            .and_then(|number| wrong_number(number, schema)),
        Value::Array(list) => wrong_count(list.len(), schema.min_items, schema.max_items, "items"),
        Value::Object(map) => wrong_count(
            map.len(),
            schema.min_properties,
            schema.max_properties,
            "properties",
        ),
        _ => None,
    };
    if let Some(complaint) = complaint {
        refuse(format!(
            "Invalid value: {value}: {} in body {complaint}",
            path.0
        ));
    }
    match value {
        Value::Object(map) => check_members(map, schema, path, errors),
        Value::Array(list) => check_items(list, schema, path, errors),
        _ => {}
    }
}

fn check_members(
    map: &Map<String, Value>,
    schema: &JSONSchemaProps,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    for name in schema
        .required
        .iter()
        .flatten()
        .filter(|name| !map.contains_key(*name))
    {
        errors.push(FieldError {
            path: path.field(name).0,
            message: "Required value".to_owned(),
        });
    }
    for (name, value) in map {
        if let Some(schema) = member(schema, name) {
            check(value, schema, &path.field(name), errors);
        }
    }
}

fn check_items(
    list: &[Value],
    schema: &JSONSchemaProps,
    path: &Path,
    errors: &mut Vec<FieldError>,
) {
    let identity = |item: &Value| match schema.x_kubernetes_list_type.as_deref() {
        Some("set") => Some(item.to_string()),
        Some("map") => {
            let keys = schema.x_kubernetes_list_map_keys.iter().flatten();
            let keys: BTreeMap<_, _> = keys.map(|key| (key.as_str(), item.get(key))).collect();
            serde_json::to_string(&keys).ok()
        }
        _ => None,
    };
    let mut seen = Vec::new();
    for (index, item) in list.iter().enumerate() {
        if let Some(schema) = items(schema) {
            check(item, schema, &path.index(index), errors);
        }
        if let Some(identity) = identity(item) {
            if seen.contains(&identity) {
                errors.push(FieldError {
                    path: path.index(index).0,
                    message: format!("Duplicate value: {identity}"),
                });
            }
            seen.push(identity);
        }
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn has_type(value: &Value, schema: &JSONSchemaProps) -> bool {
    if schema.x_kubernetes_int_or_string == Some(true) {
        return value.is_string() || is_integer(value);
    }
    match schema.type_.as_deref() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("number") => value.is_number(),
        Some("integer") => is_integer(value),
        _ => true,
    }
}

fn wanted_type(schema: &JSONSchemaProps) -> &str {
    match schema.x_kubernetes_int_or_string {
        Some(true) => "integer or string",
        _ => schema.type_.as_deref().unwrap_or("any"),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) if is_integer(value) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn wrong_text(text: &str, schema: &JSONSchemaProps) -> Option<String> {
    let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
    if let Some(limit) = schema.max_length.filter(|limit| length > *limit) {
        return Some(format!("should be at most {limit} chars long"));
    }
    if let Some(limit) = schema.min_length.filter(|limit| length < *limit) {
        return Some(format!("should be at least {limit} chars long"));
    }
    let pattern = schema.pattern.as_ref()?;
    let matches = Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    (!matches).then(|| format!("should match '{pattern}'"))
}

fn wrong_number(number: f64, schema: &JSONSchemaProps) -> Option<String> {
    let (low, high) = match schema.format.as_deref() {
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    };
    if number < low || number > high {
        return Some("should be of format int32".to_owned());
    }
    if let Some(limit) = schema.minimum {
        if schema.exclusive_minimum == Some(true) && number <= limit {
            return Some(format!("should be greater than {limit}"));
        }
        if number < limit {
            return Some(format!("should be greater than or equal to {limit}"));
        }
    }
    if let Some(limit) = schema.maximum {
        if schema.exclusive_maximum == Some(true) && number >= limit {
            return Some(format!("should be less than {limit}"));
        }
        if number > limit {
            return Some(format!("should be less than or equal to {limit}"));
        }
    }
    None
}

fn wrong_count(count: usize, least: Option<i64>, most: Option<i64>, what: &str) -> Option<String> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if let Some(most) = most.filter(|most| count > *most) {
        return Some(format!("should have at most {most} {what}"));
    }
    least
        .filter(|least| count < *least)
        .map(|least| format!("should have at least {least} {what}"))
}

#[cfg(test)]
mod tests;
