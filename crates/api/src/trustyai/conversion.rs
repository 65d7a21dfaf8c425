//! TrustyAIService between v1alpha1 and v1.
//!
//! Both have one schema, so an object changes its label and nothing else. Without a webhook the API
//! server does the same by itself.

use serde_json::Value;

const GROUP: &str = "trustyai.opendatahub.io";

/// A version that TrustyAIService does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("TrustyAIService has versions v1alpha1 and v1 of {GROUP}, not {0}")]
pub struct UnknownVersion(String);

/// The object in another version.
pub fn convert(mut object: Value, api_version: &str) -> Result<Value, UnknownVersion> {
    let from = object.get("apiVersion").and_then(Value::as_str);
    for version in [from.unwrap_or_default(), api_version] {
        if !matches!(version.strip_prefix(GROUP), Some("/v1" | "/v1alpha1")) {
            return Err(UnknownVersion(version.to_owned()));
        }
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".to_owned(), api_version.into());
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn there_and_back_nothing_changes() {
        let object = json!({"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
            "metadata": {"name": "a", "generation": 3},
            "spec": {"trustyaiMetrics": {"schedule": "5s"}, "storage": {"format": "PVC", "pv": "v"}},
            "status": {"phase": "Ready", "conditions": [{"type": "Ready", "status": "True"}]}});
        let old = convert(object.clone(), "trustyai.opendatahub.io/v1alpha1").unwrap();
        assert_eq!(old["apiVersion"], "trustyai.opendatahub.io/v1alpha1");
        assert_eq!(
            (&old["spec"], &old["status"]),
            (&object["spec"], &object["status"])
        );
        assert_eq!(convert(old, "trustyai.opendatahub.io/v1").unwrap(), object);
    }

    #[test]
    fn other_versions_are_refused() {
        let object = json!({"apiVersion": "trustyai.opendatahub.io/v1"});
        for version in ["v1", "example.org/v1", "trustyai.opendatahub.io/v2"] {
            let error = convert(object.clone(), version).unwrap_err();
            assert!(error.to_string().contains(version), "{error}");
            let stranger = json!({"apiVersion": version});
            assert!(convert(stranger, "trustyai.opendatahub.io/v1").is_err());
        }
    }
}
