//! Comparison with what the Go operator was recorded to do.

use std::collections::BTreeSet;

use conditions::{Status, Wanted, condition_type};
use mlflow_operator::module::gate::gate;
use operator_harness::bodies;
use operator_harness::recorded::{self, read};
use serde_json::{Value, json};

use crate::offline::{auth, namespace, plan};

#[test]
fn access_to_a_namespace_equals_the_recorded_one() {
    let Some(folder) = recorded::folder("mlflow/openshift/namespace-rbac") else {
        return;
    };
    let bindings = |mut objects: Vec<Value>| {
        objects.retain(|object| object["kind"] == "RoleBinding");
        recorded::keyed(objects, &[])
    };
    let groups = json!({"allowedGroups": ["system:authenticated"], "adminGroups": ["odh-admins"]});
    let planned = plan(&[namespace("ws-a", "mlflow"), auth(&groups)]).unwrap();
    let ours = bindings(bodies(&planned));
    let theirs = bindings(read(&folder.join("objects.yaml")));
    assert_eq!(theirs.len(), 2);
    let mut found = BTreeSet::new();
    recorded::compare("namespace-rbac", &theirs, &ours, &mut found);
    let found: Vec<String> = found
        .iter()
        .map(|found| format!("{} {}{}", found.object, found.path, found.values))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn without_a_module_mlflows_wait_in_the_recorded_words() {
    let Some(folder) = recorded::folder("mlflow/openshift/module-missing") else {
        return;
    };
    let gate = gate(None);
    let closed = [
        gate.condition.clone(),
        gate.closed(condition_type!("Available"), Status::False),
        gate.closed(condition_type!("Progressing"), Status::True),
    ];
    let told = |wanted: &Wanted| {
        json!([
            wanted.type_.as_str(),
            wanted.status.as_str(),
            wanted.reason.as_str(),
            wanted.message
        ])
    };
    let ours: Vec<Value> = closed.iter().map(told).collect();
    let status = read(&folder.join("status.yaml")).remove(0);
    let theirs = status["status"]["conditions"]
        .as_array()
        .expect("conditions");
    let told = |one: &Value| json!([one["type"], one["status"], one["reason"], one["message"]]);
    let theirs: Vec<Value> = theirs.iter().map(told).collect();
    assert_eq!(ours, theirs);
}
