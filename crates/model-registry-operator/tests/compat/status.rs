//! The status and the events of a registry whose objects all are as they should be.

use std::path::Path;

use api::modelregistry::v1beta1::ModelRegistry;
use model_registry_operator::registry::{Registry, status};
use resources::kind::{DEPLOYMENT, INGRESS_CONFIG, ROUTE};
use runtime::component::{Attempt, Component};
use runtime::offline::{OfflineInputs, Platform};
use runtime::outcome::{Outcome, Target};
use serde_json::{Map, Value, json};

/// Where a status stands among the objects.
pub(crate) const OBJECT: &str = "ModelRegistry NAME";

/// What was recorded, in the form of [`ours`].
pub(crate) fn recorded(folder: &Path) -> Value {
    let resource = operator_harness::recorded::read(&folder.join("status.yaml")).remove(0);
    let events = std::fs::read_to_string(folder.join("events.txt")).unwrap();
    // `Normal ServiceCreated ModelRegistry/NAME [REPORTER] MESSAGE`; an edit of the spec by the
    // operator itself makes a second one.
    let event = events
        .lines()
        .next()
        .filter(|line| *line != "(none)")
        .map(|line| {
            let (head, message) = line.split_once("] ").unwrap();
            let words: Vec<_> = head.split(' ').collect();
            json!({"type": words[0], "reason": words[1], "message": message})
        });
    comparable(&resource["status"], event)
}

/// What ours says of a case.
pub(crate) fn ours(
    registry: &Registry,
    resource: &ModelRegistry,
    mut documents: Vec<Value>,
    platform: Platform,
) -> Value {
    let now = jiff::Timestamp::UNIX_EPOCH;
    let inputs = |documents: &[Value]| {
        let capabilities = platform.capabilities(registry, &[INGRESS_CONFIG]);
        OfflineInputs::new(registry, resource, documents, capabilities, now)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let seen = runtime
        .block_on(registry.observe(resource, &inputs(&documents)))
        .unwrap();
    let plan = registry.plan(resource, &seen);
    let mut outcome = Outcome::default();
    for object in plan.iter().flat_map(resources::Plan::objects) {
        outcome.created.push(Target {
            kind: object.kind,
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        });
        documents.extend(live(object.kind, &object.body));
    }
    let attempt = |outcome| Attempt::<Registry> {
        observation: Some(&seen),
        plan: plan.as_ref().ok(),
        failure: plan.as_ref().err(),
        outcome,
        paused: false,
        missing_rules: &[],
        now,
    };
    let event = registry
        .events(resource, &attempt(&outcome))
        .into_iter()
        .next()
        .map(|note| {
            let type_ = if note.warning { "Warning" } else { "Normal" };
            json!({"type": type_, "reason": note.reason, "message": note.message})
        });
    let quiet = Outcome::default();
    let status = status::status(registry, resource, &attempt(&quiet), &inputs(&documents));
    comparable(&serde_json::to_value(status).unwrap(), event)
}

/// What the cluster makes of an object when all goes well.
fn live(kind: resources::Kind, body: &Value) -> Vec<Value> {
    let mut object = body.clone();
    match kind {
        DEPLOYMENT => {
            object["metadata"]["generation"] = json!(1);
            object["status"] = json!({
                "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
                "conditions": [
                    {"type": "Available", "status": "True"},
                    {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
                ],
            });
            let template = &body["spec"]["template"];
            let containers = template["spec"]["containers"].as_array().unwrap().iter();
            let statuses: Vec<_> = containers
                .map(|c| json!({"name": c["name"], "ready": true, "image": "", "imageID": "", "restartCount": 0}))
                .collect();
            let name = &body["metadata"]["name"];
            let namespace = &body["metadata"]["namespace"];
            let pod = json!({
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace, "labels": template["metadata"]["labels"]},
                "spec": template["spec"], "status": {"containerStatuses": statuses},
            });
            let mut labels = template["metadata"]["labels"].clone();
            labels["kubernetes.io/service-name"] = name.clone();
            let slice = json!({
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": {"name": name, "namespace": namespace, "labels": labels},
                "endpoints": [{"addresses": ["10.0.0.1"]}],
            });
            vec![object, pod, slice]
        }
        ROUTE => {
            object["status"] =
                json!({"ingress": [{"conditions": [{"type": "Admitted", "status": "True"}]}]});
            vec![object]
        }
        _ => Vec::new(),
    }
}

/// A status and an event without times, conditions by type, and without what only ours has.
fn comparable(status: &Value, event: Option<Value>) -> Value {
    let theirs = ["Available", "Progressing", "KubeRBACProxyAvailable"];
    let conditions: Map<String, Value> = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|condition| {
            let type_ = condition["type"].as_str().filter(|type_| theirs.contains(type_))?;
            let said = json!({
                "status": condition["status"], "reason": condition["reason"], "message": condition["message"],
            });
            Some((type_.to_owned(), said))
        })
        .collect();
    let defaults = status["specDefaults"]
        .as_str()
        .map(|text| serde_json::from_str::<Value>(text).unwrap());
    let mut said = json!({"status": {"conditions": conditions}});
    for (key, value) in [
        ("hosts", status.get("hosts").cloned()),
        ("hostsStr", status.get("hostsStr").cloned()),
        ("specDefaults", defaults),
    ] {
        if let Some(value) = value {
            said["status"][key] = value;
        }
    }
    if let Some(event) = event {
        said["event"] = event;
    }
    said
}
