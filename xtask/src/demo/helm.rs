//! The chart, installed with Helm as its README says, in a cluster that no operator is in.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use cluster::tools;
use kube::Client;

use super::LIMIT;
use super::table::{Line, rounded};
use crate::steps::root;

/// What a user types in the chart's folder.
const INSTALL: &str = "install mlflow . -n opendatahub --create-namespace";
/// Where that puts the server.
pub(super) const NAMESPACE: &str = "opendatahub";
/// What its Deployment is called.
const SERVER: &str = "mlflow";

/// Installs the chart and waits until its server is ready. Helm is built from its Go module on first
/// use; what it remembers of itself is in `dir`.
pub(super) async fn install(kubeconfig: &Path, dir: &Path) -> Result<Line> {
    let client = Client::try_from(cluster::read_config(kubeconfig).await?)?;
    let helm = tools::helm()?;
    let (kubeconfig, home) = (kubeconfig.to_owned(), dir.join("helm"));
    let started = Instant::now();
    let told = tokio::task::spawn_blocking(move || run(&helm, &kubeconfig, &home)).await??;
    for line in told.lines().filter(|line| !line.is_empty()) {
        eprintln!("  {line}");
    }
    cluster::available(&client, NAMESPACE, SERVER, LIMIT).await?;
    Ok(Line {
        sample: "charts/mlflow",
        kind: "Deployment".to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        name: SERVER.to_owned(),
        available: true,
        url: None,
        seconds: rounded(started.elapsed()),
        message: String::new(),
    })
}

/// What Helm prints.
fn run(helm: &Path, kubeconfig: &Path, home: &Path) -> Result<String> {
    eprintln!("$ cd charts/mlflow && helm {INSTALL}");
    let output = Command::new(helm)
        .args(INSTALL.split_whitespace())
        .current_dir(root().join("charts/mlflow"))
        .env("KUBECONFIG", kubeconfig)
        .env("HOME", home)
        .output()
        .with_context(|| format!("running {}", helm.display()))?;
    ensure!(
        output.status.success(),
        "helm {INSTALL}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
