//! ModelMesh, told by the environment of its Deployments.
//!
//! Only its container `mm` reads the variables. The Go operator sets them in every container, which
//! stays as it is until the service goes: nothing restarts because of us.

use resources::{Change, Edit, kind::DEPLOYMENT};
use serde_json::{Map, Value, json};

use super::sink::Sink;

/// Label of ModelMesh's Deployments, with its value.
pub const LABEL: (&str, &str) = ("modelmesh-service", "modelmesh-serving");
/// Name of the Deployment of ModelMesh's controller.
pub const CONTROLLER: &str = "modelmesh-controller";

/// The container that sends.
const CONTAINER: &str = "mm";
/// List of addresses, with spaces between them.
const PROCESSORS: &str = "MM_PAYLOAD_PROCESSORS";
/// Certificate that the receiver is verified by.
const CERTIFICATE: &str = "MM_TLS_KEY_CERT_PATH";
const MOUNT: &str = "/etc/trustyai/tls";
const CERTIFICATE_FILE: &str = "/etc/trustyai/tls/tls.crt";

const CONTAINERS: &str = "/spec/template/spec/containers";
const VOLUMES: &str = "/spec/template/spec/volumes";

/// A Deployment that cannot be told without taking something from somebody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is not one of ModelMesh.
    #[error("it has no container {CONTAINER}")]
    NoContainer,
    /// The list comes from elsewhere.
    #[error("its {PROCESSORS} is not written in it but referred to (valueFrom); add {0} there")]
    Referred(String),
    /// A name or a path is taken.
    #[error("{0} is taken by somebody else; remove it")]
    Taken(String),
}

/// What a Deployment needs to send to the service; `None` when it does.
pub fn step(deployment: &Value, sink: &Sink) -> Result<Option<Edit>, Unfit> {
    let patch = wired(deployment, sink)?;
    Ok(patch.and_then(|_| edit(deployment, sink, wire)))
}

/// What a Deployment needs to send there no more; `None` when it does not.
#[must_use]
pub fn undo(deployment: &Value, sink: &Sink) -> Option<Edit> {
    unwired(deployment, sink).and_then(|_| edit(deployment, sink, unwire))
}

fn edit(object: &Value, sink: &Sink, change: fn(&Value, &Value) -> Change) -> Option<Edit> {
    let meta = object.get("metadata")?;
    Some(Edit {
        kind: DEPLOYMENT,
        namespace: Some(sink.namespace.clone()),
        name: text(meta, "name").to_owned(),
        uid: text(meta, "uid").to_owned(),
        wanted: json!({"name": sink.name, "namespace": sink.namespace}),
        change,
    })
}

fn sink_of(wanted: &Value) -> Sink {
    Sink {
        name: text(wanted, "name").to_owned(),
        namespace: text(wanted, "namespace").to_owned(),
    }
}

fn wire(live: &Value, wanted: &Value) -> Change {
    let patch = wired(live, &sink_of(wanted)).ok().flatten();
    patch.map_or(Change::Nothing, Change::Merge)
}

fn unwire(live: &Value, wanted: &Value) -> Change {
    unwired(live, &sink_of(wanted)).map_or(Change::Nothing, Change::Merge)
}

/// The merge patch that wires.
fn wired(live: &Value, sink: &Sink) -> Result<Option<Value>, Unfit> {
    let (url, volume) = (sink.processor(), sink.secret());
    let mut containers = list(live, CONTAINERS);
    let is_sender = |container: &&mut Value| text(container, "name") == CONTAINER;
    let container = containers
        .iter_mut()
        .find(is_sender)
        .ok_or(Unfit::NoContainer)?;

    let known = named(container, "env", PROCESSORS).map(|entry| text(entry, "value").to_owned());
    let sends = known
        .as_deref()
        .is_some_and(|known| items(known).any(|item| item == url));
    if named(container, "env", PROCESSORS).is_some_and(|entry| entry.get("valueFrom").is_some()) {
        return Err(Unfit::Referred(url));
    }
    match known {
        _ if sends => {}
        // A list that is there and empty is told from none by the space.
        Some(known) => set(container, PROCESSORS, &format!("{known} {url}")),
        None => push(container, "env", json!({"name": PROCESSORS, "value": url})),
    }

    let mounts = list(container, "/volumeMounts");
    let is_mounted = mounts.iter().any(|mount| text(mount, "name") == volume);
    if !is_mounted {
        let taken = |mount: &Value| text(mount, "mountPath").trim_end_matches('/') == MOUNT;
        if mounts.iter().any(taken) {
            return Err(Unfit::Taken(format!("{MOUNT} in container {CONTAINER}")));
        }
        let mount = json!({"name": volume, "mountPath": MOUNT, "readOnly": true});
        push(container, "volumeMounts", mount);
    }
    match named(container, "env", CERTIFICATE) {
        None => push(
            container,
            "env",
            json!({"name": CERTIFICATE, "value": CERTIFICATE_FILE}),
        ),
        Some(entry) if text(entry, "value") == CERTIFICATE_FILE && !is_mounted && !sends => {
            return Err(Unfit::Taken(format!("{CERTIFICATE}={CERTIFICATE_FILE}")));
        }
        Some(_) => {}
    }

    let mut volumes = list(live, VOLUMES);
    match volumes.iter().find(|found| text(found, "name") == volume) {
        Some(found) if !is_ours(found, &volume) => {
            return Err(Unfit::Taken(format!("volume {volume}")));
        }
        Some(_) => {}
        // Optional: models keep running when the service goes.
        None => volumes.push(json!({
            "name": volume,
            "secret": {"secretName": volume, "optional": true},
        })),
    }
    Ok(patch(live, containers, volumes))
}

/// The merge patch that takes back what was wired, by whichever operator.
fn unwired(live: &Value, sink: &Sink) -> Option<Value> {
    let (url, volume) = (sink.processor(), sink.secret());
    let mut volumes = list(live, VOLUMES);
    let before = volumes.len();
    volumes.retain(|found| text(found, "name") != volume || !is_ours(found, &volume));
    let was_mounted = volumes.len() < before;
    let mut containers = list(live, CONTAINERS);
    for container in &mut containers {
        let known =
            named(container, "env", PROCESSORS).map(|entry| text(entry, "value").to_owned());
        if known.as_deref() == Some(&url) {
            remove(container, "env", |entry| text(entry, "name") == PROCESSORS);
        } else if let Some(left) = known.and_then(|known| without(&known, &url)) {
            set(container, PROCESSORS, &left);
        }
        let mounts = list(container, "/volumeMounts");
        if was_mounted && mounts.iter().any(|mount| text(mount, "name") == volume) {
            remove(container, "volumeMounts", |mount| {
                text(mount, "name") == volume
            });
            remove(container, "env", |entry| {
                text(entry, "name") == CERTIFICATE && text(entry, "value") == CERTIFICATE_FILE
            });
        }
    }
    patch(live, containers, volumes)
}

/// The list without `url`, in whatever place and number; `None` when it is not in it.
fn without(list: &str, url: &str) -> Option<String> {
    let left: Vec<_> = items(list).filter(|item| *item != url).collect();
    (left.len() < items(list).count()).then(|| left.join(" "))
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(' ')
}

fn is_ours(volume: &Value, secret: &str) -> bool {
    volume.pointer("/secret/secretName").and_then(Value::as_str) == Some(secret)
}

fn patch(live: &Value, containers: Vec<Value>, volumes: Vec<Value>) -> Option<Value> {
    let mut spec = Map::new();
    for (key, pointer, now) in [
        ("containers", CONTAINERS, containers),
        ("volumes", VOLUMES, volumes),
    ] {
        if now != list(live, pointer) {
            let now = if now.is_empty() {
                Value::Null
            } else {
                now.into()
            };
            spec.insert(key.to_owned(), now);
        }
    }
    (!spec.is_empty()).then(|| json!({"spec": {"template": {"spec": spec}}}))
}

fn text<'a>(object: &'a Value, member: &str) -> &'a str {
    object
        .get(member)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn list(object: &Value, pointer: &str) -> Vec<Value> {
    object
        .pointer(pointer)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn named<'a>(container: &'a Value, member: &str, name: &str) -> Option<&'a Value> {
    let entries = container.get(member)?.as_array()?;
    entries.iter().find(|entry| text(entry, "name") == name)
}

fn push(container: &mut Value, member: &str, entry: Value) {
    let Some(container) = container.as_object_mut() else {
        return;
    };
    let entries = container.entry(member).or_insert_with(|| json!([]));
    if let Some(entries) = entries.as_array_mut() {
        entries.push(entry);
    }
}

fn set(container: &mut Value, name: &str, value: &str) {
    let entries = container.get_mut("env").and_then(Value::as_array_mut);
    let entry = entries
        .into_iter()
        .flatten()
        .find(|entry| text(entry, "name") == name);
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        // The server keeps no empty value.
        if value.is_empty() {
            entry.remove("value");
        } else {
            entry.insert("value".to_owned(), value.into());
        }
    }
}

fn remove(container: &mut Value, member: &str, goes: impl Fn(&Value) -> bool) {
    let Some(container) = container.as_object_mut() else {
        return;
    };
    let Some(entries) = container.get_mut(member).and_then(Value::as_array_mut) else {
        return;
    };
    entries.retain(|entry| !goes(entry));
    if entries.is_empty() {
        container.remove(member);
    }
}

#[cfg(test)]
mod tests;
