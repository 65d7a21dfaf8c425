//! A server and what is around it, without a cluster.

use api::mlflow::v1::{FORCE_MIGRATE, MLflow};
use mlflow_operator::config::{Config, MLFLOW_VERSION};
use mlflow_operator::server::error::Error;
use mlflow_operator::server::validated::Validated;
use mlflow_operator::server::{Installation, Server, validate};
use operator_harness::{Pass, environment};
use resources::{Kind, Plan};
use runtime::offline::{OfflineInputs, Platform, admission::admit};
use serde_json::{Value, json};

/// A uid that every server here has.
pub(crate) const UID: &str = "00000000-0000-4000-8000-000000000001";
/// Where all servers here are.
pub(crate) const NAMESPACE: &str = "opendatahub";

/// When everything here happens.
pub(crate) fn now() -> jiff::Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// A server that was read, and what it becomes.
pub(crate) struct Worked {
    pub(crate) server: Result<Validated, Error>,
    pub(crate) plan: Result<Plan, Error>,
}

/// The operator of an installation with these variables beside its image.
pub(crate) fn operator(variables: &[(&str, &str)]) -> Server {
    let image = ("MLFLOW_IMAGE", "quay.io/opendatahub/mlflow:odh-stable");
    let config = Config::from_lookup(environment(&[variables, &[image]].concat()));
    Server {
        installation: Installation {
            config: config.unwrap(),
            namespace: NAMESPACE.to_owned(),
        },
    }
}

/// An MLflow with these fields over a sound spec; null takes a field away.
pub(crate) fn mlflow(fields: &Value) -> Value {
    let mut spec = json!({"backendStoreUri": "sqlite:////mlflow/mlflow.db",
        "serveArtifacts": true, "storage": {}});
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    let fields = spec.as_object_mut().unwrap();
    fields.retain(|_, value| !value.is_null());
    json!({"apiVersion": "mlflow.opendatahub.io/v1", "kind": "MLflow",
        "metadata": {"name": "mlflow"}, "spec": spec})
}

/// Status of a resource whose database is migrated.
pub(crate) fn migrated() -> Value {
    json!({"version": MLFLOW_VERSION, "conditions": [{"type": "Migration", "status": "True",
        "reason": "MigrationSucceeded", "message": "", "observedGeneration": 0,
        "lastTransitionTime": "2026-01-02T03:04:05Z"}]})
}

/// `resource` as the API server stores it. An error where the schema refuses it.
pub(crate) fn stored(resource: &Value) -> Result<Value, Error> {
    let admitted = admit(&several(), resource);
    let admitted = admitted.map_err(|refused| Error::Invalid(vec![refused.to_string()]));
    let mut stored = admitted?.object;
    stored["metadata"]["uid"] = UID.into();
    Ok(stored)
}

/// What is around `resource`: `documents`, on a platform with `more` kinds beside its own.
pub(crate) fn inputs(
    operator: &Server,
    platform: Platform,
    more: &[Kind],
    resource: &MLflow,
    documents: &[Value],
) -> OfflineInputs {
    let capabilities = platform.capabilities(operator, &[]);
    let capabilities = capabilities.with(more.iter().copied());
    OfflineInputs::new(operator, resource, documents, capabilities, now())
}

/// What `resource` becomes once its database is migrated, where `documents` are there already and
/// these kinds are served beside those of the platform. An error where the schema refuses it, or it
/// cannot be read for.
pub(crate) fn work(
    operator: &Server,
    platform: Platform,
    more: &[Kind],
    resource: &Value,
    documents: &[Value],
) -> Result<Worked, Error> {
    let mut admitted = stored(resource)?;
    admitted["status"] = migrated();
    if let Some(annotations) = admitted.pointer_mut("/metadata/annotations") {
        // Taken back once it is served.
        annotations.as_object_mut().unwrap().remove(FORCE_MIGRATE);
    }
    let resource: MLflow = serde_json::from_value(admitted).unwrap();
    let inputs = inputs(operator, platform, more, &resource, documents);
    let pass = Pass::over(operator, &resource, inputs)?;
    Ok(Worked {
        server: validate::validate(&resource, &pass.seen, &operator.installation),
        plan: pass.plan,
    })
}

/// The definition without the rule that there is one MLflow.
fn several()
-> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition {
    let mut crd = api::mlflow();
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut();
        let root = root.and_then(|schema| schema.open_api_v3_schema.as_mut());
        let rules = root.and_then(|root| root.x_kubernetes_validations.as_mut());
        rules
            .unwrap()
            .retain(|rule| !rule.rule.contains("== 'mlflow'"));
    }
    crd
}
