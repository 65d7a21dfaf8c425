//! One operator's process: everything around the loop, in the order in which it starts and stops.

mod loops;

use std::{collections::BTreeSet, io, iter, process::ExitCode, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use jiff::Timestamp;
use kube::Client;
use resources::{Kind, kind::API_SERVER};
use tracing::{error, info, warn};

use crate::{
    admission::{self, AdmissionError, Webhooks},
    args::{OperatorArgs, webhooks_enabled},
    client::{self, ClientError},
    component::Component,
    discovery::Discovery,
    engine::{Reach, Surroundings},
    events::Recorder,
    lease::{self, Lease, LeaseSettings},
    logging,
    metrics::Metrics,
    offline::say,
    permissions::Permissions,
    serve::{self, Health},
    shutdown::Shutdown,
    tls_profile::TlsProfiles,
    webhook_certificates::take_back,
};

pub use self::loops::Loop;

use self::loops::Loops;

/// Passes that run when shutdown is requested get this long to finish.
const DRAIN_LIMIT: Duration = Duration::from_secs(8);

/// What an operator's binary says about itself.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Name in the user agent: `model-registry-operator`.
    pub name: &'static str,
    /// Version in the user agent and the metrics.
    pub version: &'static str,
    /// Name of the Lease: that of the Go operator, so that both never work at once.
    pub lease: &'static str,
}

/// What an operator does beside its loop.
#[derive(Default)]
pub struct Beside {
    /// Its other loops, over other kinds of resources.
    pub loops: Vec<Loop>,
    /// What it serves to the API server, on every replica.
    pub webhooks: Option<Webhooks>,
    /// What it does once, while it holds the Lease.
    pub chore: Option<Chore>,
}

impl Beside {
    /// [`Beside::serving`] as the environment says it: `ENABLE_WEBHOOKS`, and `POD_NAMESPACE`.
    #[must_use]
    pub fn installed(webhooks: Webhooks, then: Option<Chore>) -> Self {
        let variable = |name| std::env::var(name).ok();
        let served = webhooks_enabled(variable("ENABLE_WEBHOOKS").as_deref());
        Self::serving(webhooks, served, variable("POD_NAMESPACE"), then)
    }

    /// Webhooks that are `served`, or whose remains in the cluster are taken away; `then` the chore.
    #[must_use]
    pub fn serving(
        webhooks: Webhooks,
        served: bool,
        own_namespace: Option<String>,
        then: Option<Chore>,
    ) -> Self {
        let keeping = webhooks.keeping;
        let first = own_namespace
            .filter(|_| !served)
            .map(|namespace| take_back(keeping, namespace));
        let chore: Chore = Box::new(|client: Client| {
            Box::pin(async move {
                for chore in [first, then].into_iter().flatten() {
                    chore(client.clone()).await;
                }
            })
        });
        Self {
            webhooks: served.then_some(webhooks),
            chore: Some(chore),
            ..Self::default()
        }
    }
}

/// Work for whoever holds the Lease. It ends by itself, and is dropped when the loop ends.
pub type Chore = Box<dyn FnOnce(Client) -> BoxFuture<'static, ()> + Send>;

/// Why an operator ended, other than by request.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no way to the API server.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The process gets no threads, or cannot listen to signals or to an address that a flag names.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Cause.
        source: io::Error,
    },
    /// Metrics of one name were registered twice: a mistake in the code.
    #[error("metrics could not be set up: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Health or metrics cannot be served.
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
    /// Webhooks cannot be served.
    #[error(transparent)]
    Admission(#[from] AdmissionError),
    /// Another replica works now. The process ends, so that two never write at once.
    #[error("the Lease {0} was lost; another replica may hold it, so this process stops")]
    LeaseLost(&'static str),
}

/// What `main` does with an operator that is to run: logs, runs it, and says how the process ends.
pub fn program(args: &OperatorArgs, run: impl FnOnce() -> anyhow::Result<()>) -> ExitCode {
    if let Err(error) = logging::start(args) {
        say("error", error);
        return ExitCode::FAILURE;
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs an operator until a signal asks it to stop.
pub fn main<C: Component>(
    process: Process,
    args: &OperatorArgs,
    component: C,
    beside: Beside,
) -> Result<(), OperatorError> {
    // One thread for passes and one for connections, however many cores the node has.
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| OperatorError::Io {
            what: "starting threads",
            source,
        })?;
    threads.block_on(run(process, args, component, beside))
}

async fn run<C: Component>(
    process: Process,
    args: &OperatorArgs,
    component: C,
    beside: Beside,
) -> Result<(), OperatorError> {
    let shutdown = Shutdown::new();
    shutdown
        .listen_to_signals()
        .map_err(|source| OperatorError::Io {
            what: "listening to signals",
            source,
        })?;
    run_until(process, args, component, beside, shutdown).await
}

/// Runs an operator until `shutdown` is requested.
pub async fn run_until<C: Component>(
    process: Process,
    args: &OperatorArgs,
    component: C,
    beside: Beside,
    shutdown: Shutdown,
) -> Result<(), OperatorError> {
    let metrics = Metrics::new(process.version)?;
    let config = client::config(args.kubeconfig().as_deref()).await?;
    let own_namespace = config.default_namespace.clone();
    let agent = format!("{}/{}", process.name, process.version);
    let client = client::build(config, &agent, metrics.clone())?;

    let namespaces = args.namespaces();
    let loops: Vec<Loop> = iter::once(Loop::of(component))
        .chain(beside.loops)
        .collect();
    let optional: BTreeSet<Kind> = loops
        .iter()
        .flat_map(|one| one.optional.iter().copied())
        .chain([API_SERVER])
        .collect();
    let optional: Vec<Kind> = optional.into_iter().collect();
    let permissions = Arc::new(Permissions::within(&namespaces));
    // First of all: what is known to be forbidden is not tried.
    if let Err(error) = permissions.reload(&client).await {
        warn!(%error, "the operator's own rights are not known; what is forbidden will show when it is tried");
    }
    let discovery = Discovery::start(
        client.clone(),
        &optional,
        Arc::clone(&permissions),
        metrics.clone(),
    )
    .await;
    // The servers wait for it, the loop does not.
    let profiles = TlsProfiles::follow(
        client.clone(),
        discovery.capabilities(),
        Arc::clone(&permissions),
        metrics.clone(),
    );
    let reach = if namespaces.is_empty() {
        Reach::Cluster
    } else {
        Reach::Namespaces(namespaces)
    };
    let running = Loops::start(loops, |reporter| Surroundings {
        events: Recorder::new(client.clone(), reporter, &lease::host_name()),
        client: client.clone(),
        capabilities: discovery.capabilities(),
        permissions: Arc::clone(&permissions),
        metrics: metrics.clone(),
        reach: reach.clone(),
        concurrency: args.max_concurrent_reconciles,
        shutdown: shutdown.clone(),
    });
    let missing = running.missing_rules();
    if !missing.is_empty() {
        warn!(
            rules = missing.join(", "),
            "the operator's service account lacks rules; what needs them is not done"
        );
    }
    let health = Health::default();
    health.report("synced", false);
    let pod_namespace = std::env::var("POD_NAMESPACE").ok();
    let lease_namespace = args.lease_namespace(pod_namespace.as_deref(), &own_namespace);
    if let (Some(webhooks), Some(known)) = (beside.webhooks, running.known()) {
        let around = admission::Surroundings {
            client: client.clone(),
            namespace: pod_namespace.unwrap_or(own_namespace),
            capabilities: discovery.capabilities(),
            known,
            profiles: profiles.clone(),
            metrics: metrics.clone(),
            health: health.clone(),
            shutdown: shutdown.clone(),
            clock: Arc::new(Timestamp::now),
        };
        admission::start(webhooks, args, around).await?;
    }
    serve::start(args, &client, &metrics, &health, profiles, &shutdown).await?;
    let synced = running.synced();
    tokio::spawn(async move {
        synced.await;
        health.report("synced", true);
    });

    let chore = beside.chore.map(|chore| chore(client.clone()));
    if !args.leader_elect {
        lead(running, chore).await;
        return Ok(());
    }
    let settings = LeaseSettings::new(&lease_namespace, process.lease);
    lead_with_lease(
        process,
        settings,
        client,
        metrics,
        lead(running, chore),
        &shutdown,
    )
    .await
}

/// Runs `work` while the Lease is ours.
async fn lead_with_lease(
    process: Process,
    settings: LeaseSettings,
    client: Client,
    metrics: Metrics,
    work: impl Future<Output = ()>,
    shutdown: &Shutdown,
) -> Result<(), OperatorError> {
    let Some(lease) = shutdown
        .interrupt(Lease::acquire(client, settings, metrics))
        .await
    else {
        return Ok(());
    };
    info!(lease = process.lease, "leading");
    let lost = lease.lost();
    tokio::select! {
        () = work => {}
        () = lost => {
            error!(lease = process.lease, "lost");
            return Err(OperatorError::LeaseLost(process.lease));
        }
    }
    if !shutdown.drained(DRAIN_LIMIT).await {
        warn!("passes were still running after {DRAIN_LIMIT:?}");
    }
    lease.release().await;
    info!("stopped");
    Ok(())
}

/// The loops, and the chore beside them, which is dropped where it stands when they end.
async fn lead(running: Loops, chore: Option<BoxFuture<'static, ()>>) {
    let chore = async {
        if let Some(chore) = chore {
            chore.await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = running.lead() => {}
        () = chore => {}
    }
}
