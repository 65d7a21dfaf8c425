//! Resources that are created at once, and when all of them have come how far.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use kube::api::{
    ApiResource, DynamicObject, PostParams, ResourceExt as _, WatchEvent, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::{Api, Client};
use serde::Serialize;
use serde_json::{Value, json};

use super::subject::Subject;

/// How many requests, or resources, are in flight at once: of the one who creates resources, of the
/// operator and of the bare client.
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
    /// All Deployments are available; with an operator: all resources say so.
    pub(crate) available: f64,
}

/// Resources that are numbered from 1.
pub(crate) struct Crowd {
    pub(crate) subject: Subject,
    prefix: &'static str,
    count: usize,
}

impl Crowd {
    pub(crate) fn new(subject: Subject, prefix: &'static str, count: usize) -> Self {
        Self {
            subject,
            prefix,
            count,
        }
    }

    /// Where a resource is.
    pub(crate) fn namespace(&self, number: usize) -> Option<String> {
        self.subject.namespace(self.prefix, &self.name(number))
    }

    /// The name of a resource.
    pub(crate) fn name(&self, number: usize) -> String {
        format!("{}{number:03}", self.prefix)
    }

    /// Makes what must be there first: namespaces, and what resources refer to.
    pub(crate) async fn prepare(&self, client: &Client) -> Result<()> {
        let namespaces: BTreeSet<_> = (1..=self.count).filter_map(|n| self.namespace(n)).collect();
        let own = |name: &String| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        at_once(namespaces.iter(), |name| apply(client, "", own(name))).await?;
        self.each(|number| async move {
            match self.subject.input(&self.name(number)) {
                Some(input) => {
                    let namespace = self.namespace(number).unwrap_or_default();
                    apply(client, &namespace, input).await
                }
                None => Ok(()),
            }
        })
        .await
    }

    /// Creates a resource; returns its uid.
    pub(crate) async fn create(&self, client: &Client, number: usize) -> Result<String> {
        let made = self.post(client, number, false).await?;
        made.uid().context("a created object has a uid")
    }

    /// Whether the resource would be created.
    pub(crate) async fn try_create(&self, client: &Client, number: usize) -> Result<()> {
        self.post(client, number, true).await.map(drop)
    }

    async fn post(&self, client: &Client, number: usize, dry_run: bool) -> Result<DynamicObject> {
        let (name, resource) = (self.name(number), self.subject.resource());
        let object = serde_json::from_value(json!({
            "apiVersion": resource.api_version, "kind": resource.kind,
            "metadata": {"name": name}, "spec": self.subject.spec(&name),
        }))?;
        let params = PostParams {
            dry_run,
            ..PostParams::default()
        };
        let namespace = self.namespace(number);
        cluster::api_of(client, namespace.as_deref(), resource.clone())
            .create(&params, &object)
            .await
            .with_context(|| format!("creating {} {name}", resource.kind))
    }

    /// Does something for each number, some at once.
    pub(crate) async fn each<F>(&self, work: impl Fn(usize) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>>,
    {
        at_once(1..=self.count, work).await
    }

    /// Runs `work` for each number and says when all Deployments were there, and when all were
    /// available, by their own word or by that of their resource.
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
        let deployments = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
        let deployments = Api::all_with(client.clone(), &deployments);
        let prefix = self.subject.deployment_prefix();
        let available = if operated {
            (Api::all_with(client.clone(), &self.subject.resource()), "")
        } else {
            (deployments.clone(), prefix)
        };
        let ((), deployments, available) = tokio::try_join!(
            self.each(work),
            self.all((deployments, prefix), started, "have a Deployment", |_| {
                true
            }),
            self.all(available, started, "are available", is_available),
        )?;
        Ok(Seconds {
            deployments,
            available,
        })
    }

    /// When an object for each resource is as wanted, in seconds since `started`. Its name is that of
    /// the resource behind a prefix.
    async fn all(
        &self,
        (api, prefix): (Api<DynamicObject>, &str),
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
                        && let name = object.name_any()
                        && let Some(name) = name.strip_prefix(prefix)
                        && self.has(name)
                        && wanted(&object)
                    {
                        done.insert(name.to_owned());
                    }
                }
                Ok(None) | Err(_) => bail!(
                    "{} of {} {what} after {} s",
                    done.len(),
                    self.subject.counted(self.count),
                    started.elapsed().as_secs()
                ),
            }
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Whether one of its resources has this name.
    fn has(&self, name: &str) -> bool {
        numbered(name, self.prefix) == Some(name)
    }
}

/// Does something for each, some at once.
async fn at_once<T, F>(each: impl Iterator<Item = T>, work: impl Fn(T) -> F) -> Result<()>
where
    F: Future<Output = Result<()>>,
{
    stream::iter(each)
        .map(work)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// Applies an object into a namespace.
pub(crate) async fn apply(client: &Client, namespace: &str, object: Value) -> Result<()> {
    cluster::apply(client, namespace, &serde_json::from_value(object)?).await?;
    Ok(())
}

/// The first name of a numbered resource in a text.
pub(crate) fn numbered<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
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
    fn a_resource_is_found_in_what_is_derived_from_it() {
        let find = |text| numbered(text, OPERATED);
        assert_eq!(find("registry-user-bench-007"), Some("bench-007"));
        assert_eq!(find("bench-registries/bench-012-users"), Some("bench-012"));
        assert_eq!(find("bench-registries"), None);
        assert_eq!(find("bench-1"), None);
    }

    #[test]
    fn a_crowd_counts_from_one_and_pads_its_names() {
        let crowd = Crowd::new(Subject::Services, PLAIN, 2);
        assert_eq!(crowd.name(1), "plain-001");
        assert_eq!(crowd.namespace(1).as_deref(), Some("plain-001"));
        assert!(crowd.has("plain-001") && !crowd.has("plain-001-tls"));
        assert_eq!(numbered(&crowd.name(200), PLAIN), Some("plain-200"));
        assert_eq!(OPERATED.len(), PLAIN.len());
        let registries = Crowd::new(Subject::Registries, PLAIN, 2);
        assert_eq!(registries.namespace(1), registries.namespace(2));
        assert_eq!(Crowd::new(Subject::Mlflows, PLAIN, 2).namespace(1), None);
    }
}
