//! The status and the events of a registry whose objects all are as they should be.

use std::path::Path;

use api::modelregistry::v1beta1::ModelRegistry;
use model_registry_operator::registry::{Registry, status};
use operator_harness::recorded;
use resources::kind::INGRESS_CONFIG;
use runtime::component::{Attempt, Component};
use runtime::offline::{OfflineInputs, Platform};
use runtime::outcome::{Outcome, Target};
use serde_json::Value;

/// Where a status stands among the objects.
pub(crate) const OBJECT: &str = "ModelRegistry NAME";

/// What was recorded, in the form of [`ours`].
pub(crate) fn theirs(folder: &Path) -> Value {
    let resource = recorded::read(&folder.join("status.yaml")).remove(0);
    let text = std::fs::read_to_string(folder.join("events.txt")).unwrap();
    // An edit of the spec by the operator itself makes a second one.
    comparable(
        &resource["status"],
        recorded::events(&text).into_iter().next(),
    )
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
        documents.extend(recorded::live(object.kind, &object.body));
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
            [type_.to_owned(), note.reason.to_owned(), note.message]
        });
    let quiet = Outcome::default();
    let status = status::status(registry, resource, &attempt(&quiet), &inputs(&documents));
    comparable(&serde_json::to_value(status).unwrap(), event)
}

/// A status and an event without times, conditions by type, and without what only ours has.
fn comparable(status: &Value, event: Option<[String; 3]>) -> Value {
    let conditions = ["Available", "Progressing", "KubeRBACProxyAvailable"];
    let mut said = recorded::said(status, &conditions, &["hosts", "hostsStr"], event);
    if let Some(text) = status["specDefaults"].as_str() {
        said["status"]["specDefaults"] = serde_json::from_str(text).unwrap();
    }
    said
}
