//! What clients send reads as what they mean.
#![cfg(test)]

mod support;

use api::modelregistry::v1alpha1;
use api::modelregistry::v1beta1::{
    Authorization, ModelRegistry, ModelRegistrySpec, Rest, ServiceRoute, SslMode,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};
use support::{MODEL_REGISTRY, defaulted, resource};

/// As the API server hands it to the operator.
fn read(spec: &Value) -> ModelRegistrySpec {
    let resource = defaulted(&MODEL_REGISTRY, resource(spec));
    let registry: ModelRegistry = serde_json::from_value(resource).expect("it reads");
    registry.spec
}

#[test]
fn absent_fields_have_the_defaults_of_the_schema() {
    for rest in [
        json!({}),
        json!({"port": null, "serviceRoute": null, "image": null, "resources": null}),
    ] {
        let spec = read(&json!({"rest": rest}));
        assert_eq!(spec, ModelRegistrySpec::default());
        assert_eq!(
            spec.rest,
            Rest {
                port: 8080,
                service_route: ServiceRoute::Disabled,
                resources: None,
                image: None
            }
        );
    }
    let spec =
        read(&json!({"rest": {}, "kubeRBACProxy": {}, "grpc": {}, "postgres": {"host": "db"}}));
    let proxy = spec.kube_rbac_proxy.expect("a proxy");
    assert_eq!(
        (proxy.port, proxy.route_port, proxy.service_route),
        (8443, 443, ServiceRoute::Enabled)
    );
    assert_eq!(proxy.authorization(), Authorization::Get);
    assert_eq!(spec.grpc.expect("grpc").port, 9090);
    let postgres = spec.postgres.expect("postgres");
    assert_eq!(
        (postgres.port, postgres.ssl_mode, postgres.skip_db_creation),
        (5432, SslMode::Disable, false)
    );
    assert!(!postgres.is_generated());
}

/// The defaults of the Rust types are those of the schema, so that reading without an API
/// server in between gives the same.
#[test]
fn types_and_schema_agree_on_defaults() {
    let spec = json!({
        "rest": {},
        "grpc": {},
        "kubeRBACProxy": {},
        "oauthProxy": {},
        "postgres": {"host": "db"},
        "mysql": {"host": "db", "username": "ann", "database": "models"},
    });
    let direct: ModelRegistry = serde_json::from_value(resource(&spec)).expect("it reads");
    assert_eq!(direct.spec, read(&spec));
    assert_eq!(direct.spec.mysql.expect("mysql").port, 3306);

    let old = json!({"spec": {
        "rest": {},
        "grpc": {},
        "postgres": {"database": "models"},
        "istio": {"gateway": {"rest": {"tls": {}}, "grpc": {}}},
    }});
    let direct: v1alpha1::ModelRegistry =
        serde_json::from_value(with_identity(&old)).expect("it reads");
    let crd = api::v1alpha1();
    let defaulted = defaulted(&crd, with_identity(&old));
    assert_eq!(defaulted["spec"]["istio"]["tlsMode"], "ISTIO_MUTUAL");
    assert_eq!(
        defaulted["spec"]["istio"]["gateway"]["rest"]["tls"]["mode"],
        "SIMPLE"
    );
    let served: v1alpha1::ModelRegistry = serde_json::from_value(defaulted).expect("it reads");
    assert_eq!(direct.spec, served.spec);
}

fn with_identity(resource: &Value) -> Value {
    json!({
        "apiVersion": "modelregistry.opendatahub.io/v1alpha1",
        "kind": "ModelRegistry",
        "metadata": {"name": "registry"},
        "spec": resource["spec"],
    })
}

/// What the dashboard sends: the unused database as an explicit null, empty objects.
#[test]
fn the_dashboards_payload_reads() {
    let payload = json!({
        "grpc": {},
        "kubeRBACProxy": {},
        "rest": {},
        "postgres": null,
        "mysql": {
            "host": "db",
            "port": 3306,
            "database": "models",
            "username": "ann",
            "passwordSecret": {"name": "registry-db-x7k2p", "key": "database-password"},
            "skipDBCreation": false,
            "sslRootCertificateConfigMap": null,
            "sslRootCertificateSecret": null,
        },
    });
    // Directly, and by way of the API server, which drops the nulls.
    let direct: ModelRegistry = serde_json::from_value(resource(&payload)).expect("it reads");
    assert_eq!(direct.spec, read(&payload));
    assert_eq!(direct.spec.postgres, None);
    let mysql = direct.spec.mysql.as_ref().expect("mysql");
    assert_eq!(
        mysql.password_secret.as_ref().expect("a Secret").key,
        "database-password"
    );
    assert_eq!(mysql.ssl_root_certificate_config_map, None);

    let written = serde_json::to_value(&direct).expect("it writes");
    let again: ModelRegistry = serde_json::from_value(written.clone()).expect("it reads again");
    assert_eq!(again.spec, direct.spec);
    assert_eq!(
        written["spec"].get("postgres"),
        None,
        "an absent field is not written"
    );
}

#[test]
fn a_resource_without_a_spec_reads() {
    for spec in [json!({"rest": {}}), Value::Null] {
        let registry: ModelRegistry = serde_json::from_value(resource(&spec)).expect("it reads");
        assert_eq!(registry.spec, ModelRegistrySpec::default());
    }
    let mut bare = resource(&Value::Null);
    bare.as_object_mut().expect("an object").remove("spec");
    let registry: ModelRegistry = serde_json::from_value(bare).expect("it reads");
    assert_eq!(registry.spec, ModelRegistrySpec::default());
}

#[test]
fn a_quantity_may_be_a_number() {
    let spec = read(&json!({"rest": {"resources": {"limits": {"cpu": 1, "memory": "256Mi"}}}}));
    let limits = spec
        .rest
        .resources
        .and_then(|resources| resources.limits)
        .expect("limits");
    assert_eq!(limits["cpu"], Quantity("1".into()));
}

#[test]
fn every_field_survives_a_round_trip() {
    let key = |name: &str| json!({"name": name, "key": "k"});
    let mut fields = 0;
    for database in [
        json!({"postgres": {
            "host": "db", "hostAddress": "192.0.2.1", "port": 1, "username": "ann", "passwordSecret": key("a"),
            "database": "models", "skipDBCreation": true, "generateDeployment": false, "sslMode": "verify-full",
            "sslCertificateSecret": key("b"), "sslKeySecret": key("c"), "sslPasswordSecret": key("d"),
            "sslRootCertificateSecret": key("e"), "sslRootCertificateConfigMap": key("f"), "image": "postgres",
            "storage": {"size": "1Gi", "storageClassName": "fast"}, "deletionPolicy": "Retain",
        }}),
        json!({"mysql": {
            "host": "db", "port": 1, "username": "ann", "passwordSecret": key("a"), "database": "models",
            "skipDBCreation": true, "sslCertificateSecret": key("b"), "sslKeySecret": key("c"),
            "sslRootCertificateSecret": key("e"), "sslRootCertificateConfigMap": key("f"),
            "sslRootCertificatesConfigMapName": "g", "sslRootCertificatesSecretName": "h", "sslCipher": "i",
            "verifyServerCert": true,
        }}),
    ] {
        let mut spec = json!({
            "rest": {"port": 1, "serviceRoute": "enabled", "resources": {"limits": {"cpu": "1"}}, "image": "registry"},
            "grpc": {"port": 2, "resources": {"requests": {"cpu": "1"}}, "image": "grpc"},
            "kubeRBACProxy": {
                "port": 3, "tlsCertificateSecret": key("t"), "tlsKeySecret": key("t"), "serviceRoute": "disabled",
                "domain": "example.test", "routePort": 4, "image": "proxy", "authorization": "ByMethod",
                "resources": {"claims": [{"name": "gpu", "request": "one"}]},
            },
            "oauthProxy": {"port": 5, "serviceRoute": "enabled", "domain": "", "routePort": 6, "image": "oauth",
                "tlsCertificateSecret": key("t"), "tlsKeySecret": key("t")},
            "enable_database_upgrade": true,
            "downgrade_db_schema_version": -1,
            "authentication": "KubeRBACProxy",
            "operand": {
                "replicas": 2, "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "gpu", "operator": "Exists"}],
                "affinity": {"podAntiAffinity": {}}, "imagePullSecrets": [{"name": "pull"}],
                "labels": {"team": "a"}, "annotations": {"note": "b"}, "env": [{"name": "LEVEL", "value": "debug"}],
                "podDisruptionBudget": {"minAvailable": "50%"},
            },
        });
        let (spec_fields, database) = (
            spec.as_object_mut().expect("an object"),
            database.as_object().expect("an object"),
        );
        spec_fields.extend(database.clone());
        fields += spec_fields.len();
        assert_eq!(serde_json::to_value(read(&spec)).expect("it writes"), spec);
    }
    assert_eq!(fields, 18, "each database with everything else");
}

/// What the schema admits, the types read: one number that does not fit would keep the
/// whole list of resources from being read.
#[test]
fn every_number_of_32_bits_is_bounded() {
    let mut bounded = 0;
    for crd in [api::model_registry(), api::v1alpha1()] {
        let schema = serde_json::to_value(&crd.spec.versions[0].schema).expect("JSON");
        bounded += bounds("", &schema);
    }
    assert!(bounded > 10, "{bounded} numbers were looked at");
}

fn bounds(path: &str, value: &Value) -> usize {
    let mut found = 0;
    if value["format"] == "int32" {
        let bound = |key: &str| value[key].as_f64().unwrap_or(f64::NAN);
        assert!(
            bound("minimum") >= f64::from(i32::MIN),
            "{path} has no minimum"
        );
        assert!(
            bound("maximum") <= f64::from(i32::MAX),
            "{path} has no maximum"
        );
        found += 1;
    }
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .collect(),
        Value::Array(items) => items.iter().map(|item| ("[]".to_owned(), item)).collect(),
        _ => Vec::new(),
    };
    found
        + inner
            .into_iter()
            .map(|(name, value)| bounds(&format!("{path}.{name}"), value))
            .sum::<usize>()
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(256))]

    /// Whatever the API server hands out, the types read it, and lose nothing.
    #[test]
    fn whatever_the_schema_admits_reads(spec in api::arbitrary::model_registry_spec(&api::arbitrary::text())) {
        let served = defaulted(&MODEL_REGISTRY, resource(&spec));
        let registry: ModelRegistry = serde_json::from_value(served.clone()).expect("it reads");
        let written = serde_json::to_value(&registry.spec).expect("it writes");
        assert_eq!(meaning(&written), meaning(&served["spec"]));
    }
}

/// The value without empty lists and maps, which mean what absence means, and with every
/// quantity as text.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), meaning(value)));
            fields
                .filter(|(_, value)| !value.is_null() && *value != json!([]) && *value != json!({}))
                .collect()
        }
        Value::Array(items) => items.iter().map(meaning).collect(),
        Value::Number(number) => number.to_string().into(),
        other => other.clone(),
    }
}
