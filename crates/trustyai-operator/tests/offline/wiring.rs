//! What becomes of models, compared with what the Go operator was recorded to do with them.

use std::path::Path;

use operator_harness::recorded::{self, read};
use resources::{Change, Edit, Plan};
use runtime::offline::Platform;
use serde_json::{Value, json};

use crate::world::admitted;

/// The documents of a case, with a service that answers, and its resource.
fn documents(folder: &Path) -> (Vec<Value>, Value) {
    let (resource, mut documents) = recorded::resource(folder);
    for (place, document) in documents.iter_mut().enumerate() {
        document["metadata"]["uid"] = place.to_string().into();
    }
    let namespace = &resource["metadata"]["namespace"];
    documents.push(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": resource["metadata"]["name"], "namespace": namespace},
        "status": {"readyReplicas": 1},
    }));
    documents.push(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "trustyai-service-operator-config", "namespace": "operator"},
        "data": {"kServeServerless": "enabled"},
    }));
    (documents, resource)
}

fn plan(platform: Platform, resource: &Value, documents: &[Value]) -> Plan {
    let worked = admitted(platform, resource, documents);
    worked.and_then(|worked| worked.plan).unwrap()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> Option<&'a Value> {
    let mut found = documents.iter();
    found.find(|document| {
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        document["kind"] == kind && !name.starts_with("trustyai")
    })
}

fn made(live: &Value, edit: &Edit) -> Value {
    let Change::Merge(patch) = (edit.change)(live, &edit.wanted) else {
        panic!("a patch");
    };
    let mut after = live.clone();
    json_patch::merge(&mut after, &patch);
    after
}

/// Recorded cases with a model that KServe serves. The platform makes no difference.
fn cases() -> Vec<(String, std::path::PathBuf)> {
    let root = recorded::folder("trustyai").map(|root| root.join("openshift"));
    let all = root.map_or_else(Vec::new, |root| recorded::cases(&root));
    let named = all
        .into_iter()
        .map(|folder| (recorded::name(&folder).to_owned(), folder));
    named
        .filter(|(_, folder)| folder.join("objects.yaml").exists())
        .collect()
}

#[test]
fn loggers_are_those_of_the_go_operator_but_for_those_of_somebody_else() {
    let mut compared = 0;
    for (case, folder) in cases() {
        let recorded = read(&folder.join("objects.yaml"));
        let (documents, resource) = documents(&folder);
        let Some(before) = of_kind(&documents, "InferenceService") else {
            continue;
        };
        compared += 1;
        let plan = plan(Platform::OpenShift, &resource, &documents);
        let mut after = before.clone();
        for share in plan.shares() {
            json_patch::merge(&mut after, &share.body);
        }
        let theirs = of_kind(&recorded, "InferenceService").unwrap_or(before);
        let [ours, theirs, before] =
            [&after, theirs, before].map(|object| &object["spec"]["predictor"]["logger"]);
        if case == "isvc-foreign-logger" {
            assert_eq!(ours, before, "kept");
            assert_ne!(theirs, before, "the Go operator destroys it");
        } else {
            assert_eq!(ours, theirs, "{case}");
        }
    }
    println!("{compared} cases compared");
    assert!(
        compared == 0 || compared > 6,
        "only {compared} cases were found"
    );
}

#[test]
fn modelmesh_is_told_as_by_the_go_operator_and_taken_over_without_a_restart() {
    for (_, folder) in cases().into_iter().filter(|(case, _)| case == "modelmesh") {
        let recorded = read(&folder.join("objects.yaml"));
        let (mut documents, resource) = documents(&folder);
        let planned = plan(Platform::OpenShift, &resource, &documents);
        let [edit] = planned.edits() else {
            panic!("one edit");
        };
        let ours = made(of_kind(&documents, "Deployment").unwrap(), edit);
        let theirs = of_kind(&recorded, "Deployment").unwrap();
        let sender = |deployment: &Value| {
            let sender = &deployment["spec"]["template"]["spec"]["containers"][0];
            [&sender["env"], &sender["volumeMounts"]].map(Value::clone)
        };
        assert_eq!(sender(&ours), sender(theirs));
        // Nothing but the sender reads it.
        assert!(ours["spec"]["template"]["spec"]["containers"][1]["env"].is_null());

        let place = documents
            .iter()
            .position(|d| d["metadata"]["uid"] == "0")
            .unwrap();
        documents[place] = theirs.clone();
        documents[place]["metadata"]["uid"] = "0".into();
        assert!(
            plan(Platform::OpenShift, &resource, &documents)
                .edits()
                .is_empty()
        );
    }
}
