//! What a Catalog becomes among documents.

use api::catalog::v1alpha1::Catalog as Resource;
use jiff::Timestamp;
use model_registry_operator::catalog::{Catalog, config::Config, error::Error};
use operator_harness::{Pass, environment};
use resources::Plan;
use resources::kind::{AUTH, INGRESS_CONFIG};
use runtime::offline::{OfflineInputs, Platform, documents};
use serde_json::{Value, json};

/// A catalog's operator with this environment.
pub(crate) fn component(env: &[(&str, &str)]) -> Catalog {
    let config = Config::from_lookup(environment(env)).unwrap();
    Catalog { config }
}

/// A Catalog with this name and spec in namespace `ns`.
pub(crate) fn resource(name: &str, spec: &Value) -> Resource {
    serde_json::from_value(json!({
        "apiVersion": "aihub.opendatahub.io/v1alpha1", "kind": "Catalog", "spec": spec,
        "metadata": {"name": name, "namespace": "ns", "uid": "the-uid"},
    }))
    .unwrap()
}

/// Documents in YAML.
pub(crate) fn read(text: &str) -> Vec<Value> {
    documents::read(text, "test").unwrap()
}

/// What `resource` becomes beside `documents`.
pub(crate) fn plan(
    catalog: &Catalog,
    resource: &Resource,
    documents: &[Value],
    platform: Platform,
) -> Result<Plan, Error> {
    let capabilities = platform.capabilities(catalog, &[INGRESS_CONFIG, AUTH]);
    let inputs = OfflineInputs::new(
        catalog,
        resource,
        documents,
        capabilities,
        Timestamp::UNIX_EPOCH,
    );
    Pass::over(catalog, resource, inputs)?.plan
}
