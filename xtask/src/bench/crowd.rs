//! Registries that are created at once, and when all of them have come how far.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use api::modelregistry::v1beta1::ModelRegistry;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{
    ApiResource, DynamicObject, PostParams, ResourceExt as _, WatchEvent, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde::Serialize;
use serde_json::{Value, json};

/// How many requests, or registries, are in flight at once: of the one who creates registries, of
/// the operator and of the bare client.
pub(crate) const CONCURRENCY: usize = 16;

/// What names begin with where the operator works. As long as [`PLAIN`], and in no other name.
pub(crate) const OPERATED: &str = "bench-";
/// What names begin with where the bare client works.
pub(crate) const PLAIN: &str = "plain-";

/// How long the whole crowd may take; shorter than the API server lets a watch live.
const LIMIT: Duration = Duration::from_mins(4);

/// When all of a crowd had come so far, in seconds since the first was asked for.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Seconds {
    /// All have a Deployment.
    pub(crate) deployments: f64,
    /// All Deployments are available; with an operator: all registries say so.
    pub(crate) available: f64,
}

/// Registries of one namespace, numbered from 1.
pub(crate) struct Crowd {
    prefix: &'static str,
    count: usize,
}

impl Crowd {
    pub(crate) fn new(prefix: &'static str, count: usize) -> Self {
        Self { prefix, count }
    }

    /// Where its registries are.
    pub(crate) fn namespace(&self) -> String {
        format!("{}registries", self.prefix)
    }

    /// The name of a registry.
    pub(crate) fn name(&self, number: usize) -> String {
        format!("{}{number:03}", self.prefix)
    }

    /// Makes what must be there first: the namespace, and a password for each registry.
    pub(crate) async fn prepare(&self, client: &Client) -> Result<()> {
        let namespace = self.namespace();
        let object = |value: Value| serde_json::from_value::<DynamicObject>(value);
        let own = object(json!({
            "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
        }))?;
        cluster::apply(client, "", &own).await?;
        self.each(|number| {
            let secret = object(json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": format!("{}-database", self.name(number))},
                "stringData": {"database-password": "bench"},
            }));
            let namespace = &namespace;
            async move {
                cluster::apply(client, namespace, &secret?).await?;
                Ok(())
            }
        })
        .await
    }

    /// Creates a registry with a given Postgres and a proxy; returns its uid.
    pub(crate) async fn create(&self, client: &Client, number: usize) -> Result<String> {
        let made = self.post(client, number, false).await?;
        made.uid().context("a created object has a uid")
    }

    /// Whether the registry would be created.
    pub(crate) async fn try_create(&self, client: &Client, number: usize) -> Result<()> {
        self.post(client, number, true).await.map(drop)
    }

    async fn post(&self, client: &Client, number: usize, dry_run: bool) -> Result<DynamicObject> {
        let name = self.name(number);
        let registry = serde_json::from_value(json!({
            "apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
            "metadata": {"name": name},
            "spec": {
                "rest": {},
                "kubeRBACProxy": {},
                "postgres": {
                    "host": "db.example.test", "port": 5432,
                    "username": "registry", "database": "registry",
                    "passwordSecret": {
                        "name": format!("{name}-database"), "key": "database-password",
                    },
                },
            },
        }))?;
        let params = PostParams {
            dry_run,
            ..PostParams::default()
        };
        self.registries(client)
            .create(&params, &registry)
            .await
            .with_context(|| format!("creating ModelRegistry {name}"))
    }

    /// Does something for each number, some at once.
    pub(crate) async fn each<F>(&self, work: impl Fn(usize) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        stream::iter(1..=self.count)
            .map(work)
            .buffer_unordered(CONCURRENCY)
            .try_collect()
            .await
    }

    /// Runs `work` for each number and says when all Deployments were there, and when all were
    /// available, by their own word or by that of their registry.
    pub(crate) async fn race<F>(
        &self,
        client: &Client,
        operated: bool,
        work: impl Fn(usize) -> F,
    ) -> Result<Seconds>
    where
        F: Future<Output = Result<()>>,
    {
        let started = Instant::now();
        let deployments = Api::namespaced_with(
            client.clone(),
            &self.namespace(),
            &ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment")),
        );
        let available = if operated {
            self.registries(client)
        } else {
            deployments.clone()
        };
        let ((), deployments, available) = tokio::try_join!(
            self.each(work),
            self.all(deployments, started, "have a Deployment", |_| true),
            self.all(available, started, "are available", is_available),
        )?;
        Ok(Seconds {
            deployments,
            available,
        })
    }

    /// When as many objects as there are registries are as wanted, in seconds since `started`.
    async fn all(
        &self,
        api: Api<DynamicObject>,
        started: Instant,
        what: &str,
        wanted: fn(&DynamicObject) -> bool,
    ) -> Result<f64> {
        let mut done = BTreeSet::new();
        // From version 0 on, a watch begins with what is there already.
        let events = api
            .watch(&WatchParams::default().timeout(290), "0")
            .await
            .context("watching")?;
        let mut events = pin!(events);
        while done.len() < self.count {
            let left = LIMIT.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, events.next()).await {
                Ok(Some(event)) => {
                    if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event?
                        && wanted(&object)
                    {
                        done.insert(object.name_any());
                    }
                }
                Ok(None) | Err(_) => bail!(
                    "{} of {} registries {what} after {} s",
                    done.len(),
                    self.count,
                    started.elapsed().as_secs()
                ),
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }

    fn registries(&self, client: &Client) -> Api<DynamicObject> {
        let resource = ApiResource::erase::<ModelRegistry>(&());
        Api::namespaced_with(client.clone(), &self.namespace(), &resource)
    }
}

/// The first name of a registry in a text.
pub(crate) fn registry<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    text.match_indices(prefix).find_map(|(start, _)| {
        let end = start + prefix.len() + 3;
        let number = text.get(start + prefix.len()..end)?;
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.get(start..end))?
    })
}

/// Whether the condition `Available` is true.
pub(crate) fn is_available(object: &DynamicObject) -> bool {
    let conditions = object.data.pointer("/status/conditions");
    let conditions = conditions.and_then(Value::as_array);
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Available" && condition["status"] == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_found_in_what_is_derived_from_it() {
        let find = |text| registry(text, OPERATED);
        assert_eq!(find("registry-user-bench-007"), Some("bench-007"));
        assert_eq!(find("bench-registries/bench-012-users"), Some("bench-012"));
        assert_eq!(find("bench-registries"), None);
        assert_eq!(find("bench-1"), None);
    }

    #[test]
    fn a_crowd_counts_from_one_and_pads_its_names() {
        let crowd = Crowd::new(PLAIN, 2);
        assert_eq!(crowd.name(1), "plain-001");
        assert_eq!(registry(&crowd.name(200), PLAIN), Some("plain-200"));
        assert_eq!(OPERATED.len(), PLAIN.len());
    }
}
