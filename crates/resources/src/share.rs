//! Fields of objects that belong to somebody else.

use serde_json::{Map, Value};

use crate::kind::Kind;

/// A few fields of an object that somebody else made and keeps: the logger of an
/// InferenceService. They are ours for as long as a plan holds them, and are taken back exactly
/// when it does not any more. The object itself is never made and never deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// What the fields are about, in one word without a slash: `logger`. Part of the field manager
    /// that owns them, so it never changes. One plan has at most one share of a subject and object.
    pub subject: &'static str,
    /// Kind, which the component must have declared as watched and as shared.
    pub kind: Kind,
    /// Namespace, `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// uid of the object that is meant: another one of the same name is left alone.
    pub uid: String,
    /// The fields in question and no others: neither type nor name.
    pub body: Value,
    /// Values that somebody else set are overwritten. Without this they stay, and are reported.
    pub overwrite: bool,
}

impl Share {
    /// The fields as they are sent.
    #[must_use]
    pub fn object(&self) -> Value {
        fields_of(self.kind, &self.name, &self.uid, &self.body)
    }
}

/// `body` as a part of the object with this uid. A null body asks for no field at all.
#[must_use]
pub fn fields_of(kind: Kind, name: &str, uid: &str, body: &Value) -> Value {
    let mut object = body.as_object().cloned().unwrap_or_default();
    object.insert("apiVersion".into(), kind.api_version().into());
    object.insert("kind".into(), kind.kind.into());
    let meta = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(meta) = meta {
        meta.insert("name".into(), name.into());
        // The server refuses to make an object of a given uid: what was deleted stays deleted.
        meta.insert("uid".into(), uid.into());
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kind::CONFIG_MAP;

    #[test]
    fn fields_are_sent_with_the_address_and_uid_of_their_object() {
        let body = json!({"metadata": {"labels": {"a": "b"}}, "data": {"k": "v"}});
        assert_eq!(
            fields_of(CONFIG_MAP, "c", "1", &body),
            json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "c", "uid": "1", "labels": {"a": "b"}}, "data": {"k": "v"}})
        );
        assert_eq!(
            fields_of(CONFIG_MAP, "c", "1", &Value::Null),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "1"}})
        );
    }
}
