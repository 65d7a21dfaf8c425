//! An MLflow in a cluster of kind, from nothing, and the end of it.

use std::process::Command;

use anyhow::{Context as _, Result};
use clap::Args;
use kube::api::DynamicObject;

use super::what::What;
use super::{Common, LOCAL, container, namespace};
use crate::operator::kind;
use crate::steps::{root, run};

const LOCAL_IMAGE: &str = "localhost/mlflow-operator:latest";
/// The operator's Deployment.
const DEPLOYMENT: &str = "mlflow-operator-controller-manager";

#[derive(Args, Debug)]
pub(crate) struct DeployKind {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    what: What,
    /// Name of the cluster of kind, which is made if it is not there
    #[arg(long, env = "KIND_CLUSTER", default_value = "mlflow")]
    cluster: String,
    /// Docker, or what stands for it
    #[arg(long, env = "CONTAINER_TOOL", default_value = "docker")]
    container_tool: String,
    /// Use the cluster of the current context: no cluster is made, no image built or loaded
    #[arg(long)]
    existing: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UndeployKind {
    /// Name of the cluster of kind
    #[arg(long, env = "KIND_CLUSTER", default_value = "mlflow")]
    cluster: String,
}

/// From nothing to an MLflow that is available, in a cluster of kind.
pub(crate) fn deploy_kind(options: &DeployKind) -> Result<()> {
    options.what.check()?;
    let common = &options.common;
    if !options.existing {
        cluster(options)?;
    }
    eprintln!("installing the operator …");
    let objects = common.manifests("default", Some(options.img()), &[])?;
    let namespace = namespace(&objects)?;
    common.apply(None, &objects)?;
    let rollout = ["rollout", "status", "--timeout=5m", "-n", &namespace];
    run(common
        .kubectl(&rollout)
        .arg(format!("deployment/{DEPLOYMENT}")))?;
    for folder in options.what.servers() {
        eprintln!("installing {folder} …");
        let mut objects = common.kustomize(&format!("kind/{folder}"))?;
        if let Some(image) = &options.what.mlflow_image {
            jobs_use(&mut objects, image);
        }
        // A Job's image cannot be changed, and a Job that has run runs again only when made again.
        let gone = [
            "delete",
            "job/make-bucket",
            "--ignore-not-found",
            "-n",
            &namespace,
        ];
        run(&mut common.kubectl(&gone))?;
        common.apply(Some(&namespace), &objects)?;
        let wait = [
            "wait",
            "--for=condition=Available",
            "--timeout=5m",
            "-n",
            &namespace,
        ];
        for object in objects.iter().filter(|object| kind(object) == "Deployment") {
            let name = object.metadata.name.as_deref().unwrap_or_default();
            run(common.kubectl(&wait).arg(format!("deployment/{name}")))?;
        }
    }
    eprintln!("applying the MLflow …");
    let resource: DynamicObject = serde_json::from_value(options.what.resource())?;
    common.apply(None, &[resource])?;
    let wait = [
        "wait",
        "mlflow/mlflow",
        "--for=condition=Available",
        "--timeout=10m",
    ];
    run(&mut common.kubectl(&wait))?;
    eprintln!(
        "MLflow is available. To reach it: kubectl port-forward -n {namespace} service/mlflow 8443, \
         then https://localhost:8443/mlflow"
    );
    Ok(())
}

/// Removes the cluster, and all that is in it.
pub(crate) fn undeploy_kind(options: &UndeployKind) -> Result<()> {
    run(Command::new("kind").args(["delete", "cluster", "--name", &options.cluster]))
}

/// Makes the cluster, and the image if it is this machine's.
fn cluster(options: &DeployKind) -> Result<()> {
    let (name, img) = (&options.cluster, options.img());
    let listed = Command::new("kind").args(["get", "clusters"]).output();
    let listed = listed.context("running kind, which docs/kind-deployment.md says how to get")?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    if !listed.lines().any(|line| line == name) {
        run(Command::new("kind").args(["create", "cluster", "--name", name]))?;
    }
    let context = format!("kind-{name}");
    run(&mut options.common.kubectl(&["config", "use-context", &context]))?;
    if !img.starts_with(LOCAL) {
        return Ok(());
    }
    let program = "PROGRAM=mlflow-operator";
    let build = ["build", "--build-arg", program, "-t", img, "."];
    run(Command::new(&options.container_tool)
        .args(build)
        .current_dir(root()))?;
    run(Command::new("kind").args(["load", "docker-image", img, "--name", name]))
}

impl DeployKind {
    fn img(&self) -> &str {
        self.common.img.as_deref().unwrap_or(LOCAL_IMAGE)
    }
}

/// The image of the Jobs among the objects.
fn jobs_use(objects: &mut [DynamicObject], image: &str) {
    for object in objects.iter_mut().filter(|object| kind(object) == "Job") {
        if let Some(container) = container(object) {
            container.insert("image".to_owned(), image.into());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod tests {
    use super::super::CONFIG;
    use crate::steps::root;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_beside_it_starts() {
        let cluster = cluster::shared(cluster::Platform::Kubernetes).unwrap();
        let namespace = cluster.namespace("kind").await.unwrap();
        for folder in ["postgres", "s3"] {
            let folder = root().join(CONFIG).join("kind").join(folder);
            let folder = folder.to_str().unwrap();
            let apply = ["apply", "--server-side", "-n", &namespace, "-k", folder];
            cluster.kubectl(&apply).await.unwrap();
        }
        for (name, condition) in [
            ("deployment/postgres", "Available"),
            ("deployment/seaweedfs", "Available"),
            ("job/make-bucket", "Complete"),
        ] {
            let condition = format!("--for=condition={condition}");
            let wait = ["wait", "-n", &namespace, name, &condition, "--timeout=180s"];
            cluster.kubectl(&wait).await.unwrap();
        }
    }
}
