//! Objects as watches and answers show them. Most of an object's metadata says who owns its
//! fields, and as a tree in memory that is many times its text: a digest of it is enough to see
//! drift, and is all that is kept while an object is read.

use std::{
    collections::BTreeMap,
    fmt::{self, Formatter},
    hash::{DefaultHasher, Hash, Hasher},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    FieldsV1, ManagedFieldsEntry, OwnerReference, Time,
};
use kube::core::ObjectMeta;
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use crate::any_kind::any_kind;

/// Metadata of an object of any kind, asked for without the rest.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Partial {
    /// With a digest in place of each field set, see [`digest`].
    #[serde(default, deserialize_with = "slim")]
    pub(super) metadata: ObjectMeta,
}

/// An object of any kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Whole {
    /// With a digest in place of each field set, see [`digest`].
    pub(super) metadata: ObjectMeta,
    /// Everything else.
    pub(super) data: Value,
}

any_kind!(Partial, true);
any_kind!(Whole, false);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Whole;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Whole, A::Error> {
                let mut metadata = ObjectMeta::default();
                let mut data = Map::new();
                while let Some(name) = members.next_key::<String>()? {
                    if name == "metadata" {
                        metadata = members.next_value::<Slim>()?.into();
                    } else {
                        data.insert(name, members.next_value()?);
                    }
                }
                Ok(Whole {
                    metadata,
                    data: Value::Object(data),
                })
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn slim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    Slim::deserialize(deserializer).map(ObjectMeta::from)
}

/// The part of an object's metadata that the loop looks at.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Slim {
    annotations: Option<BTreeMap<String, String>>,
    deletion_timestamp: Option<Time>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    managed_fields: Option<Vec<Entry>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    uid: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    manager: Option<String>,
    operation: Option<String>,
    subresource: Option<String>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Fields>,
}

impl From<Slim> for ObjectMeta {
    fn from(slim: Slim) -> Self {
        let entry = |entry: Entry| ManagedFieldsEntry {
            manager: entry.manager,
            operation: entry.operation,
            subresource: entry.subresource,
            fields_v1: entry.fields.map(|Fields(digest)| FieldsV1(digest.into())),
            ..ManagedFieldsEntry::default()
        };
        Self {
            annotations: slim.annotations,
            deletion_timestamp: slim.deletion_timestamp,
            generation: slim.generation,
            labels: slim.labels,
            managed_fields: slim
                .managed_fields
                .map(|entries| entries.into_iter().map(entry).collect()),
            name: slim.name,
            namespace: slim.namespace,
            owner_references: slim.owner_references,
            resource_version: slim.resource_version,
            uid: slim.uid,
            ..Self::default()
        }
    }
}

/// The digest of a field set: the same for the set itself and for the digest that stands in its
/// place, and whatever the order of its members.
pub(super) fn digest(FieldsV1(fields): &FieldsV1) -> u64 {
    Fields::deserialize(fields).map_or(0, |Fields(digest)| digest)
}

/// The digest of a field set, made while it is read. Field sets are maps of maps; a number is a
/// digest already.
struct Fields(u64);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Set;
        impl<'de> Visitor<'de> for Set {
            type Value = Fields;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a field set")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Fields, A::Error> {
                // An empty set is not the same as none.
                let mut sum = 1_u64;
                while let Some((Name(name), Fields(below))) = members.next_entry()? {
                    sum = sum.wrapping_add(hash(&(name, below)));
                }
                Ok(Fields(sum))
            }

            fn visit_u64<E: Error>(self, digest: u64) -> Result<Fields, E> {
                Ok(Fields(digest))
            }

            // What no server sends is read all the same: one odd object spoils no list.
            fn visit_i64<E: Error>(self, _: i64) -> Result<Fields, E> {
                Ok(Fields(0))
            }
            fn visit_f64<E: Error>(self, _: f64) -> Result<Fields, E> {
                Ok(Fields(0))
            }
            fn visit_bool<E: Error>(self, _: bool) -> Result<Fields, E> {
                Ok(Fields(0))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Fields, E> {
                Ok(Fields(hash(&text)))
            }
            fn visit_unit<E: Error>(self) -> Result<Fields, E> {
                Ok(Fields(0))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Fields, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Fields(0))
            }
        }
        deserializer.deserialize_any(Set)
    }
}

/// The hash of a member's name, made without keeping the name.
struct Name(u64);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Name;

            fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<Name, E> {
                Ok(Name(hash(&name)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(fields: Value) -> u64 {
        digest(&FieldsV1(fields))
    }

    #[test]
    fn a_digest_tells_field_sets_apart_and_stands_for_its_own() {
        let sets = [
            json!({}),
            json!({"f:a": {}}),
            json!({"f:a": {"f:b": {}}}),
            json!({"f:a": {}, "f:b": {}}),
            json!({"f:a": {"f:c": {}}, "f:b": {}}),
            json!({"f:a": {}, "f:b": {"f:c": {}}}),
            json!({"f:a": {".": {}, "k:{\"name\":\"x\"}": {}}}),
        ];
        let digests: Vec<u64> = sets.iter().map(|set| of(set.clone())).collect();
        for (index, digest) in digests.iter().enumerate() {
            assert!(!digests[..index].contains(digest), "{}", sets[index]);
            assert_eq!(of((*digest).into()), *digest);
        }
        let read = |text: &str| serde_json::from_str::<Fields>(text).unwrap().0;
        assert_eq!(
            read(r#"{"f:b":{},"f:a":{}}"#),
            read(r#"{"f:a":{},"f:b":{}}"#)
        );
        assert_eq!(
            read(r#"{"f:a":{"k:{\"name\":\"x\"}":{},".":{}}}"#),
            digests[6]
        );
    }

    #[test]
    fn an_odd_field_set_is_read_all_the_same() {
        for text in ["1.5", "-1", "true", "null", "\"x\"", "[{\"a\": 1}]"] {
            serde_json::from_str::<Fields>(text).unwrap();
        }
    }

    #[test]
    fn what_the_loop_looks_at_is_kept() {
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 3,
                "labels": {"a": "b"}, "annotations": {"c": "d"},
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "deletionTimestamp": "2026-01-02T00:00:00Z",
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "v", "controller": true}],
                "managedFields": [{
                    "manager": "m", "operation": "Apply", "subresource": "status", "apiVersion": "v1",
                    "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}},
                }],
            },
            "spec": {"ports": [1]},
        });
        let mut kept: ObjectMeta = serde_json::from_value(object["metadata"].clone()).unwrap();
        kept.creation_timestamp = None;
        let entry = &mut kept.managed_fields.as_mut().unwrap()[0];
        *entry = ManagedFieldsEntry {
            fields_v1: Some(FieldsV1(of(json!({"f:spec": {}})).into())),
            api_version: None,
            time: None,
            fields_type: None,
            ..entry.clone()
        };
        // By text, as it comes.
        let text = object.to_string();
        let partial: Partial = serde_json::from_str(&text).unwrap();
        assert_eq!(partial.metadata, kept);
        let whole: Whole = serde_json::from_str(&text).unwrap();
        assert_eq!(whole.metadata, kept);
        assert_eq!(
            whole.data,
            json!({"apiVersion": "v1", "kind": "Service", "spec": {"ports": [1]}})
        );
        let empty: Partial = serde_json::from_str("{}").unwrap();
        assert_eq!(empty.metadata, ObjectMeta::default());
    }
}
