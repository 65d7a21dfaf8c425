//! How objects look to a client.

use std::collections::HashMap;

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde_json::{Value, json};

use super::AggregatedApi;
use super::store::Event;

/// How objects look to a client: which it selects, and whole or only their metadata.
#[derive(Clone)]
pub(super) struct View {
    api_version: String,
    kind: &'static str,
    metadata_only: bool,
    labels: Vec<(String, Option<String>)>,
}

impl View {
    pub(super) fn of(
        api: &AggregatedApi,
        headers: &HeaderMap,
        query: &HashMap<String, String>,
    ) -> Self {
        let accept = headers
            .get(ACCEPT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let labels = query
            .get("labelSelector")
            .map(String::as_str)
            .unwrap_or_default();
        // Equality and existence are what our own clients ask for.
        let labels = labels
            .split(',')
            .filter(|term| !term.is_empty())
            .map(|term| match term.split_once('=') {
                Some((key, value)) => (
                    key.to_owned(),
                    Some(value.trim_start_matches('=').to_owned()),
                ),
                None => (term.to_owned(), None),
            });
        Self {
            api_version: api.api_version(),
            kind: api.kind,
            metadata_only: accept.contains("as=PartialObjectMetadata"),
            labels: labels.collect(),
        }
    }

    pub(super) fn selects(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.labels.iter().all(|(key, wanted)| {
            let value = labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str);
            value.is_some() && wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        })
    }

    /// The type that an object is stored with, whatever the client wrote.
    pub(super) fn stamp(&self, mut object: Value) -> Value {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), json!(self.api_version));
            fields.insert("kind".to_owned(), json!(self.kind));
        }
        object
    }

    pub(super) fn one(&self, object: Value) -> Value {
        if self.metadata_only {
            let metadata = object.get("metadata").cloned().unwrap_or_default();
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
        } else {
            object
        }
    }

    pub(super) fn list(&self, objects: Vec<Value>, version: usize) -> Value {
        let items: Vec<Value> = objects
            .into_iter()
            .filter(|object| self.selects(object))
            .map(|object| self.one(object))
            .collect();
        let (api_version, kind) = if self.metadata_only {
            (
                "meta.k8s.io/v1".to_owned(),
                "PartialObjectMetadataList".to_owned(),
            )
        } else {
            (self.api_version.clone(), format!("{}List", self.kind))
        };
        json!({"apiVersion": api_version, "kind": kind, "metadata": {"resourceVersion": version.to_string()}, "items": items})
    }

    /// One line of a watch.
    pub(super) fn event(&self, (kind, object): Event) -> String {
        format!("{}\n", json!({"type": kind, "object": self.one(object)}))
    }

    /// The line that ends the initial events of a streaming list.
    pub(super) fn initial_events_end(&self, version: usize) -> String {
        let object = json!({
            "apiVersion": self.api_version, "kind": self.kind,
            "metadata": {"resourceVersion": version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}},
        });
        self.event(("BOOKMARK", object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_select() {
        let query = HashMap::from([("labelSelector".to_owned(), "a=1,b".to_owned())]);
        let view = View::of(&AggregatedApi::ROUTE, &HeaderMap::new(), &query);
        let object = |labels: Value| json!({"metadata": {"labels": labels}});
        assert!(view.selects(&object(json!({"a": "1", "b": "x"}))));
        assert!(!view.selects(&object(json!({"a": "2", "b": "x"}))));
        assert!(!view.selects(&object(json!({"a": "1"}))));
    }
}
