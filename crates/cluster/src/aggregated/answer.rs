//! Answers to requests.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::AggregatedApi;
use super::store::{Change, Key, Refusal, Store};
use super::view::View;

/// What every request sees.
pub(super) struct Shared {
    pub(super) api: AggregatedApi,
    pub(super) store: Store,
}

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Discovery,
    Collection(Option<String>),
    Object { key: Key, status: bool },
    Unknown,
}

fn target(api: &AggregatedApi, path: &str) -> Target {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let object = |namespace: &str, name: &str, status| Target::Object {
        key: (namespace.to_owned(), name.to_owned()),
        status,
    };
    match parts.as_slice() {
        ["apis", group, version, rest @ ..] if *group == api.group && *version == api.version => {
            match rest {
                [] => Target::Discovery,
                [plural] if *plural == api.plural => Target::Collection(None),
                ["namespaces", namespace, plural] if *plural == api.plural => {
                    Target::Collection(Some((*namespace).to_owned()))
                }
                ["namespaces", namespace, plural, name] if *plural == api.plural => {
                    object(namespace, name, false)
                }
                ["namespaces", namespace, plural, name, "status"] if *plural == api.plural => {
                    object(namespace, name, true)
                }
                _ => Target::Unknown,
            }
        }
        _ => Target::Unknown,
    }
}

pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let query: HashMap<String, String> = Query::try_from_uri(&uri)
        .map(|Query(query)| query)
        .unwrap_or_default();
    let view = View::of(&shared.api, &headers, &query);
    let header = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    let target = target(&shared.api, uri.path());
    let outcome = match (&method, target) {
        (&Method::GET, Target::Discovery) => Ok((StatusCode::OK, discovery(&shared.api))),
        (&Method::GET, Target::Collection(namespace)) => {
            if query
                .get("watch")
                .is_some_and(|watch| matches!(watch.as_str(), "true" | "1"))
            {
                return watch(shared, namespace, view, &query);
            }
            let (objects, version) = shared.store.list(namespace.as_deref());
            Ok((StatusCode::OK, view.list(objects, version)))
        }
        (&Method::POST, Target::Collection(Some(namespace))) => parse(&body).and_then(|object| {
            let name = object
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned();
            let made = shared
                .store
                .create(&(namespace, name), view.stamp(object))?;
            Ok((StatusCode::CREATED, view.one(made)))
        }),
        (&Method::DELETE, Target::Collection(namespace)) => {
            let (objects, version) = shared.store.list(namespace.as_deref());
            for object in objects.iter().filter(|object| view.selects(object)) {
                // Gone between the list and now is as good.
                let _ = shared.store.delete(&key_of(object), None);
            }
            Ok((StatusCode::OK, view.list(objects, version)))
        }
        (&Method::GET, Target::Object { key, .. }) => shared
            .store
            .get(&key)
            .map(|object| (StatusCode::OK, view.one(object))),
        (&Method::PUT, Target::Object { key, status }) => parse(&body).and_then(|object| {
            let object = shared
                .store
                .change(&key, view.stamp(object), Change::Replace, status)?;
            Ok((StatusCode::OK, view.one(object)))
        }),
        (&Method::PATCH, Target::Object { key, status }) => {
            let apply = header(CONTENT_TYPE).starts_with("application/apply-patch");
            parse(&body).and_then(|object| patch(&shared.store, &key, object, status, apply, &view))
        }
        (&Method::DELETE, Target::Object { key, .. }) => {
            let options = parse(&body).unwrap_or_default();
            shared
                .store
                .delete(&key, options.pointer("/preconditions/uid"))
                .map(|object| (StatusCode::OK, view.one(object)))
        }
        (_, Target::Unknown) => Err(Refusal(
            404,
            "NotFound",
            format!("{} is not served", uri.path()),
        )),
        (method, _) => Err(Refusal(
            405,
            "MethodNotAllowed",
            format!("{method} is not served here"),
        )),
    };
    match outcome {
        Ok((code, value)) => json_response(code, &value),
        Err(Refusal(code, reason, message)) => json_response(
            StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            &json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}),
        ),
    }
}

fn patch(
    store: &Store,
    key: &Key,
    object: Value,
    status: bool,
    apply: bool,
    view: &View,
) -> Result<(StatusCode, Value), Refusal> {
    if apply && !status && store.get(key).is_err() {
        let made = store.create(key, view.stamp(object))?;
        return Ok((StatusCode::CREATED, view.one(made)));
    }
    store
        .change(key, object, Change::Merge, status)
        .map(|object| (StatusCode::OK, view.one(object)))
}

/// Answers a watch: what there is, unless the client says which version it knows, and then what
/// happens, until the client or the server goes.
fn watch(
    shared: Arc<Shared>,
    namespace: Option<String>,
    view: View,
    query: &HashMap<String, String>,
) -> Response {
    let known: usize = query
        .get("resourceVersion")
        .and_then(|version| version.parse().ok())
        .unwrap_or(0);
    let streaming_list = query
        .get("sendInitialEvents")
        .is_some_and(|value| value == "true");
    let mut first = String::new();
    let mut next = known;
    if known == 0 || streaming_list {
        let (objects, version) = shared.store.list(namespace.as_deref());
        next = version;
        let selected = objects.into_iter().filter(|object| view.selects(object));
        first.extend(selected.map(|object| view.event(("ADDED", object))));
        if streaming_list {
            first.push_str(&view.initial_events_end(version));
        }
    }
    let changes = shared.store.follow();
    let lines =
        futures::stream::unfold((first, next, changes), move |(first, next, mut changes)| {
            let (shared, view, namespace) = (shared.clone(), view.clone(), namespace.clone());
            async move {
                if !first.is_empty() {
                    return Some((Ok::<_, io::Error>(first), (String::new(), next, changes)));
                }
                loop {
                    changes.borrow_and_update();
                    let (events, version) = shared.store.since(next);
                    let selected = events.into_iter().filter(|(_, object)| {
                        view.selects(object)
                            && namespace
                                .as_ref()
                                .is_none_or(|namespace| key_of(object).0 == *namespace)
                    });
                    let text: String = selected.map(|event| view.event(event)).collect();
                    if !text.is_empty() {
                        return Some((Ok(text), (String::new(), version, changes)));
                    }
                    changes.changed().await.ok()?;
                }
            }
        });
    (
        [(CONTENT_TYPE, "application/json")],
        Body::from_stream(lines),
    )
        .into_response()
}

/// JSON, or the YAML of an apply; an empty body is an empty value.
fn parse(body: &[u8]) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_saphyr::from_slice(body).map_err(|error| Refusal(400, "BadRequest", error.to_string()))
}

fn json_response(code: StatusCode, value: &Value) -> Response {
    (
        code,
        [(CONTENT_TYPE, "application/json")],
        value.to_string(),
    )
        .into_response()
}

fn key_of(object: &Value) -> Key {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    (text("/metadata/namespace"), text("/metadata/name"))
}

fn discovery(api: &AggregatedApi) -> Value {
    let verbs = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ];
    json!({
        "apiVersion": "v1", "kind": "APIResourceList", "groupVersion": api.api_version(),
        "resources": [
            {"name": api.plural, "singularName": api.kind.to_lowercase(), "namespaced": true, "kind": api.kind, "verbs": verbs},
            {"name": format!("{}/status", api.plural), "singularName": "", "namespaced": true, "kind": api.kind,
             "verbs": ["get", "patch", "update"]},
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_understood() {
        let ask = |path: &str| target(&AggregatedApi::ROUTE, path);
        let object = |status| Target::Object {
            key: ("n".to_owned(), "a".to_owned()),
            status,
        };
        assert_eq!(ask("/apis/route.openshift.io/v1"), Target::Discovery);
        assert_eq!(
            ask("/apis/route.openshift.io/v1/routes"),
            Target::Collection(None)
        );
        assert_eq!(
            ask("/apis/route.openshift.io/v1/namespaces/n/routes"),
            Target::Collection(Some("n".to_owned()))
        );
        assert_eq!(
            ask("/apis/route.openshift.io/v1/namespaces/n/routes/a"),
            object(false)
        );
        assert_eq!(
            ask("/apis/route.openshift.io/v1/namespaces/n/routes/a/status"),
            object(true)
        );
        assert_eq!(ask("/apis/other/v1/routes"), Target::Unknown);
        assert_eq!(ask("/openapi/v2"), Target::Unknown);
    }
}
