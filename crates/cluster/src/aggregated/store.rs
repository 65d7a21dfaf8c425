//! The objects of an aggregated API, in memory, with the versions and events that a watch needs.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

/// Namespace and name.
pub(super) type Key = (String, String);

/// A refused request: HTTP status, reason and message of the Kubernetes `Status`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str, pub(super) String);

/// `ADDED`, `MODIFIED` or `DELETED`, and the object.
pub(super) type Event = (&'static str, Value);

/// How a body changes an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// All of it is replaced (PUT).
    Replace,
    /// Its fields are merged (merge patch, and apply, which here is a merge that also creates).
    Merge,
}

/// The metadata that a server gives and no request changes.
const GIVEN: [&str; 7] = [
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "deletionTimestamp",
];

/// All objects and all that ever happened to them; a test's life is short.
#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Value>,
    history: Vec<Event>,
}

/// The store; shared by all requests.
pub(super) struct Store {
    state: Mutex<State>,
    events: watch::Sender<usize>,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            events: watch::channel(0).0,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked did not leave a half-made object: each change is one insert.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects of a namespace, or of all, and the version of that answer.
    pub(super) fn list(&self, namespace: Option<&str>) -> (Vec<Value>, usize) {
        let state = self.state();
        let wanted = |key: &Key| namespace.is_none_or(|namespace| key.0 == namespace);
        let objects = state
            .objects
            .iter()
            .filter(|(key, _)| wanted(key))
            .map(|(_, object)| object.clone());
        (objects.collect(), state.history.len())
    }

    /// What happened after a version.
    pub(super) fn since(&self, version: usize) -> (Vec<Event>, usize) {
        let state = self.state();
        (
            state.history.get(version..).unwrap_or_default().to_vec(),
            state.history.len(),
        )
    }

    /// Tells when the version changes.
    pub(super) fn follow(&self) -> watch::Receiver<usize> {
        self.events.subscribe()
    }

    pub(super) fn get(&self, key: &Key) -> Result<Value, Refusal> {
        self.state()
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| not_found(key))
    }

    pub(super) fn create(&self, key: &Key, mut object: Value) -> Result<Value, Refusal> {
        let mut state = self.state();
        if state.objects.contains_key(key) {
            return Err(Refusal(
                409,
                "AlreadyExists",
                format!("\"{}\" already exists", key.1),
            ));
        }
        let number = state.history.len() + 1;
        edit_metadata(&mut object, |metadata| {
            metadata.insert("name".to_owned(), json!(key.1));
            metadata.insert("namespace".to_owned(), json!(key.0));
            metadata.insert(
                "uid".to_owned(),
                json!(format!("00000000-0000-4000-8000-{number:012x}")),
            );
            metadata.insert(
                "creationTimestamp".to_owned(),
                json!(seconds(Timestamp::now())),
            );
            metadata.insert("generation".to_owned(), json!(1));
        });
        Ok(self.record(&mut state, key, "ADDED", object))
    }

    /// Changes an object, or with `status` only its status, otherwise all but its status. A change
    /// that changes nothing makes no new version.
    pub(super) fn change(
        &self,
        key: &Key,
        body: Value,
        how: Change,
        status: bool,
    ) -> Result<Value, Refusal> {
        let mut state = self.state();
        let old = state
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| not_found(key))?;
        for field in ["uid", "resourceVersion"] {
            let pointer = format!("/metadata/{field}");
            let asked = body.pointer(&pointer).filter(|asked| **asked != json!(""));
            if asked.is_some() && asked != old.pointer(&pointer) {
                return Err(Refusal(
                    409,
                    "Conflict",
                    format!("metadata.{field} of \"{}\" is another one", key.1),
                ));
            }
        }
        let mut new = match how {
            Change::Replace => body,
            Change::Merge => {
                let mut new = old.clone();
                merge(&mut new, &body);
                new
            }
        };
        if status {
            let value = new.get("status").cloned().unwrap_or(Value::Null);
            new.clone_from(&old);
            set(&mut new, "status", value);
        } else {
            set(
                &mut new,
                "status",
                old.get("status").cloned().unwrap_or(Value::Null),
            );
        }
        let was = old
            .get("metadata")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        edit_metadata(&mut new, |metadata| {
            for field in GIVEN {
                match was.get(field) {
                    Some(value) => metadata.insert(field.to_owned(), value.clone()),
                    None => metadata.remove(field),
                };
            }
        });
        if new == old {
            return Ok(old);
        }
        if new.get("spec") != old.get("spec") {
            let generation = was.get("generation").and_then(Value::as_i64).unwrap_or(0) + 1;
            edit_metadata(&mut new, |metadata| {
                metadata.insert("generation".to_owned(), json!(generation));
            });
        }
        let last_finalizer_gone = was.contains_key("deletionTimestamp") && !has_finalizers(&new);
        let event = if last_finalizer_gone {
            "DELETED"
        } else {
            "MODIFIED"
        };
        Ok(self.record(&mut state, key, event, new))
    }

    /// Deletes an object, or marks it where it has finalizers.
    pub(super) fn delete(&self, key: &Key, uid: Option<&Value>) -> Result<Value, Refusal> {
        let mut state = self.state();
        let mut object = state
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| not_found(key))?;
        if uid.is_some() && uid != object.pointer("/metadata/uid") {
            return Err(Refusal(
                409,
                "Conflict",
                format!("the uid of \"{}\" is another one", key.1),
            ));
        }
        if !has_finalizers(&object) {
            return Ok(self.record(&mut state, key, "DELETED", object));
        }
        if object.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(object);
        }
        edit_metadata(&mut object, |metadata| {
            metadata.insert(
                "deletionTimestamp".to_owned(),
                json!(seconds(Timestamp::now())),
            );
        });
        Ok(self.record(&mut state, key, "MODIFIED", object))
    }

    fn record(
        &self,
        state: &mut State,
        key: &Key,
        event: &'static str,
        mut object: Value,
    ) -> Value {
        let version = state.history.len() + 1;
        edit_metadata(&mut object, |metadata| {
            metadata.insert("resourceVersion".to_owned(), json!(version.to_string()));
        });
        if event == "DELETED" {
            state.objects.remove(key);
        } else {
            state.objects.insert(key.clone(), object.clone());
        }
        state.history.push((event, object.clone()));
        self.events.send_replace(version);
        object
    }
}

fn not_found(key: &Key) -> Refusal {
    Refusal(404, "NotFound", format!("\"{}\" not found", key.1))
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn has_finalizers(object: &Value) -> bool {
    object
        .pointer("/metadata/finalizers")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
}

/// Changes the metadata of an object, which is made if it is not there.
fn edit_metadata(object: &mut Value, edit: impl FnOnce(&mut Map<String, Value>)) {
    if !object.is_object() {
        *object = json!({});
    }
    if let Some(fields) = object.as_object_mut() {
        let mut metadata = match fields.remove("metadata") {
            Some(Value::Object(metadata)) => metadata,
            _ => Map::new(),
        };
        edit(&mut metadata);
        fields.insert("metadata".to_owned(), Value::Object(metadata));
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        if value.is_null() {
            fields.remove(field);
        } else {
            fields.insert(field.to_owned(), value);
        }
    }
}

/// A JSON merge patch.
fn merge(target: &mut Value, patch: &Value) {
    let (Value::Object(fields), Value::Object(changes)) = (&mut *target, patch) else {
        *target = patch.clone();
        return;
    };
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        ("n".to_owned(), "a".to_owned())
    }

    fn version(object: &Value) -> &str {
        object["metadata"]["resourceVersion"].as_str().unwrap()
    }

    #[test]
    fn a_change_of_nothing_makes_no_version() {
        let store = Store::new();
        let made = store
            .create(&key(), json!({"spec": {"host": "h"}}))
            .unwrap();
        let same = store
            .change(&key(), json!({"spec": {"host": "h"}}), Change::Merge, false)
            .unwrap();
        assert_eq!(version(&made), version(&same));
        let other = store
            .change(
                &key(),
                json!({"spec": {"path": "/p"}}),
                Change::Merge,
                false,
            )
            .unwrap();
        assert_eq!(other["spec"], json!({"host": "h", "path": "/p"}));
        assert_eq!(other["metadata"]["generation"], 2);
        assert_eq!(store.since(1).0, [("MODIFIED", other)]);
    }

    #[test]
    fn status_and_the_rest_are_written_apart() {
        let store = Store::new();
        store
            .create(&key(), json!({"spec": {"host": "h"}}))
            .unwrap();
        let body = json!({"spec": {"host": "x"}, "status": {"seen": true}});
        let written = store
            .change(&key(), body.clone(), Change::Merge, true)
            .unwrap();
        assert_eq!(
            (&written["spec"]["host"], &written["status"]["seen"]),
            (&json!("h"), &json!(true))
        );
        let written = store
            .change(
                &key(),
                json!({"spec": {"host": "x"}}),
                Change::Replace,
                false,
            )
            .unwrap();
        assert_eq!(
            (&written["spec"]["host"], &written["status"]["seen"]),
            (&json!("x"), &json!(true))
        );
    }

    #[test]
    fn another_uid_or_version_is_a_conflict() {
        let store = Store::new();
        store.create(&key(), json!({})).unwrap();
        for metadata in [json!({"uid": "x"}), json!({"resourceVersion": "99"})] {
            let refused = store
                .change(&key(), json!({"metadata": metadata}), Change::Merge, false)
                .unwrap_err();
            assert_eq!((refused.0, refused.1), (409, "Conflict"));
        }
        assert_eq!(store.delete(&key(), Some(&json!("x"))).unwrap_err().0, 409);
    }

    #[test]
    fn finalizers_hold_a_deletion() {
        let store = Store::new();
        store
            .create(&key(), json!({"metadata": {"finalizers": ["f"]}}))
            .unwrap();
        assert!(store.delete(&key(), None).unwrap()["metadata"]["deletionTimestamp"].is_string());
        assert!(store.get(&key()).is_ok());
        store
            .change(
                &key(),
                json!({"metadata": {"finalizers": null}}),
                Change::Merge,
                false,
            )
            .unwrap();
        assert_eq!(store.get(&key()).unwrap_err().0, 404);
    }
}
