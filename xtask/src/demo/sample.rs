//! A sample, from its files to what its resources say.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ResourceExt as _};
use kube::core::GroupVersionKind;
use kube::discovery::pinned_kind;
use serde_json::{Value, json};

use super::LIMIT;
use super::shows::{NAMESPACE, Sample};
use super::table::{Line, rounded};
use crate::operator::{Running, kustomize};
use crate::steps::root;

/// A cluster with operators.
pub(super) struct Place<'a> {
    pub(super) client: &'a Client,
    pub(super) kubectl: &'a Path,
}

/// A resource that an operator answers.
pub(super) struct Resource {
    api: Api<DynamicObject>,
    kind: String,
    name: String,
}

impl Place<'_> {
    /// Applies a sample and waits for each of its resources.
    pub(super) async fn show(
        &self,
        sample: &Sample,
        running: &mut Running,
    ) -> Result<(Vec<Resource>, Vec<Line>)> {
        let started = Instant::now();
        if let Some(name) = sample.certificate {
            self.certify(name, &running.namespace).await?;
        }
        for input in sample.inputs {
            eprintln!("applying {input} …");
            for object in self.objects(&root().join(input))? {
                cluster::apply(self.client, NAMESPACE, &object).await?;
            }
        }
        eprintln!("applying {} …", sample.path);
        let mut resources = Vec::new();
        for object in self.objects(&root().join(sample.path))? {
            let applied = cluster::apply(self.client, NAMESPACE, &object).await?;
            if is_custom(&applied) {
                resources.push(self.resource(&applied).await?);
            }
        }
        if resources.is_empty() {
            bail!("{} has no resource that an operator answers", sample.path);
        }
        let mut lines = Vec::new();
        for resource in &resources {
            lines.push(resource.wait(sample.name(), running, started).await?);
        }
        Ok((resources, lines))
    }

    /// Makes a Secret with a certificate for the MLflow of a namespace, as a user would.
    async fn certify(&self, name: &str, namespace: &str) -> Result<()> {
        let host = format!("mlflow.{namespace}.svc");
        eprintln!("making Secret {name} with a certificate for {host} …");
        let made = rcgen::generate_simple_self_signed([host])?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name},
            "stringData": {"tls.crt": made.cert.pem(), "tls.key": made.signing_key.serialize_pem()},
        });
        cluster::apply(self.client, namespace, &serde_json::from_value(secret)?).await?;
        Ok(())
    }

    /// What a sample consists of.
    fn objects(&self, sample: &Path) -> Result<Vec<DynamicObject>> {
        if sample.is_dir() {
            return kustomize(self.kubectl, sample);
        }
        let text = std::fs::read_to_string(sample).with_context(|| sample.display().to_string())?;
        Ok(cluster::objects(&text)?)
    }

    async fn resource(&self, object: &DynamicObject) -> Result<Resource> {
        let types = object.types.as_ref();
        let gvk = GroupVersionKind::try_from(types.context("an applied object has a type")?)?;
        let (resource, _) = pinned_kind(self.client, &gvk).await?;
        Ok(Resource {
            api: cluster::api_of(self.client, object.namespace().as_deref(), resource),
            kind: gvk.kind,
            name: object.name_any(),
        })
    }
}

impl Resource {
    /// Deletes it and waits until neither it nor what belongs to it exists.
    pub(super) async fn remove(&self) -> Result<()> {
        eprintln!("deleting {} {} …", self.kind, self.name);
        Ok(cluster::remove(&self.api, &self.name, &DeleteParams::foreground(), LIMIT).await?)
    }

    /// Says what its condition says until that is that it is available, or too late.
    async fn wait(
        &self,
        sample: &'static str,
        running: &mut Running,
        started: Instant,
    ) -> Result<Line> {
        let mut said = String::new();
        loop {
            running.check()?;
            let current = self.api.get(&self.name).await?;
            let (available, message) = condition(&current, "Available");
            if message != said && !message.is_empty() {
                eprintln!(
                    "  {:5.1} s  {} {}: {message}",
                    started.elapsed().as_secs_f64(),
                    self.kind,
                    self.name
                );
                said.clone_from(&message);
            }
            if available || started.elapsed() > LIMIT {
                return Ok(Line {
                    sample,
                    kind: self.kind.clone(),
                    namespace: current.namespace(),
                    name: self.name.clone(),
                    available,
                    url: url(&current),
                    seconds: rounded(started.elapsed()),
                    message,
                });
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
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
    let found = cluster::conditions(&object.data).find(|condition| condition["type"] == name);
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

#[cfg(test)]
mod tests {
    use super::*;

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
