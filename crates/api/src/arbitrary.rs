//! Resources that nobody would think of, for property tests.
//!
//! Values come from the schema itself, so that a new field is tried as soon as it exists.
//! They keep to everything in the schema but the CEL rules: more than the API server admits,
//! never less.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use proptest::prelude::*;
use proptest::string::string_regex;
use serde_json::{Map, Value};

/// Any `spec` that the schema of ModelRegistry v1beta1 describes.
///
/// `strings` gives the values of fields that take any text. Optional fields are absent,
/// null or given.
pub fn model_registry_spec(strings: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    spec_of(&crate::model_registry(), strings)
}

/// Any `spec` that the schema of ModelRegistry v1alpha1 describes.
pub fn model_registry_v1alpha1_spec(strings: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    spec_of(&crate::v1alpha1(), strings)
}

/// The `spec` of the first version.
fn spec_of(
    crd: &CustomResourceDefinition,
    strings: &BoxedStrategy<String>,
) -> BoxedStrategy<Value> {
    let spec = crd.spec.versions.iter().find_map(|version| {
        version
            .schema
            .as_ref()?
            .open_api_v3_schema
            .as_ref()?
            .properties
            .as_ref()?
            .get("spec")
    });
    spec.map_or_else(|| Just(Value::Null).boxed(), |spec| value(spec, strings))
}

/// Text as people and attackers write it: words, numbers and booleans in disguise, line
/// breaks, quotes, templates, other scripts.
pub fn text() -> BoxedStrategy<String> {
    let disguised = [
        "", " ", "true", "null", "y", "1e3", "0x1F", "12:30", "a\nb: c", "{{ .x }}", "$(HOME)",
        "'\"", "../..", "\u{0}",
    ];
    prop_oneof![
        3 => string_regex("[a-z][a-z0-9-]{0,20}").map_or_else(|_| Just(String::new()).boxed(), Strategy::boxed),
        1 => prop::sample::select(disguised.map(String::from).to_vec()),
        1 => any::<String>(),
    ]
    .boxed()
}

fn value(schema: &JSONSchemaProps, strings: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    if let Some(values) = &schema.enum_ {
        return prop::sample::select(
            values
                .iter()
                .map(|value| value.0.clone())
                .collect::<Vec<_>>(),
        )
        .boxed();
    }
    if schema.x_kubernetes_int_or_string == Some(true) {
        return prop_oneof![integer(schema), string(schema, strings)].boxed();
    }
    match schema.type_.as_deref() {
        Some("boolean") => any::<bool>().prop_map(Value::from).boxed(),
        Some("integer") => integer(schema),
        Some("string") => string(schema, strings),
        Some("array") => array(schema, strings),
        Some("object") => object(schema, strings),
        _ => Just(Value::Null).boxed(),
    }
}

fn integer(schema: &JSONSchemaProps) -> BoxedStrategy<Value> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "bounds in a schema are whole; beyond the type's own, those are nearest"
    )]
    let bound = |bound: Option<f64>, default: i64| bound.map_or(default, |bound| bound as i64);
    (bound(schema.minimum, i64::MIN)..=bound(schema.maximum, i64::MAX))
        .prop_map(Value::from)
        .boxed()
}

fn string(schema: &JSONSchemaProps, strings: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    let limit = schema
        .max_length
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let pattern = schema
        .pattern
        .as_deref()
        .map(|pattern| pattern.trim_start_matches('^').trim_end_matches('$'));
    match pattern.and_then(|pattern| string_regex(pattern).ok()) {
        // Cut off, it might not match any more.
        Some(matching) => matching
            .prop_filter_map("too long", move |text| {
                (text.len() <= limit).then(|| text.into())
            })
            .boxed(),
        None => strings
            .clone()
            .prop_map(move |text| text.chars().take(limit).collect::<String>().into())
            .boxed(),
    }
}

fn array(schema: &JSONSchemaProps, strings: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items else {
        return Just(Value::Array(Vec::new())).boxed();
    };
    let keys = schema
        .x_kubernetes_list_map_keys
        .clone()
        .unwrap_or_default();
    prop::collection::vec(value(items, strings), 0..3)
        .prop_map(move |mut items| {
            if !keys.is_empty() {
                let mut seen = BTreeSet::new();
                let identity = |item: &Value| {
                    keys.iter()
                        .map(|key| item.get(key).cloned())
                        .collect::<Vec<_>>()
                };
                items.retain(|item| seen.insert(format!("{:?}", identity(item))));
            }
            items.into()
        })
        .boxed()
}

fn object(schema: &JSONSchemaProps, strings: &BoxedStrategy<String>) -> BoxedStrategy<Value> {
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        let entries = prop::collection::btree_map(strings.clone(), value(values, strings), 0..3);
        return entries
            .prop_map(|entries| entries.into_iter().collect::<Map<_, _>>().into())
            .boxed();
    }
    let required = schema.required.as_deref().unwrap_or_default();
    let fields = schema.properties.iter().flatten().map(|(name, field)| {
        let given = value(field, strings).prop_map(Some);
        let field = if required.contains(name) {
            given.boxed()
        } else {
            prop_oneof![3 => Just(None), 1 => Just(Some(Value::Null)), 4 => given].boxed()
        };
        let name = name.clone();
        field
            .prop_map(move |value| value.map(|value| (name.clone(), value)))
            .boxed()
    });
    let fields: Vec<_> = fields.collect();
    fields
        .prop_map(|fields| fields.into_iter().flatten().collect::<Map<_, _>>().into())
        .boxed()
}
