//! `deploy-kind`, `undeploy-kind` and `deploy-to-platform`: the MLflow operator in a cluster of
//! containers on this machine, with what MLflow needs beside it, and on a platform that is there.

mod kind;
mod platform;
mod what;

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};

use crate::operator;
use crate::steps::root;

pub(crate) use kind::{DeployKind, UndeployKind, deploy_kind, undeploy_kind};
pub(crate) use platform::{DeployToPlatform, deploy_to_platform};

/// The folder of the operator's manifests.
const CONFIG: &str = "config/mlflow-operator";
/// An image that only this machine has is loaded into the cluster's node.
const LOCAL: &str = "localhost/";

/// What every deployment is told. Each option is a variable of `make`, too.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Image of the operator
    #[arg(long, env = "IMG")]
    img: Option<String>,
    /// The kubectl of this machine
    #[arg(long, env = "KUBECTL", default_value = "kubectl")]
    kubectl: String,
}

impl Common {
    fn kubectl(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(words);
        command
    }

    fn kustomize(&self, folder: &str) -> Result<Vec<DynamicObject>> {
        operator::kustomize(self.kubectl.as_ref(), &root().join(CONFIG).join(folder))
    }

    /// The operator's manifests with variables of its container, and with an image or their own.
    fn manifests(
        &self,
        folder: &str,
        image: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Result<Vec<DynamicObject>> {
        let mut objects = self.kustomize(folder)?;
        let mut deployments = objects
            .iter_mut()
            .filter(|object| operator::kind(object) == "Deployment");
        let (Some(deployment), None) = (deployments.next(), deployments.next()) else {
            bail!("{CONFIG}/{folder} has not one Deployment");
        };
        edit(deployment, image, environment)
            .with_context(|| format!("the Deployment of {CONFIG}/{folder}"))?;
        Ok(objects)
    }

    /// Applies objects, to a namespace if they name none.
    fn apply(&self, namespace: Option<&str>, objects: &[DynamicObject]) -> Result<()> {
        let mut text = String::new();
        for object in objects {
            writeln!(text, "---\n{}", serde_json::to_string(object)?)?;
        }
        let mut command = self.kubectl(&["apply", "--server-side", "-f", "-"]);
        command.args(namespace.map(|namespace| format!("--namespace={namespace}")));
        let mut child = command
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("running {}", self.kubectl))?;
        if let Some(mut input) = child.stdin.take() {
            std::io::Write::write_all(&mut input, text.as_bytes())?;
        }
        let status = child.wait()?;
        ensure!(status.success(), "`kubectl apply` ended with {status}");
        Ok(())
    }
}

/// Image and environment of a Deployment's first container. An image of this machine is in no
/// registry.
fn edit(
    deployment: &mut DynamicObject,
    image: Option<&str>,
    environment: &[(&str, &str)],
) -> Result<()> {
    let container = container(deployment).context("it has no container")?;
    if let Some(image) = image {
        container.insert("image".to_owned(), image.into());
        if image.starts_with(LOCAL) {
            container.insert("imagePullPolicy".to_owned(), "IfNotPresent".into());
        }
    }
    let entries = container.get_mut("env").and_then(Value::as_array_mut);
    let entries = entries.context("it has no environment")?;
    entries.retain(|entry| {
        let set = entry.get("name").and_then(Value::as_str);
        environment.iter().all(|(name, _)| set != Some(name))
    });
    let added = environment
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}));
    entries.extend(added);
    Ok(())
}

/// The first container of a Deployment's or a Job's pod.
fn container(object: &mut DynamicObject) -> Option<&mut Map<String, Value>> {
    let path = "/spec/template/spec/containers/0";
    object.data.pointer_mut(path)?.as_object_mut()
}

/// Where the operator is deployed, and MLflow with it.
fn namespace(objects: &[DynamicObject]) -> Result<String> {
    let deployment = objects
        .iter()
        .find(|object| operator::kind(object) == "Deployment");
    deployment
        .and_then(|deployment| deployment.metadata.namespace.clone())
        .context("the operator's Deployment has no namespace")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_gets_image_and_variables() {
        let mut deployment: DynamicObject = serde_json::from_value(json!({
            "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": [{
                "image": "old",
                "env": [{"name": "A", "value": "a"}, {"name": "MLFLOW_URL", "value": "old"}],
            }]}}},
        }))
        .unwrap();
        edit(
            &mut deployment,
            Some("localhost/a:b"),
            &[("MLFLOW_URL", "https://new")],
        )
        .unwrap();
        let expected = json!({
            "image": "localhost/a:b",
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "A", "value": "a"}, {"name": "MLFLOW_URL", "value": "https://new"}],
        });
        let container = deployment.data.pointer("/spec/template/spec/containers/0");
        assert_eq!(container, Some(&expected));
    }
}
