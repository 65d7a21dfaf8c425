//! Custom properties, as the model registry wants them.
//!
//! On the wire each value is an object with its type. The server stores integers of 32 bits only,
//! takes structs as base64 of a JSON object, and gives them back as plain JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Encoded properties by name.
pub(crate) type Properties = Map<String, Value>;

/// Encodes what a user wrote. A list becomes the string of its JSON, because structs are objects; an
/// integer beyond 32 bits becomes a string, so that no digit is lost; null is no property.
pub(crate) fn encode(map: &Map<String, Value>) -> Properties {
    map.iter()
        .filter_map(|(name, value)| Some((name.clone(), encode_value(value)?)))
        .collect()
}

fn encode_value(value: &Value) -> Option<Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(value) => json!({"metadataType": "MetadataBoolValue", "bool_value": value}),
        Value::Number(number) => match number.as_i64().map(i32::try_from) {
            Some(Ok(value)) => {
                json!({"metadataType": "MetadataIntValue", "int_value": value.to_string()})
            }
            None if number.is_f64() => {
                json!({"metadataType": "MetadataDoubleValue", "double_value": number})
            }
            _ => string(&number.to_string()),
        },
        Value::String(text) => string(text),
        Value::Array(_) => string(&value.to_string()),
        Value::Object(_) => struct_value(&value.to_string()),
    })
}

/// A text as a property.
pub(crate) fn string(text: &str) -> Value {
    json!({"metadataType": "MetadataStringValue", "string_value": text})
}

/// The text of a string property.
pub(crate) fn text(property: &Value) -> Option<&str> {
    property.get("string_value").and_then(Value::as_str)
}

fn struct_value(json_text: &str) -> Value {
    json!({"metadataType": "MetadataStructValue", "struct_value": STANDARD.encode(json_text)})
}

/// Whether a PATCH has to send all properties again: the server merges a PATCH into what it reads,
/// and cannot write the structs that it reads.
pub(crate) fn must_be_sent_again(stored: &Properties) -> bool {
    stored.values().any(is_struct)
}

/// Properties as the server gave them, in the form that it takes.
pub(crate) fn to_send(stored: &Properties) -> Properties {
    let encoded = |value: &Value| match value.get("struct_value") {
        Some(Value::String(text)) if is_object(text.as_bytes()) => struct_value(text),
        Some(object @ Value::Object(_)) => struct_value(&object.to_string()),
        _ => value.clone(),
    };
    stored
        .iter()
        .map(|(name, value)| (name.clone(), encoded(value)))
        .collect()
}

fn is_struct(value: &Value) -> bool {
    value.get("struct_value").is_some()
}

fn is_object(text: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else {
            panic!("{value}");
        };
        map
    }

    #[test]
    fn every_kind_of_value_has_a_form_that_the_server_takes() {
        let encoded = encode(&object(json!({
            "bool": true, "int": 438, "min": -2_147_483_648_i64, "big": 2_147_483_648_i64,
            "huge": 18_446_744_073_709_551_615_u64, "double": 0.95, "text": "t",
            "list": ["en", "de"], "object": {"a": [1]}, "null": null,
        })));
        assert_eq!(encoded["bool"]["bool_value"], json!(true));
        assert_eq!(encoded["int"]["int_value"], json!("438"));
        assert_eq!(encoded["min"]["int_value"], json!("-2147483648"));
        assert_eq!(text(&encoded["big"]), Some("2147483648"));
        assert_eq!(text(&encoded["huge"]), Some("18446744073709551615"));
        assert_eq!(encoded["double"]["double_value"], json!(0.95));
        assert_eq!(text(&encoded["list"]), Some(r#"["en","de"]"#));
        assert_eq!(
            encoded["object"]["struct_value"],
            json!(STANDARD.encode(r#"{"a":[1]}"#))
        );
        assert!(!encoded.contains_key("null"));
    }

    #[test]
    fn structs_are_encoded_again_and_nothing_else_is_touched() {
        let encoded = STANDARD.encode(r#"{"a":1}"#);
        for stored in [json!(r#"{"a":1}"#), json!({"a": 1}), json!(encoded)] {
            let stored = object(json!({
                "s": {"metadataType": "MetadataStructValue", "struct_value": stored},
                "t": {"metadataType": "MetadataStringValue", "string_value": "{}"},
                "p": {"metadataType": "MetadataProtoValue", "type": "t", "proto_value": "AA=="},
            }));
            assert!(must_be_sent_again(&stored));
            let sent = to_send(&stored);
            assert_eq!(sent["s"]["struct_value"], json!(encoded));
            assert_eq!(sent["t"], stored["t"]);
            assert_eq!(sent["p"], stored["p"]);
        }
        assert!(!must_be_sent_again(&Properties::new()));
    }
}
