//! Values: from JSON to what templates see and back, and how those of a user and those of a chart
//! become one.

use std::sync::Arc;

use gotmpl::Value;
use serde_json::{Map, Number, Value as Json};

/// A value as templates see it. Every number is a float, as Helm reads it from a file: so a chart
/// that forgot `int` or `int64` fails or prints `5e+06` here as it does there.
pub(crate) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(map) => Value::Map(Arc::new(
            map.iter()
                .map(|(key, value)| (key.as_str().into(), from_json(value)))
                .collect(),
        )),
    }
}

/// A value of a template as JSON. A float without a fraction is an integer, as Go writes it.
pub(crate) fn to_json(value: &Value) -> Result<Json, String> {
    Ok(match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::Number((*number).into()),
        Value::Uint(number) => Json::Number((*number).into()),
        Value::Float(number) => Json::Number(float(*number)?),
        Value::String(text) => Json::String(text.to_string()),
        Value::List(items) => Json::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, value)| Ok((key.to_string(), to_json(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        other @ Value::Function(_) => {
            return Err(format!("a {} cannot be written", other.type_name()));
        }
    })
}

fn float(number: f64) -> Result<Number, String> {
    if number.fract() == 0.0
        && let Ok(integer) = format!("{number:.0}").parse::<i64>()
    {
        return Ok(integer.into());
    }
    if number.fract() == 0.0
        && let Ok(integer) = format!("{number:.0}").parse::<u64>()
    {
        return Ok(integer.into());
    }
    Number::from_f64(number).ok_or_else(|| format!("{number} cannot be written"))
}

/// The chart's defaults with the user's values over them, by Helm's rules: maps are merged, lists
/// and scalars replaced, and null takes a default away. A null for what has no default stays. Where
/// one of the two is a map and the other is not, the user's value stands.
pub(crate) fn coalesce(
    defaults: &Map<String, Json>,
    user: &Map<String, Json>,
) -> Map<String, Json> {
    let mut merged = Map::new();
    for (key, default) in defaults {
        match (user.get(key), default) {
            (None, _) => {
                merged.insert(key.clone(), default.clone());
            }
            (Some(Json::Null), _) => {}
            (Some(Json::Object(user)), Json::Object(defaults)) => {
                merged.insert(key.clone(), Json::Object(tables(defaults, user)));
            }
            (Some(user), _) => {
                merged.insert(key.clone(), user.clone());
            }
        }
    }
    for (key, value) in user {
        if !defaults.contains_key(key) {
            merged.insert(key.clone(), value.clone());
        }
    }
    merged
}

/// As [`coalesce`], below the first level. There Helm keeps a null whose default is null too.
fn tables(defaults: &Map<String, Json>, user: &Map<String, Json>) -> Map<String, Json> {
    let mut merged = coalesce(defaults, user);
    for (key, default) in defaults {
        if default.is_null() && user.get(key).is_some_and(Json::is_null) {
            merged.insert(key.clone(), Json::Null);
        }
    }
    merged
}

/// Two files of values, of which the second says the last word, as with several `-f`: maps are
/// merged, everything else replaced, and a null stays to take a default away.
#[must_use]
pub fn overlay(below: &Map<String, Json>, above: &Map<String, Json>) -> Map<String, Json> {
    let mut merged = below.clone();
    for (key, value) in above {
        let value = match (merged.get(key), value) {
            (Some(Json::Object(below)), Json::Object(above)) => Json::Object(overlay(below, above)),
            _ => value.clone(),
        };
        merged.insert(key.clone(), value);
    }
    merged
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(json: Json) -> Map<String, Json> {
        match json {
            Json::Object(map) => map,
            other => panic!("{other} is no map"),
        }
    }

    #[test]
    fn null_takes_a_default_away() {
        let defaults = map(json!({
            "a": 1, "b": {"x": 1, "y": {"z": 1}, "n": null}, "c": [1, 2], "d": {"k": 1}, "e": null,
        }));
        let user = map(json!({
            "a": null, "b": {"x": null, "y": {"w": 2, "z": null}, "n": null, "new": null},
            "c": [], "d": 5, "e": null, "f": null,
        }));
        assert_eq!(
            coalesce(&defaults, &user),
            map(json!({"b": {"y": {"w": 2}, "n": null, "new": null}, "c": [], "d": 5, "f": null}))
        );
        assert_eq!(coalesce(&defaults, &Map::new()), defaults);
    }

    #[test]
    fn the_last_file_says_the_last_word() {
        let below = map(json!({"a": {"x": 1, "y": 2}, "b": [1]}));
        let above = map(json!({"a": {"x": null}, "b": [2]}));
        assert_eq!(
            overlay(&below, &above),
            map(json!({"a": {"x": null, "y": 2}, "b": [2]}))
        );
    }

    #[test]
    fn floats_without_a_fraction_are_written_as_integers() {
        for (number, written) in [
            (5_000_000.0, "5000000"),
            (9_007_199_254_740_993_f64, "9007199254740992"),
            (-3.0, "-3"),
            (18_446_744_073_709_549_568.0, "18446744073709549568"),
            (0.1, "0.1"),
        ] {
            assert_eq!(to_json(&Value::Float(number)).unwrap().to_string(), written);
        }
        assert!(to_json(&Value::Float(f64::NAN)).is_err());
        assert_eq!(from_json(&json!(7)), Value::Float(7.0));
    }
}
