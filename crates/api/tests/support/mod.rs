//! The API server's part, for tests without one.

mod defaulted;

use std::sync::LazyLock;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

pub(crate) use defaulted::defaulted;

/// The definition of ModelRegistry that is served.
pub(crate) static MODEL_REGISTRY: LazyLock<CustomResourceDefinition> =
    LazyLock::new(api::model_registry);

/// A v1beta1 resource with this spec.
pub(crate) fn resource(spec: &Value) -> Value {
    json!({
        "apiVersion": "modelregistry.opendatahub.io/v1beta1",
        "kind": "ModelRegistry",
        "metadata": {"name": "registry", "namespace": "models"},
        "spec": spec,
    })
}
