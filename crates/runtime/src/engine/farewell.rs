//! The end of a resource that is being deleted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kube::{Resource, ResourceExt, core::ObjectMeta};
use resources::merge;
use serde_json::{Value, json};
use tracing::{error, info, warn};

use super::{
    Engine,
    apply::For,
    memory::RootKey,
    objects::RequestError,
    pass::{End, is_held},
    reads::ClusterInputs,
};
use crate::{
    component::{Attempt, Component, Note},
    outcome::Outcome,
};

/// How long a resource that is being deleted waits for what it set in objects of others.
const GIVE_BACK: SignedDuration = SignedDuration::from_secs(30);

impl<C: Component> Engine<C> {
    /// The resource is being deleted: what the garbage collector cannot follow goes first, then
    /// the finalizer.
    pub(super) async fn farewell(
        &self,
        key: &RootKey,
        resource: &C::Resource,
    ) -> Result<End, RequestError> {
        let ours = C::IDENTITY.finalizer;
        if !is_held(resource.finalizers(), ours) {
            return Ok(End::Wait);
        }
        let uid = resource.uid().unwrap_or_default();
        let root = For { key, uid: &uid };
        let mut undone = Outcome::default();
        let inputs = ClusterInputs {
            engine: self,
            root: key,
            now: Timestamp::now(),
        };
        if self.component.stays(resource, &inputs) {
            return self.stay(root, resource, &inputs).await;
        }
        match self.component.parting(resource, &inputs).await {
            Ok(None) => {}
            Ok(Some(plan)) => {
                undone = self.make_so(root, &plan).await;
                if undone.failed.is_empty()
                    && !undone.stale
                    && let Some(target) = self.remaining(root, &plan)
                {
                    info!(%target, "waited for, before the resource goes");
                    // Its end is an event, and so is a change of its finalizers.
                    return Ok(End::Done(None));
                }
            }
            Err(failure) => {
                error!(namespace = key.namespace, name = key.name, error = %failure, "not parted with, so the resource stays");
                return Ok(End::Retry);
            }
        }
        if !self.give_back(root, resource, &inputs).await
            && let Some(rest) = time_left(resource.meta(), inputs.now)
        {
            // Events of objects that go with it have it tried often: the distance of retries grows
            // beyond that.
            return Ok(End::RetryWithin(rest));
        }
        let mut left = self.part_with(root).await;
        left.append(&mut undone.failed);
        if undone.stale {
            return Ok(End::Retry);
        }
        if !left.is_empty() {
            for failed in &left {
                error!(target = %failed.target, message = failed.message, "not deleted, so the resource stays");
            }
            return Ok(End::Retry);
        }
        let others: Vec<String> = resource
            .finalizers()
            .iter()
            .filter(|f| *f != ours)
            .cloned()
            .collect();
        self.tell(resource, self.component.farewell(resource).as_slice());
        match self.let_go(key, resource, &others).await {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error),
        }
        self.events.settled(&uid);
        info!(namespace = key.namespace, name = key.name, "deleted");
        Ok(End::Done(None))
    }

    /// The resource is being deleted and stays for now, and its status says why.
    async fn stay(
        &self,
        root: For<'_>,
        resource: &C::Resource,
        inputs: &ClusterInputs<'_, C>,
    ) -> Result<End, RequestError> {
        let attempt = Attempt {
            observation: None,
            plan: None,
            failure: None,
            outcome: &Outcome::default(),
            paused: false,
            missing_rules: &self.missing_rules(),
            now: inputs.now,
        };
        let status = self.component.status(resource, &attempt, inputs);
        self.write_status(root.key, resource, root.uid, &status)
            .await?;
        self.tell(resource, &self.component.events(resource, &attempt));
        Ok(End::Done(None))
    }

    /// Leaves the resource these finalizers.
    ///
    /// Kubernetes before 1.30 checks the whole object at every write. One that is stored and breaks a
    /// rule that came later could then not go: with a spec that passes, it can, and so can the
    /// garbage collector take its own finalizer from it.
    async fn let_go(
        &self,
        key: &RootKey,
        resource: &C::Resource,
        finalizers: &[String],
    ) -> Result<(), RequestError> {
        let refused = match self.set_finalizers(key, resource, finalizers).await {
            Err(error) if error.is_invalid() => error,
            done => return done.map(drop),
        };
        let live = serde_json::to_value(resource)?;
        let change = self
            .component
            .passing_spec()
            .and_then(|passing| merge::diff(live.get("spec").unwrap_or(&Value::Null), &passing));
        let Some(change) = change else {
            return Err(refused);
        };
        warn!(
            namespace = key.namespace,
            name = key.name,
            error = refused.sentence(),
            "the spec breaks a rule, and is replaced so that the resource can go"
        );
        let patch = json!({
            "metadata": {
                "finalizers": finalizers,
                "resourceVersion": resource.resource_version(),
            },
            "spec": change,
        });
        self.wrote_root(self.objects.merge(&self.address(key), None, &patch).await?);
        Ok(())
    }

    /// Takes back what was set in objects of others. Whether all of it is.
    ///
    /// Their API may be gone for good, or refuse every write, and the resource must go all the same:
    /// what is not taken back in time stays, and people are told.
    async fn give_back(
        &self,
        root: For<'_>,
        resource: &C::Resource,
        inputs: &ClusterInputs<'_, C>,
    ) -> bool {
        let mut undone = Outcome::default();
        self.take_back(root, &[], &mut undone).await;
        let mut kept = match self.component.undo(resource, inputs).await {
            Ok(edits) => {
                self.edit(root, &edits, &mut undone).await;
                Vec::new()
            }
            Err(failure) => vec![failure.to_string()],
        };
        let failed = undone.failed.iter();
        kept.extend(failed.map(|failed| format!("{}: {}", failed.target, failed.message)));
        for message in &kept {
            warn!(
                namespace = root.key.namespace,
                name = root.key.name,
                message,
                "not taken back"
            );
        }
        if !kept.is_empty() && time_left(resource.meta(), inputs.now).is_none() {
            let note = Note {
                warning: true,
                reason: "NotTakenBack",
                action: "Delete",
                message: format!(
                    "the resource goes, and what it set in other objects stays; remove it by hand: {}",
                    kept.join("; ")
                ),
            };
            self.tell(resource, &[note]);
        }
        kept.is_empty() && !undone.stale
    }
}

/// How long the resource still waits for the objects of others; `None` when it has waited long
/// enough.
fn time_left(meta: &ObjectMeta, now: Timestamp) -> Option<Duration> {
    let since = meta.deletion_timestamp.as_ref()?;
    let left = GIVE_BACK - now.duration_since(since.0);
    Duration::try_from(left).ok().filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;

    #[test]
    fn objects_of_others_are_waited_for_so_long() {
        let meta = |seconds: i64| ObjectMeta {
            deletion_timestamp: Some(Time(
                Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds),
            )),
            ..ObjectMeta::default()
        };
        let now = Timestamp::UNIX_EPOCH + GIVE_BACK;
        assert_eq!(time_left(&meta(0), now), None);
        assert_eq!(time_left(&meta(-60), now), None);
        assert_eq!(time_left(&meta(10), now), Some(Duration::from_secs(10)));
    }
}
