//! `demo`: from nothing to running resources, in one command.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use cluster::{Platform, tools};
use futures::future::try_join_all;
use kube::Client;
use kube::api::{DynamicObject, ResourceExt as _};
use kube::discovery::pinned_kind;
use serde::Serialize;
use serde_json::Value;

use crate::clusters::{self, Name, Provider, Up};
use crate::operator::{Operator, Running, build, kustomize};
use crate::steps::root;

/// What the demo shows: an operator, and samples that must become available. An operator joins
/// with one line.
const SHOWS: &[Show] = &[
    Show {
        operator: operator("model-registry-operator"),
        samples: &["samples/model-registry/postgres-auto"],
    },
    Show {
        operator: operator("trustyai-operator"),
        samples: &["samples/trustyai/pvc"],
    },
    Show {
        operator: operator("mlflow-operator"),
        samples: &["samples/mlflow/mlflow_v1_mlflow_minimal.yaml"],
    },
];

const fn operator(name: &'static str) -> Operator {
    Operator {
        name,
        variant: "default",
        flags: &[
            "--metrics-bind-address=127.0.0.1:0",
            "--health-probe-bind-address=127.0.0.1:0",
        ],
    }
}

/// The namespace of the samples.
const NAMESPACE: &str = "demo";

/// How long one resource may take to become available.
const LIMIT: Duration = Duration::from_mins(5);

struct Show {
    operator: Operator,
    /// Folders for kustomize, or files, from the root of the workspace.
    samples: &'static [&'static str],
}

#[derive(Args)]
pub(crate) struct Demo {
    /// Leave the cluster and the operators up, and print how to use them
    #[arg(long)]
    keep: bool,
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

/// One resource at the end.
#[derive(Clone, Serialize, Debug, PartialEq)]
struct Line {
    kind: String,
    /// Absent for a kind that is in none.
    namespace: Option<String>,
    name: String,
    available: bool,
    url: Option<String>,
    /// From its creation to its answer.
    seconds: f64,
    /// What its condition said last.
    message: String,
}

/// Runs the demo; the exit code says whether everything became available.
pub(crate) fn run(options: &Demo) -> Result<ExitCode> {
    let name = &options.name;
    if options.provider == Provider::Local && clusters::is_up(name)? {
        bail!(
            "cluster `{name}` is up, of an earlier demo or of one that runs now: stop it with \
             `cargo xtask cluster down --name {name}`, or choose another --name"
        );
    }
    let up = Up::new(name.clone(), options.provider, options.platform);
    let kubeconfig = clusters::up(&up)?;
    let dir = clusters::work_dir(name)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = show(options, &kubeconfig, &dir) => outcome,
            _ = tokio::signal::ctrl_c() => bail!("stopped"),
        }
    });
    // The operators end with the cluster's directory. An existing cluster stays, with what was
    // installed in it.
    if !options.keep {
        clusters::down(name)?;
    }
    let lines = outcome?;
    if options.json {
        println!(
            "{}",
            serde_json::to_string(&serde_json::json!({"resources": lines}))?
        );
    } else {
        print!("{}", table(&lines));
    }
    if options.keep {
        eprintln!(
            "\nuse it:  eval \"$(cargo xtask cluster env --name {name})\"; kubectl get -n {NAMESPACE} all"
        );
        eprintln!("stop it: cargo xtask cluster down --name {name}");
    }
    let all = !lines.is_empty() && lines.iter().all(|line| line.available);
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn show(options: &Demo, kubeconfig: &Path, dir: &Path) -> Result<Vec<Line>> {
    let client = Client::try_from(cluster::read_config(kubeconfig).await?)?;
    let kubectl = tools::ensure()?.kubectl;
    let names: Vec<&str> = SHOWS.iter().map(|show| show.operator.name).collect();
    eprintln!("building {} …", names.join(", "));
    build(&names, options.release, None)?;
    cluster::apply_yaml(
        &client,
        NAMESPACE,
        &format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}}}}}"),
    )
    .await?;
    let mut running = Vec::new();
    for Show { operator, .. } in SHOWS {
        let program = operator.built(options.release, None);
        running.push(start(&client, &kubectl, operator, &program, kubeconfig, dir).await?);
    }
    let (client, kubectl) = (&client, &kubectl);
    let shows = SHOWS
        .iter()
        .zip(&mut running)
        .map(|(show, running)| async move {
            let mut lines = Vec::new();
            for sample in show.samples {
                eprintln!("applying {sample} …");
                lines.extend(try_sample(client, kubectl, running, &root().join(sample)).await?);
            }
            anyhow::Ok(lines)
        });
    Ok(try_join_all(shows).await?.concat())
}

/// Installs an operator and starts its program, as its service account.
async fn start(
    client: &Client,
    kubectl: &Path,
    operator: &Operator,
    program: &Path,
    kubeconfig: &Path,
    dir: &Path,
) -> Result<Running> {
    eprintln!("installing {} …", operator.name);
    let deployed = operator.install(client, kubectl).await?;
    let own = dir.join(format!("kubeconfig-{}", operator.name));
    let (namespace, account) = (&deployed.namespace, &deployed.service_account);
    let text =
        cluster::service_account_kubeconfig(client.clone(), kubeconfig, namespace, account).await?;
    std::fs::write(&own, text).with_context(|| own.display().to_string())?;
    let running = operator.start(program, &deployed, &own, dir)?;
    eprintln!(
        "{} runs as system:serviceaccount:{namespace}:{account}, log {}",
        operator.name,
        running.log.display()
    );
    Ok(running)
}

/// Applies a sample and waits for each of its resources that an operator answers.
async fn try_sample(
    client: &Client,
    kubectl: &Path,
    running: &mut Running,
    sample: &Path,
) -> Result<Vec<Line>> {
    let started = Instant::now();
    let mut applied = Vec::new();
    for object in objects(kubectl, sample)? {
        applied.push(cluster::apply(client, NAMESPACE, &object).await?);
    }
    let mut lines = Vec::new();
    for object in applied.iter().filter(|object| is_custom(object)) {
        lines.push(wait(client, running, object, started).await?);
    }
    if lines.is_empty() {
        bail!(
            "{} has no resource that an operator answers",
            sample.display()
        );
    }
    Ok(lines)
}

/// What a sample consists of.
fn objects(kubectl: &Path, sample: &Path) -> Result<Vec<DynamicObject>> {
    if sample.is_dir() {
        return kustomize(kubectl, sample);
    }
    let text = std::fs::read_to_string(sample).with_context(|| sample.display().to_string())?;
    Ok(cluster::objects(&text)?)
}

async fn wait(
    client: &Client,
    running: &mut Running,
    object: &DynamicObject,
    started: Instant,
) -> Result<Line> {
    let types = object
        .types
        .clone()
        .context("an applied object has a type")?;
    let gvk = kube::core::GroupVersionKind::try_from(&types)?;
    let (resource, _) = pinned_kind(client, &gvk).await?;
    let namespace = object.namespace();
    let api = cluster::api_of(client, namespace.as_deref(), resource);
    let mut said = String::new();
    loop {
        running.check()?;
        let current = api.get(&object.name_any()).await?;
        let (available, message) = condition(&current, "Available");
        if message != said && !message.is_empty() {
            eprintln!(
                "  {:5.1} s  {} {}: {message}",
                started.elapsed().as_secs_f64(),
                types.kind,
                object.name_any()
            );
            said.clone_from(&message);
        }
        if available || started.elapsed() > LIMIT {
            return Ok(Line {
                kind: types.kind,
                namespace,
                name: object.name_any(),
                available,
                url: url(&current),
                seconds: (started.elapsed().as_secs_f64() * 10.0).round() / 10.0,
                message,
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The samples themselves are custom resources; Secrets and the like beside them are their input.
fn is_custom(object: &DynamicObject) -> bool {
    let version = object
        .types
        .as_ref()
        .map_or("", |types| types.api_version.as_str());
    version.contains(".opendatahub.io/") || version.contains(".kubeflow.org/")
}

/// Whether a condition is true, and its message.
fn condition(object: &DynamicObject, name: &str) -> (bool, String) {
    let conditions = object
        .data
        .pointer("/status/conditions")
        .and_then(Value::as_array);
    let found = conditions
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == name);
    found.map_or((false, String::new()), |condition| {
        (
            condition["status"] == "True",
            condition["message"].as_str().unwrap_or_default().to_owned(),
        )
    })
}

/// Where a resource is reached, as its status says: from outside, or else from within the cluster.
fn url(object: &DynamicObject) -> Option<String> {
    let at = |pointer| object.data.pointer(pointer).and_then(Value::as_str);
    at("/status/url")
        .or_else(|| at("/status/address/url"))
        .map(str::to_owned)
}

fn table(lines: &[Line]) -> String {
    let mut rows =
        vec![["KIND", "NAME", "NAMESPACE", "AVAILABLE", "URL", "SECONDS"].map(str::to_owned)];
    rows.extend(lines.iter().map(|line| {
        [
            line.kind.clone(),
            line.name.clone(),
            line.namespace.clone().unwrap_or_else(|| "-".to_owned()),
            if line.available {
                "True".to_owned()
            } else {
                format!("False: {}", line.message)
            },
            line.url.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{:.1}", line.seconds),
        ]
    }));
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..6).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up() {
        let line = |name: &str, available: bool| Line {
            kind: "ModelRegistry".to_owned(),
            namespace: available.then(|| "demo".to_owned()),
            name: name.to_owned(),
            available,
            url: available.then(|| "https://a".to_owned()),
            seconds: 2.04,
            message: "no".to_owned(),
        };
        assert_eq!(
            table(&[line("a", true), line("longer", false)]),
            "KIND           NAME    NAMESPACE  AVAILABLE  URL        SECONDS\n\
             ModelRegistry  a       demo       True       https://a  2.0\n\
             ModelRegistry  longer  -          False: no  -          2.0\n"
        );
    }

    #[test]
    fn a_condition_is_read_by_its_type() {
        let object: DynamicObject = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "a"},
            "status": {"url": "https://public", "conditions": [
                {"type": "Progressing", "status": "True", "message": "p"},
                {"type": "Available", "status": "True", "message": "m"},
            ]},
        }))
        .unwrap();
        assert_eq!(condition(&object, "Available"), (true, "m".to_owned()));
        assert_eq!(condition(&object, "Ready"), (false, String::new()));
        assert_eq!(url(&object).as_deref(), Some("https://public"));
        let within = serde_json::json!({"metadata": {"name": "a"},
            "status": {"url": null, "address": {"url": "https://a.b.svc"}}});
        let within = serde_json::from_value(within).unwrap();
        assert_eq!(url(&within).as_deref(), Some("https://a.b.svc"));
    }
}
