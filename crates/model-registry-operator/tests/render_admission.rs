//! `render` and `validate` take, refuse and complete a resource as an API server does.
//!
//! Each value of a resource that uses every part of the schema is replaced by others, one at a
//! time, and both are asked.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::Path;

use cluster::Platform;
use futures::stream::{self, StreamExt as _};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use runtime::offline::admission::{Refused, admit};
use serde_json::{Value, json};

/// Requests at once.
const CONCURRENT: usize = 16;

fn bases() -> Vec<Value> {
    let secret = json!({"name": "s", "key": "k"});
    let resources = json!({"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}, "claims": [{"name": "c", "request": "r"}]});
    let proxy = json!({
        "port": 8443, "serviceRoute": "enabled", "routePort": 443, "domain": "example.test", "image": "i",
        "tlsCertificateSecret": secret, "tlsKeySecret": secret,
    });
    let mut rbac_proxy = proxy.clone();
    rbac_proxy["authorization"] = json!("Get");
    rbac_proxy["resources"] = resources.clone();
    let tls = |mut block: Value| {
        for key in [
            "passwordSecret",
            "sslCertificateSecret",
            "sslKeySecret",
            "sslRootCertificateSecret",
            "sslRootCertificateConfigMap",
        ] {
            block[key] = secret.clone();
        }
        block
    };
    vec![
        json!({
            "rest": {"port": 8080, "serviceRoute": "disabled", "image": "i", "resources": resources},
            "grpc": {"port": 9090, "image": "i"},
            "mysql": tls(json!({"host": "h", "port": 3306, "database": "d", "username": "u", "skipDBCreation": false,
                "sslCipher": "A", "verifyServerCert": true, "sslRootCertificatesConfigMapName": "n"})),
            "kubeRBACProxy": rbac_proxy,
            "authentication": "KubeRBACProxy",
            "enable_database_upgrade": true,
            "downgrade_db_schema_version": 1,
            "operand": {
                "replicas": 2, "nodeSelector": {"a": "b"}, "tolerations": [{"key": "k", "operator": "Exists", "tolerationSeconds": 1}],
                "imagePullSecrets": [{"name": "a"}, {"name": "b"}], "labels": {"a": "b"}, "annotations": {"a": "b"},
                "env": [{"name": "A", "value": "b"}], "podDisruptionBudget": {"minAvailable": 1},
            },
        }),
        json!({
            "rest": {},
            "postgres": tls(json!({"host": "h", "hostAddress": "1.2.3.4", "port": 5432, "database": "d", "username": "u",
                "skipDBCreation": false, "sslMode": "verify-full", "sslPasswordSecret": secret})),
            "oauthProxy": proxy,
        }),
        json!({
            "rest": {},
            "postgres": {"generateDeployment": true, "image": "i", "deletionPolicy": "Retain",
                "storage": {"size": "5Gi", "storageClassName": "c"}},
            "authentication": "None",
        }),
    ]
}

fn replacements() -> Vec<Value> {
    vec![
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(70_000),
        json!(5_000_000_000_i64),
        json!(""),
        json!("x"),
        json!("Ä b"),
        json!("9Ki"),
        json!("x".repeat(300)),
        json!([]),
        json!([1]),
        json!([{"name": "A"}, {"name": "A"}]),
        json!({}),
        json!({"unknown": {"field": 1}}),
    ]
}

/// JSON pointers of every value in `value`, itself included.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(
                    value,
                    &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                places(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn resources() -> Vec<Value> {
    let mut all = Vec::new();
    for base in bases() {
        let mut found = Vec::new();
        places(&base, "", &mut found);
        all.push(base.clone());
        for place in found {
            for replacement in replacements() {
                let mut spec = base.clone();
                *spec.pointer_mut(&place).unwrap() = replacement;
                all.push(spec);
            }
            let mut without = base.clone();
            if let Some((parent, key)) = place.rsplit_once('/')
                && let Some(map) = without.pointer_mut(parent).and_then(Value::as_object_mut)
            {
                map.remove(key);
                all.push(without);
            }
        }
    }
    let wrap = |spec: Value| {
        json!({
            "apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
            "metadata": {"name": "r", "namespace": "default"}, "spec": spec,
        })
    };
    all.into_iter().map(wrap).collect()
}

/// The stored spec, or the fields that are refused.
type Verdict = Result<Value, BTreeSet<String>>;

fn ours(definition: &CustomResourceDefinition, resource: &Value) -> Verdict {
    match admit(definition, resource) {
        Ok(admitted) => Ok(admitted.object["spec"].clone()),
        Err(Refused::Fields(fields)) => Err(fields.into_iter().map(|field| field.path).collect()),
        Err(refused) => panic!("{refused}"),
    }
}

async fn theirs(api: &Api<DynamicObject>, resource: &Value) -> Verdict {
    let object: DynamicObject = serde_json::from_value(resource.clone()).unwrap();
    let dry_run = PostParams {
        dry_run: true,
        field_manager: None,
    };
    match api.create(&dry_run, &object).await {
        Ok(stored) => Ok(stored.data["spec"].clone()),
        Err(kube::Error::Api(status)) if status.code == 422 => {
            let causes = status
                .details
                .map(|details| details.causes)
                .unwrap_or_default();
            // One of them only says that rules were not looked at.
            Err(causes
                .into_iter()
                .map(|cause| cause.field)
                .filter(|field| field != "<nil>")
                .collect())
        }
        Err(error) => panic!("{error}: {resource}"),
    }
}

#[tokio::test]
async fn what_an_api_server_stores_and_refuses() {
    let crd = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../config/model-registry-operator/crd/modelregistry.opendatahub.io_modelregistries.yaml");
    let cluster = cluster::shared_with(Platform::Kubernetes, || {
        std::fs::read_to_string(crd).unwrap()
    })
    .unwrap();
    let kind = GroupVersionKind::gvk("modelregistry.opendatahub.io", "v1beta1", "ModelRegistry");
    let kind = ApiResource::from_gvk_with_plural(&kind, "modelregistries");
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client().unwrap(), "default", &kind);

    let definition = api::model_registry();
    let resources = resources();
    assert!(resources.len() > 1000, "{}", resources.len());
    let different: Vec<String> = stream::iter(&resources)
        .map(|resource| async {
            let (ours, theirs) = (ours(&definition, resource), theirs(&api, resource).await);
            (ours != theirs).then(|| {
                format!(
                    "{}\n  API server: {theirs:?}\n  here:       {ours:?}\n",
                    resource["spec"]
                )
            })
        })
        .buffer_unordered(CONCURRENT)
        .filter_map(|different| async { different })
        .collect()
        .await;
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        resources.len(),
        different.concat()
    );
}
