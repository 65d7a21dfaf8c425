//! What a cluster holds for one run, without what differs from run to run: names that the run has
//! for itself, uids, times, addresses and random values.

use cluster::api_of;
use std::{collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::{ResourceExt, api::ListParams};
use resources::{Kind, Scope, kind};
use serde_json::{Map, Value, json};

use crate::{harness::MODEL_REGISTRY, stage::Stage};

/// Objects by kind and name.
pub(crate) type State = BTreeMap<String, Value>;

const KINDS: &[Kind] = &[
    MODEL_REGISTRY,
    kind::SERVICE_ACCOUNT,
    kind::SERVICE,
    kind::CONFIG_MAP,
    kind::SECRET,
    kind::PERSISTENT_VOLUME_CLAIM,
    kind::ROLE,
    kind::ROLE_BINDING,
    kind::CLUSTER_ROLE_BINDING,
    kind::NETWORK_POLICY,
    kind::POD_DISRUPTION_BUDGET,
    kind::DEPLOYMENT,
    kind::ROUTE,
    kind::GROUP,
    kind::HTTP_ROUTE,
    kind::REFERENCE_GRANT,
];

/// Our field manager.
const OURS: &str = "model-registry-operator";

/// How exact a comparison is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum History {
    /// Objects have been written as often.
    Counts,
    /// A version in between may have been skipped, or written and replaced.
    Forgotten,
}

/// Everything of the run.
pub(crate) async fn state(stage: &Stage, history: History) -> State {
    let mut found = State::new();
    for &kind in KINDS {
        found.extend(
            objects(stage, kind)
                .await
                .into_iter()
                .map(|object| entry(stage, object, history)),
        );
    }
    found
}

/// The registries only.
pub(crate) async fn registries(stage: &Stage, history: History) -> State {
    let found = objects(stage, MODEL_REGISTRY).await;
    found
        .into_iter()
        .map(|object| entry(stage, object, history))
        .collect()
}

/// Every object's version, by kind and name.
pub(crate) async fn versions(stage: &Stage) -> BTreeMap<String, String> {
    let mut versions = BTreeMap::new();
    for &kind in KINDS {
        for object in objects(stage, kind).await {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let version = object["metadata"]["resourceVersion"]
                .as_str()
                .unwrap_or_default();
            versions.insert(format!("{} {name}", kind.kind), version.to_owned());
        }
    }
    versions
}

/// Objects of a kind as they are; none where the cluster has no such kind.
async fn objects(stage: &Stage, kind: Kind) -> Vec<Value> {
    let namespaced = kind.scope == Scope::Namespaced;
    let api = api_of(
        &stage.world.client,
        namespaced.then_some(stage.world.namespace.as_str()),
        kind,
    );
    match api.list(&ListParams::default()).await {
        Ok(list) => list
            .items
            .into_iter()
            .filter(|object| namespaced || object.name_any().contains(stage.token()))
            .map(|mut object| {
                object.types = Some(kube::core::TypeMeta {
                    api_version: kind.api_version(),
                    kind: kind.kind.into(),
                });
                serde_json::to_value(object).expect("an object")
            })
            .collect(),
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => panic!("{kind}: {error}"),
    }
}

fn entry(stage: &Stage, mut object: Value, history: History) -> (String, Value) {
    content(&mut object);
    meta(&mut object["metadata"], history);
    let text = object
        .to_string()
        .replace(&stage.world.namespace, "NAMESPACE")
        .replace(stage.token(), "TOKEN");
    let object: Value = serde_json::from_str(&text).expect("JSON");
    let word = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    (
        format!("{} {}", word("/kind"), word("/metadata/name")),
        object,
    )
}

fn meta(meta: &mut Value, history: History) {
    let Some(meta) = meta.as_object_mut() else {
        return;
    };
    for key in ["uid", "resourceVersion", "creationTimestamp"] {
        meta.remove(key);
    }
    for owner in meta
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        owner["uid"] = "UID".into();
    }
    if let Some(annotations) = meta.get_mut("annotations") {
        for key in [
            "modelregistry.opendatahub.io/credentials-baseline",
            "service.beta.openshift.io/originating-service-uid",
        ] {
            shaped(annotations, key);
        }
        if history == History::Forgotten {
            without(annotations, "deployment.kubernetes.io/revision");
        }
    }
    if history == History::Forgotten {
        meta.remove("generation");
    }
    if let Some(entries) = meta.remove("managedFields") {
        let mut owners: Vec<Value> = entries
            .as_array()
            .into_iter()
            .flatten()
            .filter(|e| !plays(e))
            .map(|entry| owner(entry, history))
            .collect();
        owners.sort_by_key(Value::to_string);
        owners.dedup();
        meta.insert("managedFields".into(), owners.into());
    }
}

/// Whether the cluster's own controllers hold these fields. They race for some.
fn plays(entry: &Value) -> bool {
    let manager = entry["manager"].as_str().unwrap_or_default();
    manager.starts_with("kube-") || ["kwok", "simulation"].contains(&manager)
}

/// Who holds fields and how; of our own also which.
fn owner(entry: &Value, history: History) -> Value {
    let manager = entry["manager"].as_str().unwrap_or_default();
    let ours = manager.starts_with(OURS);
    // Behind our name, a create has a fingerprint of its body.
    let manager = if ours { OURS } else { manager };
    if ours && history == History::Forgotten {
        // Created, or also applied since then.
        return json!({"manager": manager, "subresource": entry["subresource"]});
    }
    let mut owner = json!({
        "manager": manager, "operation": entry["operation"], "subresource": entry["subresource"],
    });
    if ours {
        owner["fields"] = entry["fieldsV1"].clone();
        // The keys below are uids.
        shaped(&mut owner["fields"]["f:metadata"], "f:ownerReferences");
    }
    owner
}

fn content(object: &mut Value) {
    if object["kind"] != "ModelRegistry" {
        // Told by the cluster's controllers, with times.
        without(object, "status");
    }
    match object["kind"].as_str().unwrap_or_default() {
        "ModelRegistry" => {
            for condition in object["status"]["conditions"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                without(condition, "lastTransitionTime");
            }
        }
        "Secret" => values(&mut object["data"], |text| {
            BASE64_STANDARD.decode(text).map_or_else(
                |_| text.to_owned(),
                |bytes| String::from_utf8_lossy(&bytes).into_owned(),
            )
        }),
        "ConfigMap" => values(&mut object["data"], str::to_owned),
        "Service" => {
            for key in ["clusterIP", "clusterIPs"] {
                shaped(&mut object["spec"], key);
            }
        }
        "PersistentVolumeClaim" => {
            shaped(&mut object["spec"], "volumeName");
            // How a volume is bound is a race of the cluster's own controllers.
            for key in [
                "pv.kubernetes.io/bound-by-controller",
                "volume.beta.kubernetes.io/storage-provisioner",
                "volume.kubernetes.io/storage-provisioner",
            ] {
                without(&mut object["metadata"]["annotations"], key);
            }
        }
        "Deployment" => {
            shaped(
                &mut object["spec"]["template"]["metadata"]["annotations"],
                "modelregistry.opendatahub.io/inputs-hash",
            );
        }
        _ => {}
    }
}

/// Values that are made at random are told by their shape.
fn values(data: &mut Value, text: impl Fn(&str) -> String) {
    for (key, value) in data.as_object_mut().into_iter().flatten() {
        let content = text(value.as_str().unwrap_or_default());
        let blocks = content.matches("-----BEGIN ").count();
        if blocks > 0 {
            *value = format!("{blocks} PEM blocks").into();
        } else if key == "password" {
            *value = format!("{} characters", content.len()).into();
        } else {
            *value = content.into();
        }
    }
}

fn shaped(object: &mut Value, key: &str) {
    if let Some(value) = object.get_mut(key) {
        *value = "SOME".into();
    }
}

fn without(object: &mut Value, key: &str) {
    if let Some(object) = object.as_object_mut() {
        object.remove(key);
    }
}

/// Where two states differ, a line each; empty when they do not.
pub(crate) fn differences(expected: &State, found: &State) -> String {
    let mut report = String::new();
    let names: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for name in names {
        differing(name, expected.get(name), found.get(name), &mut report);
    }
    report
}

fn differing(path: &str, expected: Option<&Value>, found: Option<&Value>, report: &mut String) {
    match (expected, found) {
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            members(path, expected, found, report);
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differing(&format!("{path}/{index}"), Some(a), Some(b), report);
            }
        }
        (expected, found) if expected == found => {}
        (expected, found) => {
            let text = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
            let _ = writeln!(
                report,
                "{path}: expected {}, found {}",
                text(expected),
                text(found)
            );
        }
    }
}

fn members(
    path: &str,
    expected: &Map<String, Value>,
    found: &Map<String, Value>,
    report: &mut String,
) {
    let keys: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for key in keys {
        differing(
            &format!("{path}/{key}"),
            expected.get(key),
            found.get(key),
            report,
        );
    }
}
