//! `demo`: from nothing to running resources, in one command.

mod helm;
mod sample;
mod shows;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use cluster::{Platform, tools};
use futures::future::try_join_all;
use kube::Client;

use self::sample::Place;
use self::shows::{NAMESPACE, SHOWS, Show};
use self::table::{Line, table};
use crate::clusters::{self, Name, Provider, Up};
use crate::operator::{Running, build};

/// How long one resource may take to become available.
const LIMIT: Duration = Duration::from_mins(5);

#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct Demo {
    /// Leave what was started up, and print how to use it
    #[arg(long)]
    keep: bool,
    /// Install charts/mlflow with Helm, too, in a second cluster: NAME-helm
    #[arg(long)]
    helm: bool,
    /// The name of the demo's cluster
    #[arg(long, default_value = "demo", value_parser = clusters::parse_name)]
    name: Name,
    /// Print the result as JSON on standard output; progress stays on standard error
    #[arg(long)]
    json: bool,
    /// Build the operators optimised; slower to build, as installed
    #[arg(long)]
    release: bool,
    /// What the cluster is like; `openshift` is a stand-in
    #[arg(long, default_value_t = Platform::Kubernetes)]
    platform: Platform,
    /// Where the cluster comes from
    #[arg(long, value_enum, default_value_t = Provider::Local)]
    provider: Provider,
}

/// Runs the demo; the exit code says whether everything became available.
pub(crate) fn run(options: &Demo) -> Result<ExitCode> {
    let name = &options.name;
    let second = clusters::parse_name(&format!("{name}-helm")).map_err(anyhow::Error::msg);
    let second = options.helm.then_some(second).transpose()?;
    let mut started = vec![name];
    started.extend(&second);
    for name in &started {
        if options.provider == Provider::Local && clusters::is_up(name)? {
            bail!(
                "cluster `{name}` is up, of an earlier demo or of one that runs now: stop it with \
                 `cargo xtask cluster down --name {name}`, or choose another --name"
            );
        }
    }
    let up = Up::new(name.clone(), options.provider, options.platform);
    let mut lines = in_cluster(name, &up, options.keep, async |kubeconfig, dir| {
        show(options.release, kubeconfig, dir).await
    })?;
    if let Some(name) = &second {
        let up = Up::new(name.clone(), Provider::Local, Platform::Kubernetes);
        lines.push(in_cluster(name, &up, options.keep, helm::install)?);
    }
    if options.json {
        println!(
            "{}",
            serde_json::to_string(&serde_json::json!({"resources": lines}))?
        );
    } else {
        print!("{}", table(&lines));
    }
    if options.keep {
        eprintln!();
        for (name, namespace) in started.iter().zip([NAMESPACE, helm::NAMESPACE]) {
            eprintln!(
                "use it:  eval \"$(cargo xtask cluster env --name {name})\"; kubectl get -n {namespace} all"
            );
            eprintln!("stop it: cargo xtask cluster down --name {name}");
        }
    }
    let all = !lines.is_empty() && lines.iter().all(|line| line.available);
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Starts a cluster and works in it. It ends afterwards, and what runs in its directory with it,
/// unless it is to be kept. An existing cluster stays, with what was installed in it.
fn in_cluster<T>(
    name: &Name,
    up: &Up,
    keep: bool,
    work: impl AsyncFnOnce(&Path, &Path) -> Result<T>,
) -> Result<T> {
    let kubeconfig = clusters::up(up)?;
    let dir = clusters::work_dir(name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = work(&kubeconfig, &dir) => outcome,
            _ = tokio::signal::ctrl_c() => bail!("stopped"),
        }
    });
    if !keep {
        clusters::down(name)?;
    }
    outcome
}

/// Installs all operators and shows them side by side.
async fn show(release: bool, kubeconfig: &Path, dir: &Path) -> Result<Vec<Line>> {
    let client = Client::try_from(cluster::read_config(kubeconfig).await?)?;
    let kubectl = tools::ensure()?.kubectl;
    let names: Vec<&str> = SHOWS.iter().map(|show| show.operator.name).collect();
    eprintln!("building {} …", names.join(", "));
    build(&names, release, None)?;
    cluster::apply_yaml(
        &client,
        NAMESPACE,
        &format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"),
    )
    .await?;
    let mut running = Vec::new();
    for Show { operator, .. } in SHOWS {
        eprintln!("installing {} …", operator.name);
        let program = operator.built(release, None);
        running.push(
            operator
                .run(&client, &kubectl, &program, kubeconfig, dir)
                .await?,
        );
    }
    let place = &Place {
        client: &client,
        kubectl: &kubectl,
    };
    let shows = SHOWS.iter().zip(&mut running);
    let shows = shows.map(|(show, running)| show.run(place, running));
    Ok(try_join_all(shows).await?.concat())
}

impl Show {
    async fn run(&self, place: &Place<'_>, running: &mut Running) -> Result<Vec<Line>> {
        let mut before = Vec::new();
        let mut all = Vec::new();
        for sample in self.samples {
            for resource in &before {
                sample::Resource::remove(resource).await?;
            }
            let (resources, lines) = place.show(sample, running).await?;
            before = resources;
            all.extend(lines);
        }
        Ok(all)
    }
}
