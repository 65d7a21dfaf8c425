//! The same objects as the Go operator was recorded to make, but for the entries of
//! `catalog_differences.yaml`. The recordings are not part of the project: where they are missing,
//! one line says so.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use operator_harness::bodies;
use operator_harness::recorded::{self, Differences, Objects, read};
use runtime::offline::Platform;
use serde_json::{Value, json};

use crate::offline::{component, plan};

const CASES: [(&str, Platform); 3] = [
    ("plain/catalog-sample", Platform::Kubernetes),
    ("openshift/catalog-sample", Platform::OpenShift),
    ("openshift/catalog-gateway", Platform::OpenShift),
];

fn recordings() -> Option<PathBuf> {
    recorded::folder("model-registry")
}

fn ours(case: &str, folder: &Path, platform: Platform, live: Vec<Value>) -> Vec<Value> {
    let (mut resource, mut documents) = recorded::resource(folder);
    resource["metadata"]["uid"] = "00000000-0000-4000-8000-000000000001".into();
    documents.extend(live);
    if platform == Platform::OpenShift {
        documents.push(json!({
            "apiVersion": "config.openshift.io/v1", "kind": "Ingress", "metadata": {"name": "cluster"},
            "spec": {"domain": "apps.example.test"},
        }));
    }
    let env: &[(&str, &str)] = if case.ends_with("gateway") {
        &[
            ("GATEWAY_DOMAIN", "gw.example.test"),
            ("HTTPROUTE_NAMESPACE", "opendatahub"),
        ]
    } else {
        &[]
    };
    let resource = serde_json::from_value(resource).unwrap();
    bodies(&plan(&component(env), &resource, &documents, platform).unwrap())
}

fn is_file(key: &str) -> bool {
    matches!(key, "sources.yaml" | "config-file.yaml")
}

/// Objects by kind and name, with the API server's defaults.
fn keyed(mut objects: Vec<Value>) -> Objects {
    // The files are compared by what they say.
    let data = objects.iter_mut().filter_map(|o| o["data"].as_object_mut());
    for (_, text) in data.flatten().filter(|(key, _)| is_file(key)) {
        *text = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
    }
    recorded::keyed(objects, &[])
}

#[test]
fn objects_equal_the_recorded_ones() {
    let Some(root) = recordings() else { return };
    let mut found = BTreeSet::new();
    for (case, platform) in CASES {
        let folder = root.join(case);
        let theirs = keyed(read(&folder.join("objects.yaml")));
        let ours = keyed(ours(case, &folder, platform, Vec::new()));
        recorded::compare(case, &theirs, &ours, &mut found);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog_differences.yaml");
    let report = Differences::read(&path).check(&found);
    assert!(report.is_empty(), "{report}");
}

#[test]
fn taking_over_restarts_no_database_and_changes_no_selector() {
    let Some(root) = recordings() else { return };
    for (case, platform) in CASES {
        let folder = root.join(case);
        let live = read(&folder.join("objects.yaml"));
        let taken = keyed(ours(case, &folder, platform, live.clone()));
        let theirs = keyed(live);
        let selectors = ["/spec/selector", "/spec/podSelector"];
        // What is the user's is left as it is.
        let gone = [
            "ConfigMap model-catalog-sources",
            "ConfigMap mcp-catalog-sources",
            "ConfigMap agent-catalog-sources",
        ];
        recorded::assert_taken_over(&theirs, &taken, &selectors, &gone);
        let postgres = "Deployment model-catalog-postgres";
        assert_eq!(taken[postgres]["spec"], theirs[postgres]["spec"]);
    }
}
