//! The claim that a server gets.

use api::common::DeletionPolicy;
use api::mlflow::v1::MLflowSpec;
use k8s_openapi::api::core::v1::PersistentVolumeClaimSpec;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use resources::quantity::is_smaller;

use super::super::observe::LiveClaim;
use super::super::validated::Claim;

/// Size where nobody says one.
const SIZE: &str = "2Gi";

/// What the claim asks for. What a claim that is there cannot change stays as it is, with a warning.
pub(super) fn claim(
    spec: &MLflowSpec,
    live: Option<&LiveClaim>,
    warnings: &mut Vec<String>,
) -> Option<Claim> {
    let mut asked = spec.storage.as_ref()?.claim();
    if asked.access_modes.as_ref().is_none_or(Vec::is_empty) {
        asked.access_modes = Some(vec!["ReadWriteOnce".to_owned()]);
    }
    let requests = asked.resources.get_or_insert_default();
    let requests = requests.requests.get_or_insert_default();
    let size = requests.entry("storage".to_owned());
    let size = size.or_insert_with(|| Quantity(SIZE.to_owned())).clone();
    if let Some(live) = live {
        if let Some(larger) = live.size().filter(|live| is_smaller(&size.0, &live.0)) {
            warnings.push(format!(
                "spec.storage: a volume cannot shrink from {} to {}; it stays as it is",
                larger.0, size.0
            ));
            requests.insert("storage".to_owned(), larger.clone());
        }
        keep(&mut asked, &live.spec, warnings);
    }
    Some(Claim {
        spec: asked,
        retain: spec.deletion_policy == Some(DeletionPolicy::Retain),
    })
}

/// Puts what cannot change any more in the place of what is asked for.
fn keep(
    asked: &mut PersistentVolumeClaimSpec,
    live: &PersistentVolumeClaimSpec,
    warnings: &mut Vec<String>,
) {
    let mut fixed = |field: &str, differs: bool| {
        if differs {
            warnings.push(format!(
                "spec.storage: {field} of a claim that is there cannot change; it stays as it is. \
                 To move the data, make another volume and copy it"
            ));
        }
    };
    fixed("the access mode", asked.access_modes != live.access_modes);
    asked.access_modes.clone_from(&live.access_modes);
    // What is not asked for is the cluster's choice.
    for (field, asked, live) in [
        (
            "storageClassName",
            &mut asked.storage_class_name,
            &live.storage_class_name,
        ),
        ("volumeMode", &mut asked.volume_mode, &live.volume_mode),
        ("volumeName", &mut asked.volume_name, &live.volume_name),
    ] {
        if asked.is_some() {
            fixed(field, asked != live);
            asked.clone_from(live);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn spec(storage: &Value) -> MLflowSpec {
        serde_json::from_value(json!({"storage": storage, "deletionPolicy": "Retain"})).unwrap()
    }

    fn live() -> LiveClaim {
        LiveClaim {
            bound: true,
            spec: serde_json::from_value(json!({"accessModes": ["ReadWriteOnce"],
                "storageClassName": "standard", "volumeName": "pv-1",
                "resources": {"requests": {"storage": "10Gi"}}}))
            .unwrap(),
            capacity: None,
        }
    }

    fn made(storage: &Value, live: Option<&LiveClaim>) -> (Value, Vec<String>) {
        let mut warnings = Vec::new();
        let claim = claim(&spec(storage), live, &mut warnings).unwrap();
        assert!(claim.retain);
        (serde_json::to_value(claim.spec).unwrap(), warnings)
    }

    #[test]
    fn what_nobody_says_has_a_default() {
        let (claim, warnings) = made(&json!({}), None);
        let default = json!({"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "2Gi"}}});
        assert_eq!(claim, default);
        assert!(warnings.is_empty());
        let none = serde_json::from_value(json!({})).unwrap();
        assert_eq!(super::claim(&none, None, &mut Vec::new()), None);
    }

    #[test]
    fn every_field_of_a_claim_counts() {
        let asked = json!({"accessModes": ["ReadWriteMany"], "storageClassName": "",
            "resources": {"requests": {"storage": "5Gi"}}, "volumeMode": "Filesystem",
            "selector": {"matchLabels": {"a": "b"}}});
        assert_eq!(made(&asked, None).0, asked);
    }

    #[test]
    fn a_claim_grows_and_never_shrinks() {
        let size = |asked: &str| {
            let (claim, warnings) = made(&json!({"size": asked}), Some(&live()));
            (
                claim["resources"]["requests"]["storage"].clone(),
                warnings.len(),
            )
        };
        assert_eq!(size("20Gi"), (json!("20Gi"), 0));
        assert_eq!(size("5Gi"), (json!("10Gi"), 1));
    }

    #[test]
    fn what_cannot_change_stays_with_a_warning() {
        let asked =
            json!({"size": "10Gi", "accessMode": "ReadWriteMany", "storageClassName": "fast"});
        let (claim, warnings) = made(&asked, Some(&live()));
        assert_eq!(claim["accessModes"], json!(["ReadWriteOnce"]));
        assert_eq!(claim["storageClassName"], "standard");
        // The volume's name is the cluster's choice, and nobody asks for it.
        assert_eq!(claim["volumeName"], Value::Null);
        assert_eq!(warnings.len(), 2);
    }
}
