//! JSON merge patches (RFC 7386).

use serde_json::{Map, Value};

/// The merge patch that turns `from` into `to`; `None` when they are equal.
///
/// Keys that are missing in `to` become `null`, arrays are replaced whole.
#[must_use]
pub fn diff(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Object(from), Value::Object(to)) = (from, to) else {
        return Some(to.clone());
    };
    let mut patch = Map::new();
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, wanted) in to {
        let change = match from.get(key) {
            Some(present) => diff(present, wanted),
            None => Some(wanted.clone()),
        };
        if let Some(change) = change {
            patch.insert(key.clone(), change);
        }
    }
    Some(Value::Object(patch))
}

/// Whether every field of `wanted` stands in `live` with the same value.
///
/// Lists must agree element by element. Null and empty maps in `wanted` ask for nothing.
/// A `false` may be a matter of spelling (`0.5` and `500m`): it costs an apply, never a mistake.
#[must_use]
pub fn contains(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (_, Value::Null) => true,
        (Value::Object(live), Value::Object(wanted)) => wanted.iter().all(|(key, wanted)| {
            live.get(key)
                .map_or_else(|| is_empty(wanted), |live| contains(live, wanted))
        }),
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(l, w)| contains(l, w))
        }
        (live, wanted) => live == wanted,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn diff_replaces_adds_and_removes() {
        let from = json!({"a": 1, "b": {"c": [1], "d": "x"}, "e": true});
        let to = json!({"a": 1, "b": {"c": [2], "d": "x"}, "f": {}});
        assert_eq!(
            diff(&from, &to),
            Some(json!({"b": {"c": [2]}, "e": null, "f": {}}))
        );
        assert_eq!(diff(&to, &to), None);
    }

    #[test]
    fn contains_ignores_what_is_not_asked_for() {
        let live = json!({"spec": {"replicas": 1, "ports": [{"port": 1, "protocol": "TCP"}]}, "status": {}});
        assert!(contains(
            &live,
            &json!({"spec": {"ports": [{"port": 1}]}, "absent": null})
        ));
        assert!(!contains(&live, &json!({"spec": {"ports": []}})));
        assert!(!contains(&live, &json!({"spec": {"replicas": 2}})));
        assert!(contains(&live, &json!({"spec": {"nodeSelector": {}}})));
    }
}
