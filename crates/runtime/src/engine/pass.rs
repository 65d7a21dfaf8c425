//! One pass over one resource: observe, plan, apply, status.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Resource, ResourceExt, core::ObjectMeta, runtime::controller::Action};
use resources::{Plan, merge};
use serde_json::{Value, json};
use tracing::{debug, error, info, warn};

use super::{
    Engine, PASS_LIMIT, again,
    apply::For,
    key_of,
    memory::{Root, RootKey},
    objects::RequestError,
    reads::ClusterInputs,
};
use crate::{
    component::{Attempt, Component, Failure, Next, Note},
    metrics::ReconcileResult,
    outcome::{Outcome, Target},
};

/// Value of the pause annotation that stops a resource.
const PAUSED: &str = "paused";
/// First and longest distance of retries.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_mins(5));

/// How a pass ended.
pub(super) enum End {
    /// As planned; to be looked at again at this time even if nothing happens.
    Done(Option<Duration>),
    /// The user's turn.
    Wait,
    /// The cluster changed meanwhile, or something failed.
    Retry,
    /// The same, and there is more to be done after this time.
    RetryWithin(Duration),
    /// Again at this distance.
    After(Duration),
}

/// A pass that runs, counted until it is dropped: at its end, or where shutdown cuts it off.
struct Active<'a, C: Component>(&'a Engine<C>);

impl<'a, C: Component> Active<'a, C> {
    fn begin(engine: &'a Engine<C>) -> Self {
        let before = engine.active.fetch_add(1, Ordering::Relaxed);
        engine.tell_workers(before.saturating_add(1));
        Self(engine)
    }
}

impl<C: Component> Drop for Active<'_, C> {
    fn drop(&mut self) {
        let before = self.0.active.fetch_sub(1, Ordering::Relaxed);
        self.0.tell_workers(before.saturating_sub(1));
    }
}

impl<C: Component> Engine<C> {
    fn tell_workers(&self, active: usize) {
        self.metrics
            .workers(C::IDENTITY.name, active, usize::from(self.concurrency));
    }

    /// One pass, as the queue calls it.
    pub(super) async fn pass(&self, queued: Arc<C::Resource>) -> Action {
        let _active = Active::begin(self);
        let key = key_of(queued.as_ref());
        let started = Instant::now();
        let depth = self.with_memory(|memory| memory.begin_pass(&key));
        self.metrics.queue_depth(C::IDENTITY.name, depth);
        let resource = self.newest(&key, queued);
        let end = match tokio::time::timeout(PASS_LIMIT, self.look(&key, resource)).await {
            Ok(Ok(end)) => end,
            Ok(Err(error)) if error.is_conflict() || error.is_not_found() => {
                debug!(
                    namespace = key.namespace,
                    name = key.name,
                    "changed meanwhile"
                );
                End::Retry
            }
            Ok(Err(error)) => {
                error!(
                    namespace = key.namespace,
                    name = key.name,
                    error = error.sentence(),
                    "pass failed"
                );
                End::Retry
            }
            Err(_) => {
                warn!(
                    namespace = key.namespace,
                    name = key.name,
                    "pass took longer than {PASS_LIMIT:?}"
                );
                End::Retry
            }
        };
        if !self.is_known(&key) {
            // It went during the pass: what the pass remembered of it goes too.
            self.with_memory(|memory| memory.forget(&key));
            return Action::await_change();
        }
        let (result, after) = self.with_memory(|memory| {
            let root = memory.root(&key);
            match end {
                End::Done(after) => {
                    root.failures = 0;
                    let result = if after.is_some() {
                        ReconcileResult::RequeueAfter
                    } else {
                        ReconcileResult::Success
                    };
                    (result, after)
                }
                End::Wait => (ReconcileResult::Error, None),
                End::After(after) => (ReconcileResult::Error, Some(after)),
                End::Retry => (ReconcileResult::Error, Some(fail(root, &key))),
                End::RetryWithin(limit) => {
                    let after = fail(root, &key).min(limit);
                    (ReconcileResult::Error, Some(after))
                }
            }
        });
        self.metrics
            .reconciled(C::IDENTITY.name, result, started.elapsed());
        again(after)
    }

    async fn look(&self, key: &RootKey, resource: Arc<C::Resource>) -> Result<End, RequestError> {
        if resource.meta().deletion_timestamp.is_some() {
            return self.farewell(key, &resource).await;
        }
        let now = Timestamp::now();
        let paused = resource
            .annotations()
            .get(C::IDENTITY.pause_annotation)
            .is_some_and(|v| v == PAUSED);
        let resource = if paused {
            resource
        } else {
            self.with_finalizer(key, resource).await?
        };
        let uid = resource.uid().unwrap_or_default();
        let inputs = ClusterInputs {
            engine: self,
            root: key,
            now,
        };

        let mut observation = None;
        let mut plan: Option<Plan> = None;
        let mut failure = None;
        let mut outcome = Outcome::default();
        if !paused {
            match self.component.observe(&resource, &inputs).await {
                Ok(seen) => {
                    match self.component.plan(&resource, &seen) {
                        Ok(planned) => plan = Some(planned),
                        Err(error) => failure = Some(error),
                    }
                    observation = Some(seen);
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(plan) = &plan {
            outcome = self.make_so(For { key, uid: &uid }, plan).await;
            for failed in &outcome.failed {
                warn!(target = %failed.target, message = failed.message, "not written");
            }
        }
        let missing_rules = self.missing_rules();
        let attempt = Attempt {
            observation: observation.as_ref(),
            plan: plan.as_ref(),
            failure: failure.as_ref(),
            outcome: &outcome,
            paused,
            missing_rules: &missing_rules,
            now,
        };
        if outcome.stale {
            // The status would tell of a cluster that is not there any more.
            return Ok(End::Retry);
        }
        let status = self.component.status(&resource, &attempt, &inputs);
        let written = self.write_status(key, &resource, &uid, &status).await;
        // A status is refused for what else the resource says; people are told all the same.
        self.tell(&resource, &self.component.events(&resource, &attempt));
        written?;

        if let Some(failure) = &failure {
            info!(namespace = key.namespace, name = key.name, reason = failure.reason(), error = %failure, "not planned");
            self.metrics.failed(C::IDENTITY.name, failure.reason());
            return Ok(match failure.next() {
                Next::Wait => End::Wait,
                Next::Retry => End::Retry,
                Next::After(distance) => End::After(distance),
            });
        }
        if !outcome.is_complete() {
            return Ok(End::Retry);
        }
        self.events.settled(&uid);
        let due = observation
            .as_ref()
            .and_then(|observation| self.component.due(observation));
        Ok(End::Done(due.map(|due| {
            Duration::try_from(due.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
        })))
    }

    async fn with_finalizer(
        &self,
        key: &RootKey,
        resource: Arc<C::Resource>,
    ) -> Result<Arc<C::Resource>, RequestError> {
        let ours = C::IDENTITY.finalizer;
        if ours.is_empty() || is_held(resource.finalizers(), ours) {
            return Ok(resource);
        }
        let mut finalizers = resource.finalizers().to_vec();
        finalizers.push(ours.to_owned());
        self.set_finalizers(key, &resource, &finalizers).await
    }

    pub(super) async fn set_finalizers(
        &self,
        key: &RootKey,
        resource: &C::Resource,
        finalizers: &[String],
    ) -> Result<Arc<C::Resource>, RequestError> {
        let patch = json!({"metadata": {
            "finalizers": finalizers,
            "resourceVersion": resource.resource_version(),
        }});
        Ok(self.wrote_root(self.objects.merge(&self.address(key), None, &patch).await?))
    }

    /// One write, and only if something is different.
    pub(super) async fn write_status(
        &self,
        key: &RootKey,
        resource: &C::Resource,
        uid: &str,
        status: &C::Status,
    ) -> Result<(), RequestError> {
        let wanted = serde_json::to_value(status)?;
        if wanted.is_null() {
            return Ok(());
        }
        let wanted = without_nulls(wanted);
        let live = serde_json::to_value(resource)?;
        let live = live
            .get("status")
            .cloned()
            .map_or_else(|| json!({}), without_nulls);
        let Some(change) = merge::diff(&live, &wanted) else {
            return Ok(());
        };
        // With the uid, a resource of the same name that was made meanwhile is not touched.
        let patch = json!({"metadata": {"uid": uid}, "status": change});
        let written = self
            .objects
            .merge(&self.address(key), Some("status"), &patch)
            .await?;
        let written = self.wrote_root(written);
        if differs(resource.meta(), written.meta()) {
            // Edited while this pass ran: the watch's event counts as known once the answer is.
            self.wake([key.clone()]);
        }
        Ok(())
    }

    /// Tells people. The recorder drops a warning that was told already.
    pub(super) fn tell(&self, resource: &C::Resource, notes: &[Note]) {
        let regarding = resource.object_ref(&());
        for note in notes {
            self.events.publish(&regarding, note);
        }
    }

    pub(super) fn address(&self, key: &RootKey) -> Target {
        Target {
            kind: self.root,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
        }
    }
}

/// Whether our finalizer is among these.
pub(super) fn is_held(finalizers: &[String], ours: &str) -> bool {
    finalizers.iter().any(|finalizer| finalizer == ours)
}

/// Whether somebody changed what a pass depends on: anything but the status.
fn differs(planned: &ObjectMeta, now: &ObjectMeta) -> bool {
    planned.generation != now.generation
        || planned.deletion_timestamp != now.deletion_timestamp
        || planned.labels != now.labels
        || planned.annotations != now.annotations
        || planned.finalizers != now.finalizers
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, value| !value.is_null());
        for value in map.values_mut() {
            *value = without_nulls(value.take());
        }
    }
    value
}

/// Counts a failure, and says how far off the next try is.
fn fail<K>(root: &mut Root<K>, key: &RootKey) -> Duration {
    root.failures = root.failures.saturating_add(1);
    backoff(key, root.failures)
}

/// Distance of the nth retry in a row: doubling up to a cap, with up to a quarter more so that
/// many resources that failed together do not come back together.
fn backoff(key: &RootKey, failures: u32) -> Duration {
    let (first, longest) = BACKOFF;
    let doubled = first
        .saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1)))
        .min(longest);
    let mut hasher = DefaultHasher::new();
    (key, failures).hash(&mut hasher);
    let share = u32::try_from(hasher.finish() % 256).unwrap_or_default();
    doubled + doubled.saturating_mul(share) / 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_during_a_pass_asks_for_another() {
        let planned = ObjectMeta {
            generation: Some(1),
            resource_version: Some("5".into()),
            ..ObjectMeta::default()
        };
        let status_written = ObjectMeta {
            resource_version: Some("6".into()),
            ..planned.clone()
        };
        assert!(!differs(&planned, &status_written));
        let edited = ObjectMeta {
            generation: Some(2),
            ..planned.clone()
        };
        assert!(differs(&planned, &edited));
        let annotated = ObjectMeta {
            annotations: Some([("a".into(), "b".into())].into()),
            ..planned.clone()
        };
        assert!(differs(&planned, &annotated));
    }

    #[test]
    fn retries_grow_to_a_cap_and_spread() {
        let key = |name: &str| RootKey {
            namespace: None,
            name: name.into(),
        };
        let mut before = Duration::ZERO;
        for failures in 1..20 {
            let distance = backoff(&key("a"), failures);
            assert!(distance <= BACKOFF.1 + BACKOFF.1 / 4);
            assert!(distance > before || distance >= BACKOFF.1);
            before = distance.mul_f32(0.7);
        }
        assert!(backoff(&key("a"), u32::MAX) >= BACKOFF.1);
        assert_ne!(backoff(&key("a"), 20), backoff(&key("b"), 20));
    }
}
