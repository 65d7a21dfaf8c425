//! Comparison with what the Go operator was recorded to do: the same objects, status and events, but
//! for the entries of `differences.yaml`.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

use std::collections::BTreeMap;
use std::path::Path;

use crate::told;
use crate::world::admitted;
use operator_harness::recorded::{self, read};
use runtime::offline::Platform;
use serde_json::Value;
use trustyai_operator::service::error::Error;

/// What is made of the case; no objects when the resource is refused.
fn ours(platform: Platform, folder: &Path, live: Vec<Value>) -> Vec<Value> {
    let mut documents = read(&folder.join("cr.yaml"));
    let resource = documents.pop().unwrap();
    documents.extend(live);
    let bodies = |plan: &resources::Plan| plan.objects().iter().map(|o| o.body.clone()).collect();
    match admitted(platform, &resource, &documents).and_then(|worked| worked.plan) {
        Ok(plan) => bodies(&plan),
        Err(Error::Invalid(_)) => Vec::new(),
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

/// Objects by kind and name, with one name and one namespace in all cases. Those of somebody else,
/// which the wiring changes, are compared by tests of their own.
fn keyed(case: &str, objects: Vec<Value>) -> BTreeMap<String, Value> {
    let keyed = objects.into_iter().filter_map(|object| {
        let text = object.to_string();
        let text = text.replace("trustyaiservice-sample", "trustyai-service");
        let text = text.replace(&format!("tas-{case}"), "NAMESPACE");
        let object: Value = serde_json::from_str(&text).unwrap();
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let (kind, name) = (text("/kind")?, text("/metadata/name")?);
        let wired = kind == "InferenceService" || name.starts_with("modelmesh");
        let key = format!("{kind} {name}");
        (!wired).then(|| (key, recorded::object(object, &[])))
    });
    keyed.collect()
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
        for (object, theirs) in keyed(case, live) {
            // Made by the Go operator once for all services; it goes.
            if object == "ServiceMonitor trustyai-metrics" {
                assert!(!taken.contains_key(&object));
                continue;
            }
            let ours = &taken[&object];
            let mut kept = vec!["/roleRef", "/spec/accessModes"];
            if object.starts_with("Deployment") {
                kept.push("/spec/selector");
            }
            recorded::assert_kept(&object, &theirs, ours, &kept);
        }
    }
}
