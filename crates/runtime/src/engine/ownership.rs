//! Who owns which fields of an object, as the API server keeps it in `metadata.managedFields`.
//!
//! Two facts carry the apply loop:
//! - Whoever changes a field that we own takes it out of our entry. So drift in any field of
//!   ours shows in the metadata alone, as a changed entry, and so does nobody else's change.
//! - An apply removes the fields that the same manager applied before and sends no more. What
//!   was written by a create, or by the Go operator's updates, is not in that set until its
//!   ownership is moved.
//!
//! Content alone cannot tell whether a created object is still what is wanted: a field that is
//! wanted no more looks like a default of the server. So a create's manager says what was asked
//! for, see [`creator`].

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{FieldsV1, ManagedFieldsEntry};
use kube::core::ObjectMeta;
use serde_json::{Map, Value};

use super::shown::digest;

/// Name of a map or list element itself in the field set below it.
const ITSELF: &str = ".";
const APPLY: &str = "Apply";
const UPDATE: &str = "Update";

/// What the managed fields of an object say about us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ownership {
    /// Changes when, and only when, somebody changes a field that we own.
    pub(super) digest: u64,
    /// We created the object and never applied it: the fields are ours as an update.
    pub(super) created_only: bool,
    /// Fingerprint of the body that created it.
    pub(super) created_as: Option<u64>,
    /// We wrote it, whoever changed it since.
    pub(super) mine: bool,
    /// Fields are held by a predecessor, and become ours before the next apply.
    pub(super) inherited: bool,
}

impl Ownership {
    /// Reads the managed fields of `meta`.
    pub(super) fn of(meta: &ObjectMeta, manager: &str, predecessors: &[&str]) -> Self {
        let mut hasher = DefaultHasher::new();
        let mut this = Self::default();
        for entry in meta
            .managed_fields
            .iter()
            .flatten()
            .filter(|entry| entry.subresource.is_none())
        {
            let holder = entry.manager.as_deref().unwrap_or_default();
            let update = entry.operation.as_deref() == Some(UPDATE);
            let created_as = created_as(holder, manager);
            if holder == manager || created_as.is_some() {
                this.mine = true;
                this.created_as = this.created_as.or(created_as);
                entry.operation.hash(&mut hasher);
                entry.fields_v1.as_ref().map(digest).hash(&mut hasher);
                this.created_only |= update;
            } else if update && predecessors.contains(&holder) {
                this.inherited = true;
            }
        }
        this.digest = hasher.finish();
        this
    }

    /// Whether ownership has to be moved before an apply can remove fields.
    pub(super) fn must_move(self) -> bool {
        self.created_only || self.inherited
    }
}

/// The field manager of a create: `manager`, and a fingerprint of the body. After a restart it
/// tells whether something else is wanted by now, at no cost and with no mark on the object.
pub(super) fn creator(manager: &str, wanted: u64) -> String {
    format!("{manager}-{wanted:016x}")
}

/// The fingerprint, if `holder` is a [`creator`] of `manager`.
fn created_as(holder: &str, manager: &str) -> Option<u64> {
    let print = holder.strip_prefix(manager)?.strip_prefix('-')?;
    (print.len() == 16).then(|| u64::from_str_radix(print, 16).ok())?
}

/// The managed fields of `meta` after everything that `manager` created and `predecessors`
/// wrote became one applied set of `manager`; `None` when there is nothing to move.
///
/// Entries of subresources stay: they are not part of what is applied.
pub(super) fn moved(
    meta: &ObjectMeta,
    manager: &str,
    predecessors: &[&str],
) -> Option<Vec<ManagedFieldsEntry>> {
    let is_applied = |entry: &ManagedFieldsEntry| {
        entry.subresource.is_none()
            && entry.operation.as_deref() == Some(APPLY)
            && entry.manager.as_deref() == Some(manager)
    };
    let is_moved = |entry: &ManagedFieldsEntry| {
        let holder = entry.manager.as_deref().unwrap_or_default();
        entry.subresource.is_none()
            && entry.operation.as_deref() == Some(UPDATE)
            && (holder == manager
                || created_as(holder, manager).is_some()
                || predecessors.contains(&holder))
    };
    let entries = meta.managed_fields.as_deref().unwrap_or_default();
    let first = entries.iter().find(|entry| is_moved(entry))?;
    let mut ours = entries
        .iter()
        .find(|entry| is_applied(entry))
        .unwrap_or(first)
        .clone();
    ours.manager = Some(manager.to_owned());
    ours.operation = Some(APPLY.to_owned());
    let mut fields = Value::Object(Map::new());
    for entry in entries
        .iter()
        .filter(|entry| is_applied(entry) || is_moved(entry))
    {
        if let Some(FieldsV1(more)) = &entry.fields_v1 {
            unite(&mut fields, more);
        }
    }
    ours.fields_v1 = Some(FieldsV1(fields));
    let others = entries
        .iter()
        .filter(|entry| !is_applied(entry) && !is_moved(entry))
        .cloned();
    Some(std::iter::once(ours).chain(others).collect())
}

/// The managed fields of `meta` after the fields of `body` that `predecessors` wrote became part
/// of the applied set of `manager`; `None` when they hold none of them.
pub(super) fn moved_part(
    meta: &ObjectMeta,
    manager: &str,
    predecessors: &[&str],
    body: &Value,
) -> Option<Vec<ManagedFieldsEntry>> {
    let mut entries = Vec::new();
    let mut ours: Option<ManagedFieldsEntry> = None;
    let mut taken = Value::Object(Map::new());
    for mut entry in meta.managed_fields.iter().flatten().cloned() {
        let holder = entry.manager.as_deref().unwrap_or_default();
        if entry.subresource.is_none() && is_apply(&entry) && holder == manager {
            ours = Some(entry);
            continue;
        }
        let inherited = entry.subresource.is_none() && predecessors.contains(&holder);
        if inherited
            && !is_apply(&entry)
            && let Some(FieldsV1(Value::Object(fields))) = &mut entry.fields_v1
        {
            let part = take(fields, body);
            let is_empty = fields.is_empty();
            if !part.is_empty() {
                unite(&mut taken, &Value::Object(part));
                ours.get_or_insert_with(|| ManagedFieldsEntry {
                    manager: Some(manager.to_owned()),
                    operation: Some(APPLY.to_owned()),
                    fields_v1: None,
                    ..entry.clone()
                });
            }
            if is_empty {
                continue;
            }
        }
        entries.push(entry);
    }
    if taken.as_object().is_none_or(Map::is_empty) {
        return None;
    }
    let mut ours = ours?;
    let mut fields = ours
        .fields_v1
        .map_or_else(|| Value::Object(Map::new()), |FieldsV1(fields)| fields);
    unite(&mut fields, &taken);
    ours.fields_v1 = Some(FieldsV1(fields));
    entries.insert(0, ours);
    Some(entries)
}

/// Takes the fields of `body` out of the field set `set`.
fn take(set: &mut Map<String, Value>, body: &Value) -> Map<String, Value> {
    let mut taken = Map::new();
    set.retain(|field, below| {
        let (Some(part), Value::Object(below)) = (member(body, field), below) else {
            return true;
        };
        if below.is_empty() {
            taken.insert(field.clone(), Value::Object(Map::new()));
            return false;
        }
        let more = take(below, &part);
        if !more.is_empty() {
            taken.insert(field.clone(), Value::Object(more));
        }
        !below.is_empty()
    });
    // A map or list element that holds nothing else any more goes along, or it would stay empty.
    if !taken.is_empty()
        && set.len() == 1
        && let Some(itself) = set.remove(ITSELF)
    {
        taken.insert(ITSELF.to_owned(), itself);
    }
    taken
}

/// The part of `body` that a name in a field set means: a member `f:`, the list element with some
/// keys `k:`, an element of a set `v:`, or one at an index `i:`.
fn member(body: &Value, field: &str) -> Option<Value> {
    let (sort, name) = field.split_once(':')?;
    match sort {
        "f" => body.get(name).cloned(),
        "i" => body.get(name.parse::<usize>().ok()?).cloned(),
        "k" | "v" => {
            let wanted: Value = serde_json::from_str(name).ok()?;
            let is_meant = |element: &&Value| match &wanted {
                Value::Object(keys) if sort == "k" => keys
                    .iter()
                    .all(|(key, value)| element.get(key) == Some(value)),
                wanted => *element == wanted,
            };
            body.as_array()?.iter().find(is_meant).cloned()
        }
        _ => None,
    }
}

/// Whether the entry is of an apply.
pub(super) fn is_apply(entry: &ManagedFieldsEntry) -> bool {
    entry.operation.as_deref() == Some(APPLY)
}

/// Adds the field set `more` to `set`.
fn unite(set: &mut Value, more: &Value) {
    if let (Value::Object(set), Value::Object(more)) = (set, more) {
        for (field, below) in more {
            unite(
                set.entry(field.clone())
                    .or_insert_with(|| Value::Object(Map::new())),
                below,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "reads better with json! at the call"
    )]
    fn meta(entries: Value) -> ObjectMeta {
        serde_json::from_value(json!({ "managedFields": entries })).unwrap()
    }

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1",
               "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    #[test]
    fn drift_shows_in_our_entry_and_nobody_elses() {
        let ours = entry("us", "Apply", &json!({"f:data": {"f:a": {}, "f:b": {}}}));
        let before = meta(json!([ours]));
        let other = entry(
            "kubectl",
            "Update",
            &json!({"f:metadata": {"f:annotations": {"f:x": {}}}}),
        );
        let beside = meta(json!([ours, other]));
        let taken = meta(json!([
            entry("us", "Apply", &json!({"f:data": {"f:a": {}}})),
            entry("kubectl", "Update", &json!({"f:data": {"f:b": {}}})),
        ]));
        let digest = |meta| Ownership::of(meta, "us", &[]).digest;
        assert_eq!(digest(&before), digest(&beside));
        assert_ne!(digest(&before), digest(&taken));
        assert_ne!(digest(&before), digest(&meta(json!([]))));
    }

    #[test]
    fn a_creator_is_told_from_other_managers() {
        assert_eq!(created_as(&creator("us", u64::MAX), "us"), Some(u64::MAX));
        assert_eq!(created_as(&creator("us", 0), "us"), Some(0));
        for other in [
            "us",
            "us-",
            "us-too",
            "us-000000000000000g",
            "them-0000000000000000",
        ] {
            assert_eq!(created_as(other, "us"), None, "{other}");
        }
    }

    #[test]
    fn only_the_fields_in_question_are_moved_from_a_predecessor() {
        let before = meta(json!([
            entry(
                "kubectl",
                "Update",
                &json!({"f:spec": {"f:logger": {"f:url": {}}}})
            ),
            entry(
                "old",
                "Update",
                &json!({
                    "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                    "f:spec": {
                        "f:logger": {".": {}, "f:mode": {}, "f:url": {}},
                        "f:env": {".": {}, "k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:value": {}},
                                  "k:{\"name\":\"y\"}": {".": {}, "f:name": {}, "f:value": {}}},
                        "f:set": {"v:\"p\"": {}, "v:\"q\"": {}},
                    },
                })
            ),
        ]));
        let body = json!({"spec": {"logger": {"mode": "all", "url": "u"},
            "env": [{"name": "x", "value": "1"}], "set": ["q"]}});
        let after = moved_part(&before, "us/logger/1", &["old"], &body).unwrap();
        assert_eq!(
            serde_json::to_value(&after).unwrap(),
            json!([
                entry(
                    "us/logger/1",
                    "Apply",
                    &json!({"f:spec": {
                        "f:logger": {".": {}, "f:mode": {}, "f:url": {}},
                        "f:env": {"k:{\"name\":\"x\"}": {".": {}, "f:name": {}, "f:value": {}}},
                        "f:set": {"v:\"q\"": {}},
                    }})
                ),
                entry(
                    "kubectl",
                    "Update",
                    &json!({"f:spec": {"f:logger": {"f:url": {}}}})
                ),
                entry(
                    "old",
                    "Update",
                    &json!({
                        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
                        "f:spec": {
                            "f:env": {".": {},
                                "k:{\"name\":\"y\"}": {".": {}, "f:name": {}, "f:value": {}}},
                            "f:set": {"v:\"p\"": {}},
                        },
                    })
                ),
            ])
        );
        let other = json!({"spec": {"other": 1}});
        assert_eq!(moved_part(&before, "us/logger/1", &["old"], &other), None);
    }

    #[test]
    fn what_was_created_or_inherited_becomes_one_applied_set() {
        let status = json!({"manager": "old", "operation": "Update", "apiVersion": "v1",
            "subresource": "status", "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {}}});
        let kubectl = entry("kubectl", "Update", &json!({"f:data": {"f:c": {}}}));
        let before = meta(json!([
            entry(&creator("us", 7), "Update", &json!({"f:data": {"f:a": {}}})),
            kubectl,
            entry("old", "Update", &json!({"f:data": {"f:b": {}}})),
            status,
        ]));
        let ownership = Ownership::of(&before, "us", &["old"]);
        assert!(ownership.created_only && ownership.inherited && ownership.must_move());
        assert_eq!(ownership.created_as, Some(7));
        let after = moved(&before, "us", &["old"]).unwrap();
        assert_eq!(
            serde_json::to_value(&after).unwrap(),
            json!([
                entry("us", "Apply", &json!({"f:data": {"f:a": {}, "f:b": {}}})),
                kubectl,
                status
            ])
        );
        let after = ObjectMeta {
            managed_fields: Some(after),
            ..ObjectMeta::default()
        };
        assert!(!Ownership::of(&after, "us", &["old"]).must_move());
        assert_eq!(moved(&after, "us", &["old"]), None);
    }
}
