//! `/healthz`, `/readyz` and `/metrics`.
//!
//! Health is plain HTTP for the kubelet. Metrics are HTTPS for those whom the cluster allows to
//! `get /metrics`, on an address of their own.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use axum::{
    Router,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use http::{HeaderMap, StatusCode, header};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use sha2::{Digest, Sha256};
use tokio::{sync::Semaphore, task::JoinHandle, time::Instant};

use crate::{
    args::OperatorArgs,
    metrics::Metrics,
    shutdown::Shutdown,
    tls::{ServingCertificate, TlsError, TlsListener},
    tls_profile::{TlsConfig, TlsProfiles},
};

/// How long an answer of the cluster about a token counts: a scrape each 30 s asks every
/// second time.
const ALLOWED: Duration = Duration::from_mins(1);
/// How long a refusal counts.
const REFUSED: Duration = Duration::from_secs(10);
/// Tokens that are remembered. Beyond it all are forgotten: only an attack comes that far.
const REMEMBERED: usize = 256;
/// Reviews at once, so that strangers cannot make us flood the API server.
const REVIEWS: usize = 4;
/// Longer tokens are refused unseen.
const TOKEN_LIMIT: usize = 16 * 1024;

/// A server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A flag names an address that cannot be listened on.
    #[error("--{flag}: {source}; free the address, or name another")]
    Bind {
        /// The flag without dashes.
        flag: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The certificate of /metrics cannot be used.
    #[error(
        "--metrics-cert-dir: {0}; name a directory with a certificate and its key, or leave it out for a self-signed one"
    )]
    Certificate(#[from] TlsError),
}

/// What is ready, and what is known. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    checks: Arc<RwLock<BTreeMap<String, Check>>>,
}

#[derive(Clone, Copy, Debug)]
struct Check {
    ok: bool,
    required: bool,
}

impl Health {
    /// The process is ready only while this check is ok: a serving certificate that is loaded.
    pub fn require(&self, check: &str, ok: bool) {
        self.set(check, Check { ok, required: true });
    }

    /// Shown by `/readyz?verbose` and nowhere else: whether a kind's objects are all known,
    /// whether the Lease is ours.
    pub fn report(&self, check: &str, ok: bool) {
        self.set(
            check,
            Check {
                ok,
                required: false,
            },
        );
    }

    fn set(&self, name: &str, check: Check) {
        self.checks
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.to_owned(), check);
    }

    /// Whether every required check is ok.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .all(|check| check.ok || !check.required)
    }

    /// One line per check, as the API server's own `/readyz?verbose`.
    fn verbose(&self) -> String {
        let mut page = String::from("[+]ping ok\n");
        for (name, check) in self
            .checks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let (sign, word) = match (check.ok, check.required) {
                (true, _) => ('+', "ok"),
                (false, true) => ('-', "failed"),
                (false, false) => (' ', "not yet"),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(page, "[{sign}]{name} {word}");
        }
        page
    }
}

/// Listens on the health and metrics addresses of `args` and serves until `shutdown`.
pub async fn start(
    args: &OperatorArgs,
    client: &Client,
    metrics: &Metrics,
    health: &Health,
    profiles: TlsProfiles,
    shutdown: &Shutdown,
) -> Result<(), ServeError> {
    let bind = |flag| move |source| ServeError::Bind { flag, source };
    let probes = args.health_probe_bind_address.bind().await;
    if let Some(tcp) = probes.map_err(bind("health-probe-bind-address"))? {
        serve(tcp, health_router(health.clone()), shutdown);
    }
    let scrapes = args.metrics_bind_address.bind().await;
    let Some(tcp) = scrapes.map_err(bind("metrics-bind-address"))? else {
        return Ok(());
    };
    // In the words of the Go operators, which scripts wait for.
    tracing::info!(secure = args.metrics_secure, "Serving metrics server");
    if !args.metrics_secure {
        serve(tcp, metrics_router(metrics.clone(), None), shutdown);
        return Ok(());
    }
    let certificate = ServingCertificate::new();
    let loaded = {
        let metrics = metrics.clone();
        move |certificate: &ServingCertificate| {
            if let Some(expires) = certificate.expires() {
                metrics.certificate_expires("metrics", expires);
            }
        }
    };
    if let Some((chain, key)) = args.metrics_certificate() {
        // The task follows the files as long as the process runs.
        let _following = certificate.follow_files(chain, key, loaded)?;
    } else {
        certificate.set_self_signed(&["localhost"])?;
        loaded(&certificate);
    }
    let config = TlsConfig::new(profiles, certificate)?;
    let tls = TlsListener::new(tcp, config).map_err(bind("metrics-bind-address"))?;
    serve(
        tls,
        metrics_router(metrics.clone(), Some(Guard::new(client.clone()))),
        shutdown,
    );
    Ok(())
}

/// Serves in a task of its own until `shutdown`.
pub fn serve<L>(listener: L, router: Router, shutdown: &Shutdown) -> JoinHandle<()>
where
    L: Listener,
    L::Addr: std::fmt::Debug,
{
    let stop = shutdown.requested();
    tokio::spawn(async move {
        // axum's accept loop never ends with an error.
        let _ = axum::serve(listener, router)
            .with_graceful_shutdown(stop)
            .await;
    })
}

/// `/healthz` says that the process runs, `/readyz` that it can do its work.
pub fn health_router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn ready(State(health): State<Health>, RawQuery(query): RawQuery) -> Response {
    let verbose = query.as_deref().is_some_and(|query| {
        query
            .split('&')
            .any(|word| word.split('=').next() == Some("verbose"))
    });
    let (code, word) = if health.is_ready() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    if verbose {
        (code, format!("{}{word}\n", health.verbose())).into_response()
    } else {
        (code, word).into_response()
    }
}

/// `/metrics`, for anybody or for those whom the guard lets in.
pub fn metrics_router(metrics: Metrics, guard: Option<Guard>) -> Router {
    Router::new()
        .route("/metrics", get(scrape))
        .with_state(Scrape { metrics, guard })
}

#[derive(Clone)]
struct Scrape {
    metrics: Metrics,
    guard: Option<Guard>,
}

async fn scrape(State(scrape): State<Scrape>, headers: HeaderMap) -> Response {
    if let Some(guard) = &scrape.guard
        && let Err(refusal) = guard.admit(&headers).await
    {
        return refusal.into_response();
    }
    match scrape.metrics.render() {
        Ok(page) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Asks the cluster who a bearer token is and whether they may `get /metrics`.
#[derive(Clone)]
pub struct Guard {
    client: Client,
    known: Arc<Mutex<Known>>,
    reviews: Arc<Semaphore>,
}

/// Verdicts by the hash of the token, and until when they count.
type Known = HashMap<[u8; 32], (Verdict, Instant)>;

/// What the cluster says about a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Unknown,
    Forbidden,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// No token, or one that the cluster does not know.
    Unauthorized,
    /// The user lacks `get` on `/metrics`.
    Forbidden,
    /// The cluster did not answer.
    Unavailable,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::Unauthorized => (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, "Bearer")],
                "send a bearer token of this cluster\n",
            )
                .into_response(),
            Self::Forbidden => (
                StatusCode::FORBIDDEN,
                "bind a ClusterRole with nonResourceURLs [/metrics] and verbs [get] to this user\n",
            )
                .into_response(),
            Self::Unavailable => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the cluster could not be asked about this token\n",
            )
                .into_response(),
        }
    }
}

impl Guard {
    /// A guard that asks with this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            known: Arc::default(),
            reviews: Arc::new(Semaphore::new(REVIEWS)),
        }
    }

    async fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = bearer(headers).ok_or(Refusal::Unauthorized)?;
        let key: [u8; 32] = Sha256::digest(token).into();
        let verdict = match self.remembered(&key) {
            Some(verdict) => verdict,
            None => self.ask(token, key).await?,
        };
        match verdict {
            Verdict::Allowed => Ok(()),
            Verdict::Unknown => Err(Refusal::Unauthorized),
            Verdict::Forbidden => Err(Refusal::Forbidden),
        }
    }

    fn remembered(&self, key: &[u8; 32]) -> Option<Verdict> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(key)
            .filter(|(_, until)| *until > Instant::now())
            .map(|(verdict, _)| *verdict)
    }

    async fn ask(&self, token: &str, key: [u8; 32]) -> Result<Verdict, Refusal> {
        let _slot = self
            .reviews
            .acquire()
            .await
            .map_err(|_| Refusal::Unavailable)?;
        // Somebody else may have asked about it while we waited.
        if let Some(verdict) = self.remembered(&key) {
            return Ok(verdict);
        }
        let verdict = self.review(token).await.map_err(|error| {
            tracing::warn!(%error, "a metrics client could not be checked");
            Refusal::Unavailable
        })?;
        let life = if verdict == Verdict::Allowed {
            ALLOWED
        } else {
            REFUSED
        };
        let now = Instant::now();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (_, until)| *until > now);
            if known.len() >= REMEMBERED {
                known.clear();
            }
        }
        known.insert(key, (verdict, now + life));
        Ok(verdict)
    }

    async fn review(&self, token: &str) -> kube::Result<Verdict> {
        let reviews: Api<TokenReview> = Api::all(self.client.clone());
        let question = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let answer = reviews.create(&PostParams::default(), &question).await?;
        let status = answer.status.unwrap_or_default();
        let Some(user) = status.user.filter(|_| status.authenticated == Some(true)) else {
            return Ok(Verdict::Unknown);
        };
        let reviews: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = reviews
            .create(&PostParams::default(), &may_scrape(user))
            .await?;
        let allowed = answer.status.is_some_and(|status| status.allowed);
        Ok(if allowed {
            Verdict::Allowed
        } else {
            Verdict::Forbidden
        })
    }
}

fn may_scrape(user: UserInfo) -> SubjectAccessReview {
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username,
            groups: user.groups,
            uid: user.uid,
            extra: user.extra,
            non_resource_attributes: Some(NonResourceAttributes {
                path: Some("/metrics".to_owned()),
                verb: Some("get".to_owned()),
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= TOKEN_LIMIT)
        .then_some(token)
}

#[cfg(test)]
mod tests;
