//! Every child comes back as it was, whatever somebody does to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use cluster::{Platform, eventually};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use operator_harness::edits::child as compared;
use resources::kind::{PERSISTENT_VOLUME_CLAIM, SECRET};
use resources::{Kind, Scope, merge};
use serde_json::{Value, json};
use trustyai_operator::service::names::CLAIM_FIXED;

use crate::children::children;
use crate::harness::{SOON, World, files, world};

/// A child is back within this time.
const PROMISED: Duration = Duration::from_secs(2);
/// How the operator's field managers begin.
const MANAGER: &str = "trustyai-operator";
/// Annotations in which the operator remembers what was there first.
const REMEMBERED: [&str; 1] = [CLAIM_FIXED];

/// A service with every child that the platform allows.
async fn whole(platform: Platform, name: &str) -> (World, Vec<(Kind, DynamicObject)>) {
    let world = world(platform, "drift").await;
    let mut spec = files();
    spec["operand"] = json!({"podDisruptionBudget": {"maxUnavailable": 1}});
    spec["expose"] =
        json!({"hosts": ["a.example.test"], "ingress": {}, "gateways": [{"name": "g"}]});
    world.service(name, &spec).await;
    world.ready(name).await;
    let mut children = children(&world, name).await;
    let kinds: BTreeSet<_> = children.iter().map(|(kind, _)| kind.kind).collect();
    // ServiceAccount, ClusterRoleBinding, ConfigMap, claim, Service, Deployment, budget and Ingress;
    // and Secrets, or Route, HTTPRoute and ServiceMonitor.
    assert!(kinds.len() > 8, "{kinds:?}");
    // Another certificate rolls the pods: last, so that it is not taken for something else.
    children.sort_by_key(|(kind, _)| *kind == SECRET);
    (world, children)
}

#[tokio::test]
async fn children_that_are_deleted_come_back_on_kubernetes() {
    come_back(Platform::Kubernetes, "deleted").await;
}

#[tokio::test]
async fn children_that_are_deleted_come_back_on_openshift() {
    come_back(Platform::OpenShift, "deleted").await;
}

async fn come_back(platform: Platform, name: &str) {
    let (world, children) = whole(platform, name).await;
    for (kind, child) in &children {
        // A claim that pods use goes with them only.
        if *kind == PERSISTENT_VOLUME_CLAIM {
            continue;
        }
        let (api, child) = (world.api(*kind), child.name_any());
        // A busy machine may stumble. Three times in a row it is the operator.
        let mut times = Vec::new();
        while times.iter().all(|took| *took >= PROMISED) && times.len() < 3 {
            let before = api.get(&child).await.expect("a child").uid();
            let deleted = api.delete(&child, &DeleteParams::background()).await;
            deleted.expect("deleted");
            let started = Instant::now();
            eventually(&format!("{kind} {child}"), SOON, || async {
                let now = api.get(&child).await.map_err(|error| error.to_string())?;
                let is_new = now.uid() != before;
                is_new.then_some(()).ok_or_else(|| "the old one".to_owned())
            })
            .await
            .expect("back");
            times.push(started.elapsed());
        }
        let is_prompt = times.iter().any(|took| *took < PROMISED);
        assert!(is_prompt, "{kind} {child} took {times:?}");
    }
    world.ready(name).await;
}

#[tokio::test]
async fn children_that_are_changed_are_put_back_on_kubernetes() {
    are_put_back(Platform::Kubernetes, "changed").await;
}

#[tokio::test]
async fn children_that_are_changed_are_put_back_on_openshift() {
    are_put_back(Platform::OpenShift, "changed").await;
}

/// Two services, with every other child of theirs: repairs of one are counted, and whoever needs more
/// than 20 a minute is made to wait.
async fn are_put_back(platform: Platform, name: &str) {
    tokio::join!(put_back(platform, name, 0), put_back(platform, name, 1));
}

/// Every field that the operator has set gets another value from somebody else, if the server takes
/// it.
async fn put_back(platform: Platform, name: &str, first: usize) {
    let (world, children) = whole(platform, name).await;
    let children: Vec<_> = children.into_iter().skip(first).step_by(2).collect();
    let (mut fields, mut changed) = (0, BTreeSet::new());
    // Metadata first: an object that was only created has the server's defaults among what was set.
    let both = |(kind, child)| [("/metadata", kind, child), ("/", kind, child)];
    for (part, kind, child) in children.iter().map(|(k, c)| (*k, c)).flat_map(both) {
        let (api, child) = (world.api(kind), child.name_any());
        let before = api.get(&child).await.expect("a child");
        for (part, edits) in accepted(&api, kind, &before, part).await {
            fields += edits.len();
            changed.insert(kind.kind);
            edit(&api, &child, edits, false).await.expect("edited");
            let what = format!("{part} of {kind} {child}");
            eventually(&what, SOON, || async {
                let now = api.get(&child).await.map_err(|error| error.to_string())?;
                let [before, now] = [&before, &now].map(|object| compared(kind, object, name));
                // What somebody put beside ours stays theirs.
                if merge::contains(&now.1, &before.1) {
                    return Ok(());
                }
                Err(format!("{:?}", merge::diff(&before.1, &now.1)))
            })
            .await
            .expect("as before");
        }
    }
    println!("{fields} fields of {} objects", children.len());
    let kinds: BTreeSet<_> = children.iter().map(|(kind, _)| kind.kind).collect();
    assert_eq!(changed, kinds, "something of each kind was changed");
    world.ready(name).await;
}

/// Operations of JSON patches of a part of the object, by what they change, which the server takes
/// together.
async fn accepted(
    api: &Api<DynamicObject>,
    kind: Kind,
    live: &DynamicObject,
    part: &str,
) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let object = serde_json::to_value(live).expect("JSON");
    for pointer in owned(live) {
        if !pointer.starts_with(part) || is_kept_apart(kind, &pointer) {
            continue;
        }
        let mut part: Vec<_> = pointer.split('/').collect();
        part.truncate(if pointer.starts_with("/metadata") {
            3
        } else {
            2
        });
        let edits = found.entry(part.join("/")).or_default();
        let old = object.pointer(&pointer).unwrap_or(&Value::Null);
        for other in others(&pointer, old) {
            let tried = [edits.as_slice(), &[other]].concat();
            let taken = edit(api, &live.name_any(), tried.clone(), true).await;
            let now = taken.map(|taken| serde_json::to_value(taken).expect("JSON"));
            if now.is_ok_and(|now| now.pointer(&pointer).unwrap_or(&Value::Null) != old) {
                *edits = tried;
                break;
            }
        }
    }
    found.retain(|_, edits| !edits.is_empty());
    found
}

/// Whose an object is stands in its owner reference, or in its labels: who takes them away takes the
/// object, and the status says so. And what an annotation remembers stands nowhere else.
fn is_kept_apart(kind: Kind, pointer: &str) -> bool {
    let is = |part: &str| pointer.starts_with(part);
    let remembers = REMEMBERED
        .iter()
        .any(|key| pointer.replace("~1", "/").ends_with(key));
    remembers
        || is("/metadata/ownerReferences")
        || (kind.scope == Scope::Cluster && is("/metadata/labels"))
}

async fn edit(
    api: &Api<DynamicObject>,
    name: &str,
    operations: Vec<Value>,
    dry_run: bool,
) -> kube::Result<DynamicObject> {
    let params = PatchParams {
        dry_run,
        field_manager: Some("eve".to_owned()),
        ..PatchParams::default()
    };
    let patch = serde_json::from_value(Value::Array(operations)).expect("a JSON patch");
    api.patch(name, &params, &Patch::Json::<()>(patch)).await
}

/// Other values of a field.
fn others(pointer: &str, old: &Value) -> Vec<Value> {
    let replaced = |value: Value| json!({"op": "replace", "path": pointer, "value": value});
    match old {
        // A name, and what may be bytes.
        Value::String(_) => ["eve", "ZXZl"].map(|text| replaced(json!(text))).into(),
        Value::Number(number) => {
            let number = number.as_i64().unwrap_or_default();
            [1, -1].map(|step| replaced(json!(number + step))).into()
        }
        Value::Bool(is) => vec![replaced(json!(!is))],
        _ => vec![json!({"op": "remove", "path": pointer})],
    }
}

/// JSON pointers of all that the operator has set, down to what is set as a whole.
fn owned(live: &DynamicObject) -> Vec<String> {
    fn walk(fields: &Value, live: &Value, pointer: String, found: &mut Vec<String>) {
        let members = fields.as_object().into_iter().flatten();
        let members: Vec<_> = members.filter(|(key, _)| *key != ".").collect();
        if members.is_empty() {
            found.push(pointer);
            return;
        }
        for (key, fields) in members {
            if let Some(name) = key.strip_prefix("f:") {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                let member = live.get(name).unwrap_or(&Value::Null);
                walk(fields, member, format!("{pointer}/{escaped}"), found);
            } else if let Some(keys) = key.strip_prefix("k:") {
                let keys: Value = serde_json::from_str(keys).expect("keys of an item");
                let is = |item: &Value| {
                    let mut keys = keys.as_object().into_iter().flatten();
                    keys.all(|(key, value)| item.get(key) == Some(value))
                };
                let items = live.as_array().into_iter().flatten();
                for (place, item) in items.enumerate().filter(|(_, item)| is(item)) {
                    walk(fields, item, format!("{pointer}/{place}"), found);
                }
            }
        }
    }
    let object = serde_json::to_value(live).expect("JSON");
    let entries = live.managed_fields().iter();
    let ours = entries.filter(|entry| entry.manager.iter().any(|m| m.starts_with(MANAGER)));
    let mut found = Vec::new();
    for entry in ours {
        let fields = entry.fields_v1.as_ref().expect("fields");
        walk(&fields.0, &object, String::new(), &mut found);
    }
    found
}
