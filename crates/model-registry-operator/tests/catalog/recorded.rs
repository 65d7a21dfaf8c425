//! The same objects as the Go operator was recorded to make, but for the entries of
//! `catalog_differences.yaml`. The recordings are not part of the project: where they are missing,
//! one line says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use operator_harness::recorded::{self, Differences, read};
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
    let mut documents = read(&folder.join("cr.yaml"));
    let mut resource = documents.pop().unwrap();
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
    plan(&component(env), &resource, &documents, platform)
        .unwrap()
        .objects()
        .iter()
        .map(|object| object.body.clone())
        .collect()
}

fn is_file(key: &str) -> bool {
    matches!(key, "sources.yaml" | "config-file.yaml")
}

/// Objects by kind and name, with the API server's defaults.
fn keyed(objects: Vec<Value>) -> BTreeMap<String, Value> {
    let one = |mut object: Value| {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let key = format!("{} {name}", object["kind"].as_str().unwrap());
        // The files are compared by what they say.
        if let Some(data) = object["data"].as_object_mut() {
            for text in data.iter_mut().filter(|(key, _)| is_file(key)) {
                *text.1 = serde_saphyr::from_str(text.1.as_str().unwrap()).unwrap();
            }
        }
        (key, recorded::object(object, &[]))
    };
    objects.into_iter().map(one).collect()
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
        for (object, theirs) in keyed(live) {
            let Some(ours) = taken.get(&object) else {
                let kept = [
                    "ConfigMap model-catalog-sources",
                    "ConfigMap mcp-catalog-sources",
                    "ConfigMap agent-catalog-sources",
                ];
                assert!(kept.contains(&object.as_str()), "{object}");
                continue;
            };
            if object == "Deployment model-catalog-postgres" {
                assert_eq!(ours["spec"], theirs["spec"]);
            }
            let kept = ["/spec/selector", "/spec/podSelector", "/roleRef", "/type"];
            recorded::assert_kept(&object, &theirs, ours, &kept);
        }
    }
}
