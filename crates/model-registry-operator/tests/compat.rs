//! Comparison with what the Go operator was recorded to do: the same objects, but for the entries
//! of `differences.yaml`.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

#[path = "compat/status.rs"]
mod status;

use std::path::{Path, PathBuf};

use api::modelregistry::v1beta1::ModelRegistry;
use kube::CustomResourceExt;
use model_registry_operator::registry::{
    Registry,
    config::{Config, PROXY_IMAGE},
    error::Error,
};
use operator_harness::recorded::{self, Objects, read};
use operator_harness::{Pass, bodies};
use resources::kind::INGRESS_CONFIG;
use runtime::offline::{OfflineInputs, Platform, admission::admit};
use serde_json::{Value, json};

/// The user of a generated Postgres, base64: the one value of a Secret that is always the same.
const GENERATED_USER: &str = "bW9kZWxyZWdpc3RyeQ==";

fn recordings() -> Option<PathBuf> {
    recorded::folder("model-registry")
}

/// Why a recorded case is not compared.
fn not_compared(case: &str, folder: &Path) -> Option<&'static str> {
    let rules = [
        ("wh-", "recorded with webhooks"),
        ("catalog-", "kind Catalog"),
        ("v1alpha1", "needs conversion"),
    ];
    let rule = rules
        .iter()
        .find(|(prefix, _)| case.starts_with(prefix))
        .map(|(_, reason)| *reason);
    rule.or_else(|| {
        folder
            .join("rejected.txt")
            .exists()
            .then_some("refused by the schema")
    })
}

fn config(case: &str) -> Config {
    let gateway = case.starts_with("gateway-");
    Config::from_lookup(|name| match name {
        "GATEWAY_DOMAIN" if gateway => Some("gw.example.test".into()),
        "HTTPROUTE_NAMESPACE" if gateway => Some("opendatahub".into()),
        _ => None,
    })
    .unwrap()
}

/// What ours makes of the case, and says of it; no objects when it refuses the resource.
fn ours(platform: Platform, case: &str, folder: &Path) -> (Vec<Value>, Value) {
    ours_beside(platform, case, folder, Vec::new())
}

/// What ours makes of the case where `live` is there already.
fn ours_beside(
    platform: Platform,
    case: &str,
    folder: &Path,
    live: Vec<Value>,
) -> (Vec<Value>, Value) {
    let (cr, mut documents) = recorded::resource(folder);
    documents.extend(live);
    if platform == Platform::OpenShift {
        documents.push(json!({
            "apiVersion": INGRESS_CONFIG.api_version(), "kind": "Ingress", "metadata": {"name": "cluster"},
            "spec": {"domain": "apps.example.test"},
        }));
    }
    let mut admitted = admit(&ModelRegistry::crd(), &cr).unwrap().object;
    admitted["metadata"]["uid"] = "00000000-0000-4000-8000-000000000001".into();
    let resource: ModelRegistry = serde_json::from_value(admitted).unwrap();
    let registry = Registry {
        config: config(case),
    };
    let capabilities = platform.capabilities(&registry, &[INGRESS_CONFIG]);
    let inputs = |documents: &[Value]| {
        let now = jiff::Timestamp::UNIX_EPOCH;
        OfflineInputs::new(&registry, &resource, documents, capabilities.clone(), now)
    };
    let pass = Pass::over(&registry, &resource, inputs(&documents)).unwrap();
    let objects = match &pass.plan {
        Ok(plan) => bodies(plan),
        Err(Error::Validate(_)) => Vec::new(),
        Err(error) => panic!("{case}: {error}"),
    };
    let events = pass.events(&registry, &resource, &pass.made());
    documents.extend(pass.live());
    let later = Pass::over(&registry, &resource, inputs(&documents)).unwrap();
    let said = status::comparable(&json!(later.status(&registry, &resource)), events);
    (objects, said)
}

/// Objects by kind and name, the registry's name as `NAME`.
fn keyed(case: &str, objects: Vec<Value>) -> Objects {
    let keyed = recorded::keyed(objects, &[GENERATED_USER]).into_iter();
    keyed
        .map(|(key, object)| (key.replacen(case, "NAME", 1), object))
        .collect()
}

#[test]
fn objects_equal_the_recorded_ones() {
    let Some(root) = recordings() else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    recorded::assert_equal((package, &root), 50, |platform, folder| {
        let case = recorded::name(folder);
        if let Some(reason) = not_compared(case, folder) {
            return Err(reason);
        }
        let mut theirs = keyed(case, read(&folder.join("objects.yaml")));
        theirs.insert(status::OBJECT.to_owned(), status::theirs(folder));
        let (objects, said) = ours(platform, case, folder);
        let mut ours = keyed(case, objects);
        ours.insert(status::OBJECT.to_owned(), said);
        Ok((theirs, ours))
    });
}

#[test]
fn taking_over_restarts_no_database_and_changes_no_selector() {
    let Some(root) = recordings() else {
        return;
    };
    for (folder, platform) in [
        ("plain/proxy-postgres-auto", Platform::Kubernetes),
        ("plain/sample-postgres-auto", Platform::Kubernetes),
        ("openshift/proxy-postgres-auto", Platform::OpenShift),
        ("openshift/gateway-default", Platform::OpenShift),
    ] {
        let folder = root.join(folder);
        let case = recorded::name(&folder);
        let live = read(&folder.join("objects.yaml"));
        let taken = keyed(case, ours_beside(platform, case, &folder, live.clone()).0);
        let theirs = keyed(case, live);
        let selectors = ["/spec/selector", "/spec/podSelector"];
        recorded::assert_taken_over(&theirs, &taken, &selectors, &[]);
        let spec = |objects: &Objects| {
            let postgres = objects.get("Deployment NAME-postgres");
            postgres.map(|deployment| deployment["spec"].clone())
        };
        assert_eq!(spec(&taken), spec(&theirs));
    }
}

#[test]
fn the_recorded_default_image_of_the_proxy_is_not_ours() {
    // The entry about it in differences.yaml rests on this.
    assert_eq!(config("any").proxy_image, PROXY_IMAGE);
    assert_ne!(
        PROXY_IMAGE,
        "quay.io/openshift/origin-kube-rbac-proxy:latest"
    );
}
