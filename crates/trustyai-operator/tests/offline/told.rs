//! The status and the events of a service whose objects all are as they should be.

use std::path::Path;

use operator_harness::recorded::{self, read};
use runtime::offline::Platform;
use runtime::outcome::{Outcome, Target};
use serde_json::{Value, json};

use crate::world::World;

/// Where both stand among the objects.
pub(crate) const OBJECT: &str = "TrustyAIService trustyai-service";

/// Conditions of the Go operator.
const CONDITIONS: [&str; 8] = [
    "InferenceServicesPresent",
    "PVCAvailable",
    "DBAvailable",
    "RouteAvailable",
    "Available",
    "Ready",
    "ProvisioningSucceeded",
    "Degraded",
];

/// What was recorded, in the form of [`ours`].
pub(crate) fn theirs(folder: &Path) -> Value {
    let resource = read(&folder.join("status.yaml")).remove(0);
    let events = std::fs::read_to_string(folder.join("events.txt")).unwrap();
    said(&resource["status"], recorded::events(&events))
}

/// What ours says of a case: in a first pass that makes the objects, and in one where all of them are
/// there, which wires the models.
pub(crate) fn ours(platform: Platform, folder: &Path) -> Value {
    let (resource, mut documents) = recorded::resource(folder);
    for (place, document) in documents.iter_mut().enumerate() {
        document["metadata"]["uid"] = place.to_string().into();
    }
    documents.push(json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "trustyai-service-operator-config", "namespace": "operator"},
        "data": {"kServeServerless": "enabled"},
    }));
    let Ok(world) = World::of(platform, &resource) else {
        return said(&Value::Null, Vec::new());
    };
    let first = world.work(&documents);
    documents.extend(first.live());
    let second = world.work(&documents);
    let mut wired = Outcome::default();
    if let Ok(plan) = &second.plan {
        let shares = plan
            .shares()
            .iter()
            .map(|s| (s.kind, &s.namespace, &s.name));
        let edits = plan.edits().iter().map(|e| (e.kind, &e.namespace, &e.name));
        wired
            .updated
            .extend(shares.chain(edits).map(|(kind, namespace, name)| Target {
                kind,
                namespace: namespace.clone(),
                name: name.clone(),
            }));
    }
    let passes = [(&first, first.made()), (&second, wired)];
    let events = passes
        .iter()
        .flat_map(|(pass, wrote)| pass.events(&world.component, &world.resource, wrote));
    let status = second.status(&world.component, &world.resource);
    said(&json!(status), events.collect())
}

fn said(status: &Value, events: Vec<[String; 3]>) -> Value {
    recorded::said(status, &CONDITIONS, &["phase", "ready"], events)
}
