//! What the API server asks before it stores a resource, and when it needs another version of
//! one. Every replica answers, with the Lease or without.

mod conversion;
mod head;
mod review;
mod server;

use std::{io, net::SocketAddr, sync::Arc};

use kube::Client;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    args::OperatorArgs,
    capabilities::Capabilities,
    metrics::Metrics,
    serve::{self, Health},
    shutdown::Shutdown,
    tls::{ServingCertificate, TlsError, TlsListener},
    tls_profile::{TlsConfig, TlsProfiles},
    webhook_certificates::{self, Clock, Keeping},
};

/// Name of the check in `/readyz`.
const CHECK: &str = "webhooks";

/// What one kind's admission and conversion decide. Pure: everything else is the runtime's.
///
/// It is asked about no object that is being deleted, so that nothing it says can keep a
/// finalizer from being removed.
pub trait Admission: Send + Sync + 'static {
    /// The object as it should be stored: the request's, with what is missing filled in.
    fn defaulted(&self, request: &Request, _around: &Around) -> Result<Value, Refusal> {
        Ok(request.object.clone())
    }

    /// Whether the object may be stored. What is returned are warnings for whoever sent it.
    fn check(&self, request: &Request, around: &Around) -> Result<Vec<String>, Refusal>;

    /// The object in the version with this `apiVersion`.
    ///
    /// # Errors
    /// A sentence for whoever asked for the object.
    fn convert(&self, _object: Value, api_version: &str) -> Result<Value, String> {
        Err(format!("nothing is converted to {api_version} here"))
    }
}

/// An object that somebody wants to have stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// What happens to it.
    pub operation: Operation,
    /// The object, in the version that was sent or that the configuration asks for.
    pub object: Value,
    /// The object before, where there was one.
    pub old: Option<Value>,
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is new.
    Create,
    /// It is changed.
    Update,
}

/// Why an object is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status: 403 for what is not allowed, 400 for what cannot be read.
    pub code: u16,
    /// The sentence.
    pub message: String,
}

impl Refusal {
    /// It is not allowed.
    #[must_use]
    pub fn forbidden(message: String) -> Self {
        Self { code: 403, message }
    }

    /// It cannot be read.
    #[must_use]
    pub fn unreadable(message: String) -> Self {
        Self { code: 400, message }
    }
}

/// What an answer may depend on beside the request.
pub struct Around {
    /// What the cluster offers.
    pub capabilities: Arc<Capabilities>,
    known: Known,
}

/// Says which namespaces have a resource of this name, as far as the watch has shown.
pub type Known = Arc<dyn Fn(&str) -> Vec<String> + Send + Sync>;

impl Around {
    /// What is known at the moment.
    #[must_use]
    pub fn new(capabilities: Arc<Capabilities>, known: Known) -> Self {
        Self {
            capabilities,
            known,
        }
    }

    /// Namespaces that have a resource of this name, as far as the watch has shown: two that are
    /// created at the same moment do not see each other.
    #[must_use]
    pub fn namespaces_with(&self, name: &str) -> Vec<String> {
        (self.known)(name)
    }
}

/// What an operator serves to the API server.
#[derive(Clone)]
pub struct Webhooks {
    /// Paths of defaulting.
    pub mutate: &'static [&'static str],
    /// Paths of validation.
    pub validate: &'static [&'static str],
    /// Path of conversion, where the kind has several versions.
    pub convert: Option<&'static str>,
    /// Who decides.
    pub admission: Arc<dyn Admission>,
    /// Where the certificate is kept, and who must know its authority.
    pub keeping: Keeping,
}

/// What the server needs from the process around it.
pub struct Surroundings {
    /// Connection to the API server.
    pub client: Client,
    /// Namespace of the operator's own pod.
    pub namespace: String,
    /// What the cluster offers, kept up to date.
    pub capabilities: watch::Receiver<Arc<Capabilities>>,
    /// Which resources there are.
    pub known: Known,
    /// By which TLS is served.
    pub profiles: TlsProfiles,
    /// Numbers for Prometheus.
    pub metrics: Metrics,
    /// Told when the certificate is loaded.
    pub health: Health,
    /// When to stop.
    pub shutdown: Shutdown,
    /// The time by which certificates are renewed.
    pub clock: Clock,
}

/// The server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The flag names an address that cannot be listened on.
    #[error("--webhook-bind-address: {0}; free the address, or name another")]
    Bind(#[source] io::Error),
    /// TLS cannot be served.
    #[error("webhooks: {0}")]
    Tls(#[from] TlsError),
}

/// Serves in tasks of their own until shutdown; says where. `None` when the address is `0`.
///
/// The process is ready when a certificate is loaded, which may be later.
pub async fn start(
    webhooks: Webhooks,
    args: &OperatorArgs,
    around: Surroundings,
) -> Result<Option<SocketAddr>, AdmissionError> {
    let bound = args.webhook_bind_address.bind().await;
    let Some(tcp) = bound.map_err(AdmissionError::Bind)? else {
        return Ok(None);
    };
    let address = tcp.local_addr().map_err(AdmissionError::Bind)?;
    around.health.require(CHECK, false);
    let certificate = ServingCertificate::new();
    let config = TlsConfig::new(around.profiles, Arc::clone(&certificate))?;
    let listener = TlsListener::new(tcp, config).map_err(AdmissionError::Bind)?;
    let loaded = {
        let (metrics, health) = (around.metrics, around.health);
        move |certificate: &ServingCertificate| {
            if let Some(expires) = certificate.expires() {
                metrics.certificate_expires(CHECK, expires);
            }
            health.require(CHECK, true);
        }
    };
    webhook_certificates::start(
        certificate,
        args.webhook_cert_dir(),
        webhooks.keeping,
        around.client,
        around.namespace,
        around.clock,
        &around.shutdown,
        loaded,
    );
    let state = server::State {
        admission: Arc::clone(&webhooks.admission),
        capabilities: around.capabilities,
        known: around.known,
    };
    serve::serve(listener, server::router(&webhooks, state), &around.shutdown);
    tracing::info!(%address, "webhooks are served");
    Ok(Some(address))
}
