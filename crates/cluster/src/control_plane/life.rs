//! The life of a cluster: its servers start, and what is missing of a real one is played.

use std::time::{Duration, Instant};

use futures::FutureExt as _;
use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::{Api, Client, Config};
use tokio::sync::oneshot;

use super::layout::{Layout, controller_manager, kwok, scheduler};
use super::{Options, Platform};
use crate::process::Guardian;
use crate::tools::Tools;
use crate::{Error, access, kubeconfig, sim, standin};

const BASE: &str = include_str!("../../assets/base.yaml");

/// How long a start may take; on an idle machine it takes 3 s.
const START_LIMIT: Duration = Duration::from_secs(90);

pub(super) type Started = Result<(Guardian, Config), Error>;

/// The life of the cluster's thread: start everything, say so, play the missing parts until told to
/// stop.
pub(super) fn background(
    layout: &Layout,
    tools: &Tools,
    options: &Options,
    ready: &std::sync::mpsc::Sender<Started>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(Error::io("starting a runtime")(error)));
            return;
        }
    };
    runtime.block_on(async {
        let outcome = bring_up(layout, tools, options).await;
        let failed = outcome.is_err();
        let _ = ready.send(outcome);
        if failed {
            return;
        }
        match kubeconfig::read_config(&layout.dir.join("simulation.kubeconfig"))
            .await
            .map(Client::try_from)
        {
            Ok(Ok(client)) => {
                let stand_in = match options.platform {
                    Platform::Kubernetes => futures::future::pending().boxed_local(),
                    Platform::OpenShift => {
                        standin::run(client.clone(), &layout.authority).boxed_local()
                    }
                };
                tokio::select! {
                    () = sim::run(client) => {}
                    () = stand_in => {}
                    _ = stopped => {}
                }
            }
            other => tracing::error!(error = ?other.err(), "the simulation has no client"),
        }
    });
}

async fn bring_up(layout: &Layout, tools: &Tools, options: &Options) -> Started {
    let dir = layout.dir.as_path();
    let mut servers = Guardian::start(dir)?;
    servers.spawn(&tools.etcd, dir, &layout.etcd())?;
    servers.spawn(&tools.apiserver, dir, &layout.apiserver(options.platform))?;
    let config = layout.config().await?;
    let client = Client::try_from(config.clone()).map_err(Error::api("making a client"))?;
    until_ready(&mut servers, &client, START_LIMIT).await?;
    // Before the controllers, so that the garbage collector finds these kinds when it starts.
    if options.platform == Platform::OpenShift {
        standin::install(&client).await?;
    }
    access::apply_yaml(&client, "default", &options.manifests).await?;
    servers.spawn(&tools.controller_manager, dir, &controller_manager())?;
    servers.spawn(&tools.scheduler, dir, &scheduler())?;
    servers.spawn(&tools.kwok, dir, &kwok())?;
    access::apply_yaml(&client, "default", BASE).await?;
    access::eventually(
        "a ready node and the default service account",
        START_LIMIT,
        || async {
            let nodes = Api::<Node>::all(client.clone());
            let node = nodes
                .get("simulated-0")
                .await
                .map_err(|error| error.to_string())?;
            let conditions = node
                .status
                .and_then(|status| status.conditions)
                .unwrap_or_default();
            if !conditions
                .iter()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True")
            {
                return Err("the node is not ready".to_owned());
            }
            if let Some(taints) = node.spec.and_then(|spec| spec.taints) {
                return Err(format!("the node has taints: {taints:?}"));
            }
            let accounts = Api::<ServiceAccount>::namespaced(client.clone(), "default");
            accounts
                .get("default")
                .await
                .map_err(|error| error.to_string())
        },
    )
    .await?;
    servers.check()?;
    Ok((servers, config))
}

/// Waits for the API server's own word that it is ready.
async fn until_ready(
    servers: &mut Guardian,
    client: &Client,
    limit: Duration,
) -> Result<(), Error> {
    let started = Instant::now();
    loop {
        servers.check()?;
        let request = http::Request::get("/readyz")
            .body(Vec::new())
            .unwrap_or_default();
        match client.request_text(request).await {
            Ok(_) => return Ok(()),
            Err(error) if started.elapsed() > limit => {
                let problem = format!("was not ready within {} s ({error})", limit.as_secs());
                return Err(servers
                    .blame("kube-apiserver", &problem)
                    .unwrap_or(Error::Timeout {
                        what: "the API server".to_owned(),
                        seconds: limit.as_secs(),
                        last: String::new(),
                    }));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}
