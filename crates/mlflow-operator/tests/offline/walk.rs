//! A resource from its first pass to rest, while all goes well: every Job succeeds, every pod is ready.

use std::collections::BTreeMap;

use api::mlflow::v1::{FORCE_MIGRATE, MLflow};
use mlflow_operator::server::Server;
use mlflow_operator::server::error::Error;
use operator_harness::{Pass, noted, recorded};
use resources::Kind;
use resources::kind::{SECRET, SERVICE};
use runtime::component::{Attempt, Component as _};
use runtime::offline::{OfflineInputs, Platform};
use runtime::outcome::{Outcome, Target};
use serde_json::{Value, json};

use crate::world::{inputs, now, stored};

/// More passes than any resource takes.
const PASSES: usize = 8;

/// What becomes of a resource.
#[derive(Default)]
pub(crate) struct Walked {
    /// Every object that was made, as it was written last.
    pub(crate) objects: Vec<Value>,
    /// The status at the end.
    pub(crate) status: Value,
    /// All events: type, reason and message.
    pub(crate) events: Vec<[String; 3]>,
}

/// Walks `resource`, where `documents` are there and `more` kinds are served. Nothing comes of one that
/// the schema refuses.
pub(crate) fn walk(
    operator: &Server,
    platform: Platform,
    more: &[Kind],
    resource: &Value,
    documents: &[Value],
) -> Walked {
    let Ok(mut resource) = stored(resource) else {
        return Walked::default();
    };
    resource["metadata"]["generation"] = 1.into();
    let mut made: BTreeMap<Target, Value> = BTreeMap::new();
    let mut events = Vec::new();
    for _ in 0..PASSES {
        let before = (resource.clone(), made.clone());
        let live = made.iter().flat_map(|(target, body)| live(target, body));
        let around: Vec<Value> = documents.iter().cloned().chain(live).collect();
        let current: MLflow = serde_json::from_value(resource.clone()).unwrap();
        let inputs = || inputs(operator, platform, more, &current, &around);
        let pass = match Pass::over(operator, &current, inputs()) {
            Ok(pass) => pass,
            Err(error) => return unread(operator, &current, &error, &inputs()),
        };
        let mut outcome = pass.made();
        outcome.created.retain(|target| !made.contains_key(target));
        for object in pass.plan.iter().flat_map(resources::Plan::objects) {
            let target = Target {
                kind: object.kind,
                namespace: object.namespace.clone(),
                name: object.name.clone(),
            };
            made.insert(target, object.body.clone());
        }
        resource["status"] = json!(pass.status(operator, &current));
        events.extend(pass.events(operator, &current, &outcome));
        if pass.plan.is_ok_and(|plan| !plan.edits().is_empty()) {
            let annotations = resource["metadata"]["annotations"].as_object_mut();
            annotations.unwrap().remove(FORCE_MIGRATE).unwrap();
        }
        if before == (resource.clone(), made.clone()) {
            return Walked {
                objects: made.into_values().collect(),
                status: resource["status"].take(),
                events,
            };
        }
    }
    panic!("no rest after {PASSES} passes: {}", resource["status"]);
}

/// What is told of a resource that cannot be read for.
fn unread(operator: &Server, resource: &MLflow, error: &Error, inputs: &OfflineInputs) -> Walked {
    let attempt = Attempt {
        observation: None,
        plan: None,
        failure: Some(error),
        outcome: &Outcome::default(),
        paused: false,
        missing_rules: &[],
        now: now(),
    };
    Walked {
        objects: Vec::new(),
        status: json!(operator.status(resource, &attempt, inputs)),
        events: noted(operator.events(resource, &attempt)),
    }
}

/// What the cluster makes of an object.
fn live(target: &Target, body: &Value) -> Vec<Value> {
    let mut all = recorded::live(target.kind, body);
    if all.is_empty() {
        all.push(body.clone());
    }
    let certificate = body
        .pointer("/metadata/annotations/service.beta.openshift.io~1serving-cert-secret-name")
        .filter(|_| target.kind == SERVICE);
    all.extend(certificate.map(|name| {
        json!({"apiVersion": SECRET.api_version(), "kind": SECRET.kind,
            "metadata": {"name": name, "namespace": target.namespace,
                "annotations": {"service.beta.openshift.io/originating-service-name": target.name}},
            "stringData": {"tls.crt": "c", "tls.key": "k"}})
    }));
    all
}
