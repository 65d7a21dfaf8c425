//! The wire between an operator and the API server. It counts writes, fails where it is told, and
//! answers for the server where it is told.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{Router, body::Body, extract::State, response::Response};
use futures::FutureExt;
use http::{Method, Request, StatusCode, header};
use kube::{Client, client::Body as KubeBody};
use tempfile::NamedTempFile;
use tokio::sync::{Notify, watch};

/// What happens at a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write is answered and the operator killed; no other request of its gets through.
    Killed,
    /// The operator is killed, and the write was never answered.
    KilledUnanswered,
    /// The write took effect, its answer is lost, and the operator lives on.
    Unanswered,
}

/// Which requests are answered with an error of the server: the number of the request, counted from
/// 0 among those that are no watches, its method, and its path.
pub type Refused = fn(u64, &Method, &str) -> bool;

/// One operator's wire. It survives the operator, and serves the next one after
/// [`Wire::reconnect`].
#[derive(Clone)]
pub struct Wire {
    inner: Arc<Inner>,
}

struct Inner {
    kubeconfig: NamedTempFile,
    client: Client,
    /// Writes of anything but events, that the server did.
    writes: AtomicU64,
    /// Watches that began.
    watches: AtomicU64,
    armed: Mutex<Option<(u64, Fault, Arc<Notify>)>>,
    struck: Notify,
    cut: watch::Sender<bool>,
    refused: Mutex<Option<Refused>>,
    requests: AtomicU64,
    refusals: AtomicU64,
}

impl Wire {
    /// Opens a wire to the API server, as the user of `client` and in its namespace.
    pub async fn open(client: Client) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let address = listener.local_addr().expect("an address");
        let inner = Arc::new(Inner {
            kubeconfig: kubeconfig(address, client.default_namespace()),
            client,
            writes: AtomicU64::new(0),
            watches: AtomicU64::new(0),
            armed: Mutex::new(None),
            struck: Notify::new(),
            cut: watch::channel(false).0,
            refused: Mutex::new(None),
            requests: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
        });
        let router = Router::new()
            .fallback(forward)
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { inner }
    }

    /// For the operator.
    pub fn kubeconfig(&self) -> &Path {
        self.inner.kubeconfig.path()
    }

    /// The `nth` write from now on, counted from 1, fails in this way. `killer` ends the operator.
    pub fn arm(&self, nth: u64, fault: Fault, killer: Arc<Notify>) {
        let at = self.writes() + nth;
        *self.inner.armed.lock().expect("no panic") = Some((at, fault, killer));
    }

    /// Nothing fails any more.
    pub fn disarm(&self) {
        *self.inner.armed.lock().expect("no panic") = None;
        // Nobody waited for the last one.
        let _ = self.inner.struck.notified().now_or_never();
    }

    /// Waits until the fault has struck.
    pub async fn struck(&self) {
        self.inner.struck.notified().await;
    }

    /// Lets requests through again.
    pub fn reconnect(&self) {
        self.inner.cut.send_replace(false);
    }

    /// Lets nothing through.
    pub fn cut(&self) {
        self.inner.cut.send_replace(true);
    }

    /// Answers some requests with an error from now on, or none.
    pub fn refuse(&self, refused: Option<Refused>) {
        *self.inner.refused.lock().expect("no panic") = refused;
    }

    /// How many requests were answered with an error.
    pub fn refusals(&self) -> u64 {
        self.inner.refusals.load(Ordering::SeqCst)
    }

    /// How many writes the server did, events aside.
    pub fn writes(&self) -> u64 {
        self.inner.writes.load(Ordering::SeqCst)
    }

    /// How many watches began.
    pub fn watches(&self) -> u64 {
        self.inner.watches.load(Ordering::SeqCst)
    }
}

fn kubeconfig(address: SocketAddr, namespace: &str) -> NamedTempFile {
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: wire, \
          clusters: [{{name: wire, cluster: {{server: 'http://{address}'}}}}], \
          contexts: [{{name: wire, context: {{cluster: wire, user: wire, namespace: '{namespace}'}}}}], \
          users: [{{name: wire, user: {{}}}}]}}"
    );
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a kubeconfig");
    file
}

/// Whether a request may change what users see. Events only tell of it, and a review asks.
fn is_write(request: &Request<Body>) -> bool {
    let path = request.uri().path();
    request.method() != Method::GET
        && !path.ends_with("/events")
        && !path.contains("authorization.k8s.io/v1/self")
}

async fn forward(State(wire): State<Arc<Inner>>, request: Request<Body>) -> Response {
    wire.passable().await;
    let write = is_write(&request);
    let watch = request
        .uri()
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    if !watch && wire.refuses(&request) {
        return failed();
    }
    let Ok(answer) = wire.send(request).await else {
        return broken();
    };
    if watch && answer.status().is_success() {
        wire.watches.fetch_add(1, Ordering::SeqCst);
    }
    if write && answer.status().is_success() {
        match wire.strike() {
            Some(Fault::KilledUnanswered) => std::future::pending::<()>().await,
            Some(Fault::Unanswered) => return broken(),
            Some(Fault::Killed) | None => {}
        }
    }
    let (parts, body) = answer.into_parts();
    let mut builder = Response::builder().status(parts.status);
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        builder = builder.header(header::CONTENT_TYPE, kind);
    }
    builder.body(Body::new(body)).expect("an answer")
}

/// What a server answers that has trouble of its own.
fn failed() -> Response {
    let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "the disk is full", "reason": "InternalError", "code": 500});
    Response::builder()
        .status(StatusCode::INTERNAL_SERVER_ERROR)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(status.to_string()))
        .expect("an answer")
}

/// An answer that ends before its body does.
fn broken() -> Response {
    let ended = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let body = Body::from_stream(futures::stream::once(std::future::ready(
        Err::<Vec<u8>, _>(ended),
    )));
    Response::builder()
        .status(StatusCode::OK)
        .body(body)
        .expect("an answer")
}

impl Inner {
    async fn passable(&self) {
        let mut cut = self.cut.subscribe();
        cut.wait_for(|cut| !cut).await.expect("the sender lives");
    }

    fn refuses(&self, request: &Request<Body>) -> bool {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let refused = self.refused.lock().expect("no panic");
        let is =
            refused.is_some_and(|refused| refused(number, request.method(), request.uri().path()));
        self.refusals.fetch_add(u64::from(is), Ordering::SeqCst);
        is
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<KubeBody>, kube::Error> {
        let (parts, body) = request.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX)
            .await
            .unwrap_or_default();
        let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str());
        let mut forwarded = Request::builder().method(parts.method).uri(uri);
        for name in [header::ACCEPT, header::CONTENT_TYPE, header::USER_AGENT] {
            if let Some(value) = parts.headers.get(&name) {
                forwarded = forwarded.header(name, value);
            }
        }
        self.client
            .send(
                forwarded
                    .body(KubeBody::from(bytes.to_vec()))
                    .expect("a request"),
            )
            .await
    }

    /// Counts a write. The fault, if it is this write's.
    fn strike(&self) -> Option<Fault> {
        let mut armed = self.armed.lock().expect("no panic");
        let count = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        let (_, fault, killer) = armed.take_if(|(at, ..)| count >= *at)?;
        if fault != Fault::Unanswered {
            self.cut.send_replace(true);
            killer.notify_one();
        }
        self.struck.notify_one();
        Some(fault)
    }
}
