//! Edits of a resource on a cluster, and what its children say then: every edit reaches them, and
//! taking it back leaves no trace.

mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cluster::eventually;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use resources::Kind;
use serde_json::{Map, Value, json};

pub use tables::{container, gateways, ingress, operand, pod};

/// What happens by an event happens within this time, on a busy machine too.
const SOON: Duration = Duration::from_mins(1);

/// An edit of one resource, and what its children say then.
pub struct Row {
    /// Fields of the spec that the edit is about.
    pub leaves: &'static [&'static str],
    /// Merge patch of the spec.
    pub set: Value,
    /// What the children say.
    pub want: Vec<Want>,
}

/// What a child says. `N` stands for the resource's name.
pub struct Want {
    /// `KIND NAME`.
    pub child: &'static str,
    /// Where in the child, as [`child`] gives it.
    pub pointer: String,
    /// `null` for something that is not there.
    pub value: Value,
}

/// An edit of these fields.
pub fn row(leaves: &'static [&'static str], set: Value, want: Vec<Want>) -> Row {
    Row { leaves, set, want }
}

/// A child says this at `pointer`.
pub fn at(child: &'static str, pointer: &str, value: impl Into<Value>) -> Want {
    Want {
        child,
        pointer: pointer.to_owned(),
        value: value.into(),
    }
}

/// Children by `KIND NAME`, as [`child`] gives them.
pub type Children = BTreeMap<String, Value>;

/// The first of these that does not hold.
pub fn unmet(want: &[Want], children: &Children) -> Result<(), String> {
    for Want {
        child,
        pointer,
        value,
    } in want
    {
        let whole = children.get(*child);
        let found = whole.and_then(|child| child.pointer(pointer));
        if found.unwrap_or(&Value::Null) != value {
            return Err(format!(
                "{child} {pointer} is {found:?}, not {value}; {whole:?}"
            ));
        }
    }
    Ok(())
}

/// `KIND NAME` of a child, with `N` for the resource's name, and what of it is not the server's.
/// Lists of named things are maps by name, argument lists maps by flag, and YAML in a ConfigMap is
/// read.
pub fn child(kind: Kind, object: &DynamicObject, name: &str) -> (String, Value) {
    let mut annotations = object.annotations().clone();
    annotations.retain(|key, _| {
        key != "deployment.kubernetes.io/revision"
            && key != "service.beta.openshift.io/serving-cert-signed-by"
            && !key.contains("kubernetes.io/storage-provisioner")
            && !key.starts_with("pv.kubernetes.io/")
    });
    let mut body = object.data.clone();
    body.as_object_mut().expect("an object").remove("status");
    body["metadata"] = json!({"labels": object.labels(), "annotations": annotations});
    body["owned"] = json!(!object.owner_references().is_empty());
    // A certificate that is not needed goes, and is another one when it comes back.
    for (key, value) in body["data"].as_object_mut().into_iter().flatten() {
        let ends = [".crt", ".key", ".pem"];
        if ends.iter().any(|end| key.ends_with(end)) {
            *value = json!("");
        }
    }
    let text = normalised(body).to_string().replace(name, "N");
    let key = format!("{} {}", kind.kind, object.name_any().replace(name, "N"));
    (key, serde_json::from_str(&text).expect("JSON"))
}

fn normalised(value: Value) -> Value {
    match value {
        Value::Array(list) if !list.is_empty() => match by_name(&list).or_else(|| by_flag(&list)) {
            Some(map) => Value::Object(map),
            None => Value::Array(list.into_iter().map(normalised).collect()),
        },
        Value::Object(map) => {
            let read = |(key, value): (String, Value)| {
                let value = match value.as_str().filter(|_| key == "config-file.yaml") {
                    Some(text) => serde_saphyr::from_str(text).expect("YAML"),
                    None => normalised(value),
                };
                (key, value)
            };
            Value::Object(map.into_iter().map(read).collect())
        }
        other => other,
    }
}

fn by_name(list: &[Value]) -> Option<Map<String, Value>> {
    list.iter()
        .map(|item| Some((item["name"].as_str()?.to_owned(), normalised(item.clone()))))
        .collect()
}

fn by_flag(list: &[Value]) -> Option<Map<String, Value>> {
    list.iter()
        .map(|item| {
            let (flag, value) = item.as_str()?.strip_prefix("--")?.split_once('=')?;
            Some((format!("--{flag}"), json!(value)))
        })
        .collect()
}

/// What is not the same, as merge patches of children.
pub fn difference(before: &Children, now: &Children) -> Option<String> {
    resources::merge::diff(&json!(before), &json!(now)).map(|patch| patch.to_string())
}

/// Edits the spec, waits for `reached`, takes the edit back, and waits until the children are as
/// before.
pub async fn there_and_back(
    api: &Api<DynamicObject>,
    name: &str,
    set: &Value,
    children: impl AsyncFn() -> Children,
    reached: impl AsyncFn() -> Result<(), String>,
) {
    let spec = async || api.get(name).await.expect("the resource").data["spec"].clone();
    let edit = async |set: &Value| {
        let patch = Patch::Merge(json!({ "spec": set }));
        let edited = api.patch(name, &PatchParams::default(), &patch).await;
        edited.expect("edited");
    };
    let (asked, before) = (spec().await, children().await);
    edit(set).await;
    let what = format!("{set} reaches the children");
    let reached = || async { reached().await };
    eventually(&what, SOON, reached).await.expect("reached");
    let back = resources::merge::diff(&spec().await, &asked).expect("an edit");
    edit(&back).await;
    eventually(&format!("no trace of {set}"), SOON, || async {
        difference(&before, &children().await).map_or(Ok(()), Err)
    })
    .await
    .expect("as before");
}

/// The fields of the spec in the schema of a version. What Kubernetes defines is one field:
/// `resources`, `affinity`.
pub fn fields(definition: &CustomResourceDefinition, version: &str) -> BTreeSet<String> {
    fn walk(path: &str, schema: &Value, found: &mut BTreeSet<String>) {
        let whole = ["resources", "affinity"]
            .iter()
            .any(|end| path.ends_with(&format!(".{end}")));
        match schema["properties"].as_object() {
            Some(properties) if !whole => {
                for (name, schema) in properties {
                    walk(&format!("{path}.{name}"), schema, found);
                }
            }
            _ => {
                found.insert(path.trim_start_matches('.').to_owned());
            }
        }
    }
    let mut versions = definition.spec.versions.iter();
    let version = versions
        .find(|found| found.name == version)
        .expect("the version");
    let schema = version
        .schema
        .as_ref()
        .and_then(|s| s.open_api_v3_schema.as_ref());
    let schema = serde_json::to_value(schema).expect("JSON");
    let mut found = BTreeSet::new();
    walk("", &schema["properties"]["spec"], &mut found);
    found
}

/// Every field is `tried`, and what is tried is a field.
pub fn none_is_forgotten<'a>(fields: &BTreeSet<String>, tried: impl IntoIterator<Item = &'a str>) {
    let tried: BTreeSet<String> = tried.into_iter().map(str::to_owned).collect();
    let forgotten: Vec<_> = fields.difference(&tried).collect();
    assert!(forgotten.is_empty(), "no edit is tried of {forgotten:?}");
    let unknown: Vec<_> = tried.difference(fields).collect();
    assert!(unknown.is_empty(), "not in the schema: {unknown:?}");
}
