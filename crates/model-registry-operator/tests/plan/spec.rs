//! What of a spec is refused, and what is said to have no effect.

use serde_json::json;

use crate::support::{Case, merged, mysql};

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let case = Case::kubernetes(json!({"rest": {"image": "a b"}}))
        .environment(&[("REGISTRIES_NAMESPACE", "registries")]);
    assert_eq!(
        case.refusal(),
        "[metadata.namespace: Invalid value: \"ns\": namespace must be registries, \
         spec.rest.image: \"a b\" has the character ' ': an image name has no spaces, line breaks or \
         characters beyond ASCII, \
         spec.postgres: Required value: required one of `postgres` or `mysql` database, \
         spec.mysql: Required value: required one of `postgres` or `mysql` database]"
    );
}

#[test]
fn a_port_serves_one_listener() {
    let spec = merged(
        mysql(),
        &json!({"rest": {"port": 8443}, "kubeRBACProxy": {}}),
    );
    assert_eq!(
        Case::kubernetes(spec).refusal(),
        "spec.kubeRBACProxy.port: 8443 is also the port of spec.rest.port; choose another one"
    );
}

#[test]
fn half_a_certificate_is_refused() {
    for half in ["tlsCertificateSecret", "tlsKeySecret"] {
        let spec = merged(
            mysql(),
            &json!({"kubeRBACProxy": {half: {"name": "n", "key": "k"}}}),
        );
        assert_eq!(
            Case::kubernetes(spec).refusal(),
            "spec.kubeRBACProxy: tlsCertificateSecret and tlsKeySecret MUST be set together"
        );
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let spec = merged(
        mysql(),
        &json!({"grpc": {"port": 1}, "enable_database_upgrade": true, "downgrade_db_schema_version": 1,
                "oauthProxy": {"image": "x"},
                "postgres": {"host": "h", "hostAddress": "10.0.0.1", "skipDBCreation": true}}),
    );
    let warnings = Case::kubernetes(spec).validate().unwrap().warnings;
    let fields: Vec<_> = warnings
        .iter()
        .map(|w| w.to_string().split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.grpc",
            "spec.enable_database_upgrade",
            "spec.downgrade_db_schema_version",
            "spec.oauthProxy.image",
            "spec.mysql",
            "spec.postgres.skipDBCreation",
            "spec.postgres.hostAddress"
        ]
    );
}
