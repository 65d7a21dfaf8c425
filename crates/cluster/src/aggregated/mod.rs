//! An API that is served by another server and registered by an `APIService`, as OpenShift serves
//! Route and Group, instead of by a `CustomResourceDefinition`. One namespaced kind, in memory, for
//! tests of what differs: discovery, watches, an API that comes and goes.
//!
//! Apply is a merge that also creates; field ownership is not tracked. The API server in front
//! authenticates, authorizes and records; this one trusts it.

mod store;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use self::store::{Change, Key, Refusal, Store};
use crate::pki::Authority;
use crate::{Cluster, Error, access};

/// Which API is served.
#[derive(Debug, Clone, Copy)]
pub struct AggregatedApi {
    /// Its group.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The kind in it.
    pub kind: &'static str,
    /// The kind's resource name.
    pub plural: &'static str,
}

impl AggregatedApi {
    /// Routes, as OpenShift has them.
    pub const ROUTE: Self = Self {
        group: "route.openshift.io",
        version: "v1",
        kind: "Route",
        plural: "routes",
    };

    fn api_version(&self) -> String {
        format!("{}/{}", self.group, self.version)
    }
}

/// A served API. It stops answering when this is dropped, and stays registered: from then on the
/// cluster has an API that is unavailable.
pub struct Aggregated {
    api: AggregatedApi,
    stop: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Cluster {
    /// Serves an API from this process and registers it; returns when the cluster answers for it.
    pub async fn serve_aggregated(&self, api: AggregatedApi) -> Result<Aggregated, Error> {
        let name = format!("{}-{}", api.plural, api.group.replace('.', "-"));
        let authority = Authority::new("aggregated API")?;
        let identity = authority.server(&[format!("{name}.default.svc")])?;
        let listener =
            std::net::TcpListener::bind("127.0.0.1:0").map_err(Error::io("finding a free port"))?;
        let port = listener
            .local_addr()
            .map_err(Error::io("finding a free port"))?
            .port();
        listener
            .set_nonblocking(true)
            .map_err(Error::io("listening"))?;
        let tls = acceptor(&identity.certificate, &identity.key)
            .map_err(|error| Error::io("TLS of the aggregated API")(io::Error::other(error)))?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("aggregated API".to_owned())
            .spawn(move || serve(api, listener, tls, stopped))
            .map_err(Error::io("starting a thread"))?;
        let aggregated = Aggregated {
            api,
            stop: Some((stop, thread)),
        };
        let objects = json!([
            {
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": "default"},
                "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
            },
            {
                "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
                "metadata": {"name": aggregated.name()},
                "spec": {
                    "group": api.group, "version": api.version,
                    "groupPriorityMinimum": 1000, "versionPriority": 15,
                    "service": {"name": name, "namespace": "default", "port": port},
                    "caBundle": STANDARD.encode(authority.pem()),
                },
            },
        ]);
        for object in objects.as_array().into_iter().flatten() {
            let object = serde_json::from_value(object.clone())
                .map_err(|error| Error::Yaml(error.to_string()))?;
            access::apply(&self.client()?, "default", &object).await?;
        }
        let resource = format!("apiservice/{}", aggregated.name());
        self.kubectl(&[
            "wait",
            "--for=condition=Available",
            "--timeout=30s",
            &resource,
        ])
        .await?;
        Ok(aggregated)
    }
}

impl Aggregated {
    /// The name of its `APIService`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.api.version, self.api.group)
    }

    /// Takes the API away: the cluster does not know it any more.
    pub async fn withdraw(self, cluster: &Cluster) -> Result<(), Error> {
        cluster
            .kubectl(&["delete", "apiservice", &self.name()])
            .await
            .map(drop)
    }
}

impl Drop for Aggregated {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            let _ = stop.send(());
            let _ = thread.join();
        }
    }
}

fn acceptor(
    certificate: &str,
    key: &str,
) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// A listener whose connections are TLS.
struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else {
                continue;
            };
            // The only client is the API server, so a slow handshake holds up nobody else.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// What every request sees.
struct Shared {
    api: AggregatedApi,
    store: Store,
}

fn serve(
    api: AggregatedApi,
    listener: std::net::TcpListener,
    acceptor: TlsAcceptor,
    stopped: oneshot::Receiver<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    runtime.block_on(async {
        let Ok(listener) = TcpListener::from_std(listener) else {
            return;
        };
        let shared = Arc::new(Shared {
            api,
            store: Store::new(),
        });
        let router = Router::new().fallback(answer).with_state(shared);
        tokio::select! {
            _ = axum::serve(Tls { listener, acceptor }, router) => {}
            _ = stopped => {}
        }
    });
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

async fn answer(
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

/// How objects look to a client: which it selects, and whole or only their metadata.
#[derive(Clone)]
struct View {
    api_version: String,
    kind: &'static str,
    metadata_only: bool,
    labels: Vec<(String, Option<String>)>,
}

impl View {
    fn of(api: &AggregatedApi, headers: &HeaderMap, query: &HashMap<String, String>) -> Self {
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

    fn selects(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.labels.iter().all(|(key, wanted)| {
            let value = labels
                .and_then(|labels| labels.get(key))
                .and_then(Value::as_str);
            value.is_some() && wanted.as_deref().is_none_or(|wanted| value == Some(wanted))
        })
    }

    /// The type that an object is stored with, whatever the client wrote.
    fn stamp(&self, mut object: Value) -> Value {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("apiVersion".to_owned(), json!(self.api_version));
            fields.insert("kind".to_owned(), json!(self.kind));
        }
        object
    }

    fn one(&self, object: Value) -> Value {
        if self.metadata_only {
            let metadata = object.get("metadata").cloned().unwrap_or_default();
            json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata})
        } else {
            object
        }
    }

    fn list(&self, objects: Vec<Value>, version: usize) -> Value {
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
    fn event(&self, (kind, object): store::Event) -> String {
        format!("{}\n", json!({"type": kind, "object": self.one(object)}))
    }

    /// The line that ends the initial events of a streaming list.
    fn initial_events_end(&self, version: usize) -> String {
        let object = json!({
            "apiVersion": self.api_version, "kind": self.kind,
            "metadata": {"resourceVersion": version.to_string(), "annotations": {"k8s.io/initial-events-end": "true"}},
        });
        self.event(("BOOKMARK", object))
    }
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
