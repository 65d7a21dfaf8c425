//! Comparison with what the Go operator was recorded to do: the same objects, status and events, but
//! for the entries of `differences.yaml`.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

use std::path::Path;

use crate::told;
use crate::world::admitted;
use operator_harness::bodies;
use operator_harness::recorded::{self, Objects, read};
use runtime::offline::Platform;
use serde_json::Value;
use trustyai_operator::service::error::Error;

/// What is made of the case; no objects when the resource is refused.
fn ours(platform: Platform, folder: &Path, live: Vec<Value>) -> Vec<Value> {
    let (resource, mut documents) = recorded::resource(folder);
    documents.extend(live);
    match admitted(platform, &resource, &documents).and_then(|worked| worked.plan) {
        Ok(plan) => bodies(&plan),
        Err(Error::Invalid(_)) => Vec::new(),
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

/// Objects by kind and name, with one name and one namespace in all cases. Those of somebody else,
/// which the wiring changes, are compared by tests of their own.
fn keyed(case: &str, objects: Vec<Value>) -> Objects {
    let text = Value::from(objects).to_string();
    let text = text.replace("trustyaiservice-sample", "trustyai-service");
    let text = text.replace(&format!("tas-{case}"), "NAMESPACE");
    let objects: Vec<Value> = serde_json::from_str(&text).unwrap();
    let mut keyed = recorded::keyed(objects, &[]);
    keyed.retain(|key, _| !key.starts_with("InferenceService ") && !key.contains(" modelmesh"));
    keyed
}

#[test]
fn objects_equal_the_recorded_ones() {
    let Some(root) = recorded::folder("trustyai") else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    recorded::assert_equal((package, &root), 30, |platform, folder| {
        let case = recorded::name(folder);
        if folder.join("rejected.txt").exists() || !folder.join("objects.yaml").exists() {
            return Err("nothing was made");
        }
        let mut theirs = keyed(case, read(&folder.join("objects.yaml")));
        theirs.insert(told::OBJECT.to_owned(), told::theirs(folder));
        let mut ours = keyed(case, ours(platform, folder, Vec::new()));
        ours.insert(told::OBJECT.to_owned(), told::ours(platform, folder));
        Ok((theirs, ours))
    });
}

#[test]
fn taking_over_changes_nothing_that_cannot_change() {
    let Some(root) = recorded::folder("trustyai") else {
        return;
    };
    for case in ["sample", "db-mariadb", "migration"] {
        let folder = root.join("openshift").join(case);
        let live = read(&folder.join("objects.yaml"));
        let taken = keyed(case, ours(Platform::OpenShift, &folder, live.clone()));
        // Made by the Go operator once for all services.
        let gone = ["ServiceMonitor trustyai-metrics"];
        recorded::assert_taken_over(&keyed(case, live), &taken, &[], &gone);
    }
}
