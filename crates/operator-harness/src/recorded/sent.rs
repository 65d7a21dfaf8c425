//! What a Go operator sent, from what was recorded of it.

use serde_json::Value;

/// What a recording has in place of a value that differs from run to run.
const NORMALISED: &str = "<normalised>";

/// A recorded object without what the cluster put in. What owns it has the uid `owner`.
pub fn sent(object: &Value, owner: &str) -> Value {
    let mut object = without_normalised(object).expect("an object");
    let meta = &mut object["metadata"];
    if let Some(annotations) = meta["annotations"].as_object_mut() {
        annotations.retain(|key, _| {
            !key.starts_with("pv.kubernetes.io/") && key != "deployment.kubernetes.io/revision"
        });
    }
    let owners = meta["ownerReferences"].as_array_mut();
    for reference in owners.into_iter().flatten() {
        reference["uid"] = owner.into();
    }
    object
}

fn without_normalised(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) if text == NORMALISED => None,
        Value::Object(map) => Some(
            map.iter()
                .filter_map(|(k, v)| Some((k.clone(), without_normalised(v)?)))
                .collect(),
        ),
        Value::Array(list) => Some(list.iter().filter_map(without_normalised).collect()),
        other => Some(other.clone()),
    }
}
