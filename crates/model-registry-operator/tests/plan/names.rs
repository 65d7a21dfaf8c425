//! Names: what is allowed, and who keeps one that two registries want.

use model_registry_operator::registry::validate::ValidateError;
use serde_json::json;

use crate::support::{Case, mysql};

#[test]
fn words_of_yaml_are_names() {
    for name in ["true", "y", "null", "no", "e1"] {
        let case = Case::openshift(mysql()).named(name);
        assert_eq!(case.object("Deployment", name)["metadata"]["name"], name);
        assert_eq!(case.pod()["serviceAccountName"], name);
    }
}

#[test]
fn a_name_that_no_service_can_have_is_refused_with_a_sentence() {
    assert_eq!(
        Case::kubernetes(mysql()).named("2024").refusal(),
        "metadata.name: \"2024\" is not a valid Service name: lower-case letters, digits and '-', \
         starting with a letter and ending with a letter or digit"
    );
}

#[test]
fn the_limit_of_a_name_is_that_of_what_is_derived_from_it() {
    const NAME: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    let plain = |length: usize| Case::kubernetes(mysql()).named(&NAME[..length]);
    let proxied = |length: usize| Case::openshift(mysql()).named(&NAME[..length]);
    assert!(plain(49).validate().is_ok());
    assert!(proxied(48).validate().is_ok());
    assert!(plain(50).refusal().ends_with(
        "has 50 characters and may have 49: label of the Role \"registry-user-NAME\" is limited to 63"
    ));
    assert!(proxied(49).refusal().ends_with(
        "has 49 characters and may have 48: \
         label of the ClusterRoleBinding \"NAME-auth-delegator\" is limited to 63"
    ));
}

#[test]
fn the_oldest_namesake_keeps_the_name() {
    let other = |created: &str| {
        json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
               "metadata": {"name": "sample", "namespace": "elsewhere", "uid": "u",
                            "creationTimestamp": created}})
    };
    let older = Case::kubernetes(mysql()).with(other("2026-01-01T00:00:00Z"));
    assert_eq!(
        older.refusal(),
        "registry named sample already exists in namespace elsewhere; the older one keeps the name"
    );
    assert!(matches!(
        older.validate(),
        Err(ValidateError::NameConflict { .. })
    ));
    assert!(
        Case::kubernetes(mysql())
            .with(other("2026-01-03T00:00:00Z"))
            .validate()
            .is_ok()
    );
}
