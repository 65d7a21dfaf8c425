//! Runs the steps of a test against a cluster.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, ResourceExt as _};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde_json::Value;

use super::case::{Case, Document, Step};
use super::subset::difference;

/// How often a step looks again.
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a test in a namespace of its own: that of documents which name none.
pub(super) async fn run(client: &Client, case: &Case) -> Result<()> {
    let namespace = cluster::create_namespace(client, &case.name).await?;
    let place = Place {
        client,
        namespace: &namespace,
    };
    for (number, step) in &case.steps {
        place
            .step(step)
            .await
            .with_context(|| format!("test {}, step {number:02}", case.name))?;
    }
    Ok(())
}

struct Place<'a> {
    client: &'a Client,
    namespace: &'a str,
}

impl Place<'_> {
    async fn step(&self, step: &Step) -> Result<()> {
        let ends = Instant::now() + step.timeout;
        for document in &step.delete {
            self.delete(document, ends).await?;
        }
        for document in &step.apply {
            let applied = cluster::apply(self.client, self.namespace, &document.object).await;
            applied.with_context(|| shown(&document.file))?;
        }
        let seconds = step.timeout.as_secs();
        // All of them hold at once.
        loop {
            let Some(wrong) = self.wrong(step).await? else {
                return Ok(());
            };
            if Instant::now() >= ends {
                bail!("{wrong} (after {seconds} s)");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The first that does not hold.
    async fn wrong(&self, step: &Step) -> Result<Option<String>> {
        for document in &step.assert {
            let said = |what: String| {
                Some(format!(
                    "{}: {}: {what}",
                    shown(&document.file),
                    self.described(document)
                ))
            };
            let found = self.found(document).await?;
            let differences: Option<Vec<_>> = found
                .iter()
                .map(|object| difference(&document.value, object))
                .collect();
            // One that has no difference is enough.
            match differences.as_deref() {
                None => {}
                Some([]) => return Ok(said("does not exist".to_owned())),
                Some([first, ..]) => return Ok(said(first.to_string())),
            }
        }
        for document in &step.errors {
            let found = self.found(document).await?;
            let is_so = |object: &&Value| difference(&document.value, object).is_none();
            if let Some(object) = found.iter().find(is_so) {
                return Ok(Some(format!(
                    "{}: {} exists and is so: {object}",
                    shown(&document.file),
                    self.described(document)
                )));
            }
        }
        Ok(None)
    }

    async fn delete(&self, document: &Document, ends: Instant) -> Result<()> {
        let what = || {
            format!(
                "{}: deleting {}",
                shown(&document.file),
                self.described(document)
            )
        };
        let Some(api) = self.api(document).await? else {
            bail!("{}: its kind is not served", what());
        };
        let name = document.object.name_any();
        api.delete(&name, &DeleteParams::default())
            .await
            .with_context(what)?;
        let left = ends.saturating_duration_since(Instant::now());
        cluster::gone(&api, &name, left).await.with_context(what)
    }

    /// The objects that a document may be about: the one that it names, or else all of its kind with
    /// its labels. None where the kind is not served.
    async fn found(&self, document: &Document) -> Result<Vec<Value>> {
        let Some(api) = self.api(document).await? else {
            return Ok(Vec::new());
        };
        let objects = if let Some(name) = &document.object.metadata.name {
            api.get_opt(name).await?.into_iter().collect()
        } else {
            let labels = ListParams::default().labels(&labels(document));
            api.list(&labels).await?.items
        };
        let values = objects.into_iter().map(|mut object| {
            // A list says it once for all.
            object.types.clone_from(&document.object.types);
            Ok(serde_json::to_value(object)?)
        });
        values.collect()
    }

    /// `None` where the kind is not served.
    async fn api(&self, document: &Document) -> Result<Option<Api<DynamicObject>>> {
        let types = document.object.types.clone().unwrap_or_default();
        let kind = GroupVersionKind::try_from(&types)?;
        let (resource, capabilities) = match pinned_kind(self.client, &kind).await {
            Ok(found) => found,
            Err(kube::Error::Discovery(_)) => return Ok(None),
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
            Err(error) => return Err(error).with_context(|| shown(&document.file)),
        };
        let namespace = (capabilities.scope == Scope::Namespaced).then(|| self.of(document));
        Ok(Some(cluster::api_of(
            self.client,
            namespace.as_deref(),
            resource,
        )))
    }

    fn of(&self, document: &Document) -> String {
        let own = document.object.namespace();
        own.unwrap_or_else(|| self.namespace.to_owned())
    }

    fn described(&self, document: &Document) -> String {
        let types = document.object.types.clone().unwrap_or_default();
        let (kind, namespace) = (types.kind, self.of(document));
        match &document.object.metadata.name {
            Some(name) => format!("{kind} {namespace}/{name}"),
            None => format!("a {kind} in {namespace} with labels {:?}", labels(document)),
        }
    }
}

/// As a selector.
fn labels(document: &Document) -> String {
    let pairs = document.object.labels().iter();
    let pairs: Vec<String> = pairs.map(|(key, value)| format!("{key}={value}")).collect();
    pairs.join(",")
}

/// A file as one types it at the root of the workspace.
fn shown(file: &Path) -> String {
    let root = crate::steps::root();
    file.strip_prefix(&root)
        .unwrap_or(file)
        .display()
        .to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use cluster::Platform;

    use super::super::case;
    use super::*;

    /// Runs a test of these files, and gives what is wrong.
    async fn outcome(files: &[(&str, &str)]) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        let suite = "{apiVersion: kuttl.dev/v1beta1, kind: TestSuite, timeout: 20}";
        fs::write(folder.path().join("kuttl-test.yaml"), suite).unwrap();
        fs::create_dir(folder.path().join("small")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join("small").join(name), text).unwrap();
        }
        let cases = case::read(folder.path()).unwrap();
        let cluster = cluster::shared(Platform::Kubernetes).unwrap();
        let outcome = run(&cluster.client().unwrap(), &cases[0]).await;
        outcome.err().map(|error| format!("{error:#}"))
    }

    const INSTALL: (&str, &str) = (
        "00-install.yaml",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {app: x}}, data: {key: one, more: m}}",
    );
    const DELETE: (&str, &str) = (
        "01-delete.yaml",
        "{apiVersion: kuttl.dev/v1beta1, kind: TestStep, delete: [{apiVersion: v1, kind: ConfigMap, name: a}]}",
    );
    const SOON_OVER: (&str, &str) = (
        "01-timeout.yaml",
        "{apiVersion: kuttl.dev/v1beta1, kind: TestAssert, timeout: 1}",
    );

    #[tokio::test]
    async fn steps_that_hold_pass() {
        let wrong = outcome(&[
            INSTALL,
            (
                "00-assert.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: one}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {labels: {app: x}}, data: {more: m}}",
            ),
            (
                "00-errors.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: two}}
---
{apiVersion: example.test/v1, kind: Unknown, metadata: {name: a}}",
            ),
            DELETE,
            (
                "01-errors.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}",
            ),
        ])
        .await;
        assert_eq!(wrong, None);
    }

    #[tokio::test]
    async fn a_step_that_does_not_hold_fails_with_file_object_and_path() {
        for (file, text, said) in [
            (
                "01-assert.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: two}}",
                &[
                    "test small, step 01",
                    "small/01-assert.yaml: ConfigMap small-",
                    "/a: /data/key: \"two\" is wanted, found \"one\" (after 1 s)",
                ][..],
            ),
            (
                "01-assert.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}}",
                &["/b: does not exist"],
            ),
            (
                "01-assert.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {labels: {app: z}}}",
                &["with labels \"app=z\": does not exist"],
            ),
            (
                "01-errors.yaml",
                "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {key: one}}",
                &["small/01-errors.yaml: ConfigMap small-", "exists and is so"],
            ),
        ] {
            let wrong = outcome(&[INSTALL, SOON_OVER, (file, text)]).await;
            let wrong = wrong.expect("it fails");
            assert!(said.iter().all(|part| wrong.contains(part)), "{wrong}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_deleted_fails() {
        let wrong = outcome(&[DELETE]).await.expect("it fails");
        assert!(
            wrong.contains("01-delete.yaml: deleting ConfigMap small-"),
            "{wrong}"
        );
    }
}
