//! The connection to the API server: who we are, how long we wait, and what we count.

use std::{
    future::Future,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, header::USER_AGENT};
use http_body::{Body as HttpBody, Frame};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ConfigExt},
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::time::{Instant, Sleep};
use tower::{BoxError, Service, ServiceBuilder};

use crate::metrics::Metrics;

/// A connection is there within this time, or the server counts as unreachable.
const CONNECT: Duration = Duration::from_secs(5);
/// A request other than a watch is answered within this time, body included.
const ANSWER: Duration = Duration::from_secs(10);
/// A watch has begun within this time. How long it may then be silent is the watcher's matter.
const WATCH_BEGINS: Duration = Duration::from_secs(30);
/// A silent connection is probed after this time, so that a watch on a dead peer ends.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// Distance of probes that stay unanswered; three of them end the connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// What was sent is acknowledged within this time, or the connection ends.
const UNACKNOWLEDGED: Duration = Duration::from_secs(20);
/// An unused connection is closed after this time, and its memory is free.
const IDLE: Duration = Duration::from_secs(30);

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// `--kubeconfig` names a file that cannot be used.
    #[error("--kubeconfig {path}: {source}; name a kubeconfig file that this process can read")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong.
        source: Box<kube::config::KubeconfigError>,
    },
    /// There is neither a kubeconfig nor a service account.
    #[error(
        "no cluster: {0}; set --kubeconfig or KUBECONFIG, or run in a pod with a service account"
    )]
    NoCluster(#[source] Box<kube::config::InferConfigError>),
    /// Certificates or credentials cannot be used.
    #[error("the cluster's certificates or credentials cannot be used: {0}")]
    Credentials(#[source] Box<kube::Error>),
}

/// Where the cluster is and who we are there: `--kubeconfig`, else KUBECONFIG or
/// `~/.kube/config`, else the pod's service account.
pub async fn config(kubeconfig: Option<&Path>) -> Result<Config, ClientError> {
    let Some(path) = kubeconfig else {
        return Config::infer()
            .await
            .map_err(|error| ClientError::NoCluster(Box::new(error)));
    };
    let failed = |source| ClientError::Kubeconfig {
        path: path.display().to_string(),
        source: Box::new(source),
    };
    let file = Kubeconfig::read_from(path).map_err(failed)?;
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .map_err(failed)
}

/// A client with timeouts, dead-peer detection and numbers. `agent` is `NAME/VERSION`.
pub fn build(mut config: Config, agent: &str, metrics: Metrics) -> Result<Client, ClientError> {
    crypto::install();
    let credentials = |error| ClientError::Credentials(Box::new(error));
    if let Ok(agent) = HeaderValue::from_str(agent) {
        config.headers.push((USER_AGENT, agent));
    }
    let host = config
        .cluster_url
        .authority()
        .map(ToString::to_string)
        .unwrap_or_default();

    if config.proxy_url.is_some() {
        // It may come from a variable that is meant for other connections, so it is no error.
        tracing::warn!(
            host,
            "proxy-url of the kubeconfig, or HTTPS_PROXY, is not used: the API server is connected to directly"
        );
    }

    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
    tcp.set_keepalive_retries(Some(3));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let https = config
        .rustls_https_connector_with_connector(tcp)
        .map_err(credentials)?;
    let hyper: HyperClient<_, Body> = HyperClient::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(https);

    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(credentials)?)
        .layer(config.extra_headers_layer().map_err(credentials)?)
        .map_err(BoxError::from)
        .service(hyper);
    let observed = Observed {
        inner: service,
        host: host.into(),
        metrics,
    };
    Ok(Client::new(observed, config.default_namespace))
}

/// What a request does, in the words of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verb {
    /// Reads one object, or something that is not an object.
    Get,
    /// Reads a collection.
    List,
    /// Follows a collection.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH, server-side apply among them.
    Patch,
    /// Deletes one object.
    Delete,
    /// Deletes a collection.
    DeleteCollection,
}

impl Verb {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// The verb of a request, as the API server classifies it.
    #[must_use]
    pub fn of<B>(request: &Request<B>) -> Self {
        let single = names_an_object(request.uri().path());
        let method = request.method();
        if method == Method::POST {
            Self::Create
        } else if method == Method::PUT {
            Self::Update
        } else if method == Method::PATCH {
            Self::Patch
        } else if method == Method::DELETE {
            if single {
                Self::Delete
            } else {
                Self::DeleteCollection
            }
        } else if watches(request.uri().query().unwrap_or_default()) {
            Self::Watch
        } else if single {
            Self::Get
        } else {
            Self::List
        }
    }
}

fn watches(query: &str) -> bool {
    query
        .split('&')
        .any(|pair| matches!(pair, "watch=true" | "watch=1"))
}

/// Whether a path is that of one object (or of no collection at all, as `/version`).
fn names_an_object(path: &str) -> bool {
    let segments: Vec<&str> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let (["api", _, in_version @ ..] | ["apis", _, _, in_version @ ..]) = segments.as_slice()
    else {
        return true;
    };
    match in_version {
        [] | ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => true,
        ["namespaces", _, collection @ ..] | collection => collection.len() != 1,
    }
}

/// The service that waits and counts.
struct Observed<S> {
    inner: S,
    host: Arc<str>,
    metrics: Metrics,
}

impl<S, B> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = Response<Limited<B>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let verb = Verb::of(&request);
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let (host, metrics) = (Arc::clone(&self.host), self.metrics.clone());
        let limit = if verb == Verb::Watch {
            WATCH_BEGINS
        } else {
            ANSWER
        };
        let deadline = Instant::now() + limit;
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = match tokio::time::timeout_at(deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => Err(late(limit, &format!("{method} {path}"))),
            };
            let code = answer
                .as_ref()
                .ok()
                .map(|response| response.status().as_u16());
            metrics.requested(verb.as_str(), method.as_str(), &host, code);
            Ok(answer?.map(|body| Limited {
                body,
                deadline: (verb != Verb::Watch)
                    .then(|| (Box::pin(tokio::time::sleep_until(deadline)), limit)),
            }))
        })
    }
}

fn late(limit: Duration, what: &str) -> BoxError {
    format!(
        "no complete answer from the API server within {} s: {what}",
        limit.as_secs()
    )
    .into()
}

/// A body that must be complete at a point in time, if it has one.
struct Limited<B> {
    body: B,
    deadline: Option<(Pin<Box<Sleep>>, Duration)>,
}

impl<B> HttpBody for Limited<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let Some((sleep, limit)) = &mut self.deadline else {
            return Poll::Pending;
        };
        let limit = *limit;
        sleep
            .as_mut()
            .poll(context)
            .map(|()| Some(Err(late(limit, "the body stopped"))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::stream;
    use kube::{Api, api::ListParams};
    use std::convert::Infallible;

    fn verb(method: &str, uri: &str) -> &'static str {
        Verb::of(&Request::builder().method(method).uri(uri).body(()).unwrap()).as_str()
    }

    #[test]
    fn verbs_are_those_of_the_api_server() {
        for (method, uri, expected) in [
            ("GET", "/api/v1/namespaces", "list"),
            ("GET", "/api/v1/namespaces/a", "get"),
            ("PATCH", "/api/v1/namespaces/a/status", "patch"),
            ("GET", "/api/v1/namespaces/a/status", "get"),
            ("GET", "/api/v1/namespaces/a/pods", "list"),
            (
                "GET",
                "/api/v1/namespaces/a/pods?limit=5&watch=true",
                "watch",
            ),
            ("GET", "/api/v1/namespaces/a/pods?watch=false", "list"),
            ("GET", "/api/v1/namespaces/a/pods/b", "get"),
            ("GET", "/api/v1/namespaces/a/pods/b/log", "get"),
            ("GET", "/apis/apps/v1/deployments", "list"),
            ("GET", "/apis/apps/v1", "get"),
            ("GET", "/apis", "get"),
            ("GET", "/version", "get"),
            ("POST", "/apis/apps/v1/namespaces/a/deployments", "create"),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/b",
                "update",
            ),
            (
                "DELETE",
                "/apis/apps/v1/namespaces/a/deployments/b",
                "delete",
            ),
            (
                "DELETE",
                "/apis/apps/v1/namespaces/a/deployments",
                "deletecollection",
            ),
        ] {
            assert_eq!(verb(method, uri), expected, "{method} {uri}");
        }
    }

    /// A client whose server is a function.
    fn client<F, A, B>(metrics: &Metrics, answer: F) -> Client
    where
        F: Fn(Request<Body>) -> A + Clone + Send + 'static,
        A: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
        B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let inner = ServiceBuilder::new()
            .map_err(|never: Infallible| match never {})
            .service(tower::service_fn(answer));
        let observed = Observed {
            inner,
            host: "h:1".into(),
            metrics: metrics.clone(),
        };
        Client::new(observed, "default")
    }

    fn pods(client: Client) -> Api<k8s_openapi::api::core::v1::Pod> {
        Api::namespaced(client, "a")
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_ends_a_request() {
        let metrics = Metrics::new("1").unwrap();
        let client = client(&metrics, |_| {
            std::future::pending::<Result<Response<Body>, _>>()
        });
        let began = Instant::now();
        let error = pods(client).list(&ListParams::default()).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("within 10 s: GET /api/v1/namespaces/a/pods"),
            "{error}"
        );
        assert_eq!(began.elapsed().as_secs(), 10);
        let page = metrics.render().unwrap();
        assert!(
            page.contains(r#"operator_api_requests_total{code="error",verb="list"} 1"#),
            "{page}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_ends_a_request_but_not_a_watch() {
        let metrics = Metrics::new("1").unwrap();
        let client = client(&metrics, |_| async {
            let silent =
                axum::body::Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
            Ok(Response::new(silent))
        });
        let began = Instant::now();
        let one = pods(client.clone());
        let answer = tokio::time::timeout(Duration::from_mins(1), one.get("b")).await;
        assert!(answer.expect("the request ends by itself").is_err());
        assert_eq!(began.elapsed().as_secs(), 10);
        let mut watch = Box::pin(
            pods(client)
                .watch(&kube::api::WatchParams::default(), "0")
                .await
                .unwrap(),
        );
        let next = futures::StreamExt::next(&mut watch);
        assert!(
            tokio::time::timeout(Duration::from_hours(1), next)
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn a_kubeconfig_that_is_not_there_is_named_with_its_flag() {
        let error = config(Some(Path::new("/nowhere/config")))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("--kubeconfig /nowhere/config: "),
            "{error}"
        );
    }
}
