//! Writes: what a plan asks for and the cluster does not have yet, and nothing else.

use std::{collections::BTreeMap, time::Instant};

use kube::core::ObjectMeta;
use resources::{Adoption, Foreign, Plan, Planned, Precondition, merge};
use serde_json::{Value, json};
use tracing::{debug, info};

use super::{
    Engine,
    memory::{Applied, RootKey, Seen, wanted},
    objects::{RequestError, Written},
    ownership,
};
use crate::{
    component::Component,
    outcome::{Failed, Outcome, Target},
};

/// What one write did.
enum Step {
    Created,
    Updated,
    Unchanged,
    /// The name is held by an object of somebody else.
    Foreign,
    /// The cluster has changed since it was observed.
    Stale,
}

/// The resource that is written for.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    pub(super) key: &'a RootKey,
    pub(super) uid: &'a str,
}

impl<C: Component> Engine<C> {
    /// Makes the cluster agree with the plan: writes in waves, then prunes. What a wave holds does
    /// not depend on one another and is sent side by side.
    ///
    /// One object that cannot be written does not keep the others from it, but for those that
    /// must not be there without it. Then nothing is pruned either: what is not replaced stays.
    pub(super) async fn make_so(&self, root: For<'_>, plan: &Plan) -> Outcome {
        let mut outcome = Outcome::default();
        let mut unwritten: Vec<Target> = Vec::new();
        let mut held_back = false;
        for wave in plan.waves() {
            let (held, free): (Vec<_>, Vec<_>) = wave
                .into_iter()
                .map(|object| (object, guard_among(&unwritten, object)))
                .partition(|(_, guard)| guard.is_some());
            held_back |= !held.is_empty();
            for (object, guard) in held {
                outcome.failed.extend(guard.map(|guard| Failed {
                    target: target_of(object),
                    message: format!("it must not be there without {guard}"),
                    missing_rule: None,
                }));
            }
            let steps = free.iter().map(|(object, _)| async {
                let target = target_of(object);
                let step = self.write(root, object, &target).await;
                (object.foreign, target, step)
            });
            for (foreign, target, step) in futures::future::join_all(steps).await {
                if !matches!(step, Ok(Step::Created | Step::Updated | Step::Unchanged)) {
                    unwritten.push(target.clone());
                }
                match step {
                    Ok(Step::Created) => outcome.created.push(target),
                    Ok(Step::Updated) => outcome.updated.push(target),
                    Ok(Step::Unchanged) => {}
                    Ok(Step::Foreign) => match foreign {
                        Foreign::Report => outcome.foreign.push(target),
                        Foreign::Use => {}
                    },
                    Ok(Step::Stale) => outcome.stale = true,
                    Err(failed) => outcome.failed.push(*failed),
                }
            }
        }
        self.share(root, plan.shares(), &mut outcome).await;
        self.edit(root, plan.edits(), &mut outcome).await;
        if !held_back {
            self.prune(root, plan, &mut outcome).await;
        }
        outcome
    }

    async fn write(
        &self,
        root: For<'_>,
        object: &Planned,
        target: &Target,
    ) -> Result<Step, Box<Failed>> {
        let wanted = wanted(object);
        let (seen, applied) = self.with_memory(|memory| {
            (
                memory.seen(target).cloned(),
                memory.root(root.key).applied.get(target).cloned(),
            )
        });
        match seen {
            None => self.create(root, object, target, wanted).await,
            // It comes back when it is gone: its deletion is an event.
            Some(seen) if seen.deleting => Ok(Step::Unchanged),
            Some(seen) if !seen.belongs_to(root.uid, &object.identity) => {
                self.adopt(object, target, &seen).await
            }
            Some(seen) => {
                if let Some(before) = &applied
                    && before.uid == seen.uid
                    && before.wanted == wanted
                {
                    if before.digest == seen.ownership.digest {
                        return Ok(Step::Unchanged);
                    }
                    self.may_repair(root, target)?;
                }
                self.update(root, object, target, wanted, seen, applied)
                    .await
            }
        }
    }

    async fn create(
        &self,
        root: For<'_>,
        object: &Planned,
        target: &Target,
        wanted: u64,
    ) -> Result<Step, Box<Failed>> {
        if matches!(object.precondition, Precondition::Version(_)) {
            return self.meet(root, object, target, wanted).await;
        }
        self.allowed("create", target)?;
        match self.objects.create(object, wanted).await {
            Ok(written) => {
                debug!(%target, "created");
                self.remember(root, target, wanted, &written);
                Ok(Step::Created)
            }
            Err(error) if error.is_already_exists() => {
                self.meet(root, object, target, wanted).await
            }
            Err(error) => Err(self.failed("create", target, &error)),
        }
    }

    /// Takes the object from its owner, if the plan says that it is ours all the same.
    async fn adopt(
        &self,
        object: &Planned,
        target: &Target,
        seen: &Seen,
    ) -> Result<Step, Box<Failed>> {
        let adopted = match object.adoption {
            Adoption::Never => false,
            Adoption::Labelled => self.is_labelled(target, seen, &object.identity).await?,
            Adoption::Any => !object.identity.is_empty(),
        };
        if !adopted {
            return Ok(Step::Foreign);
        }
        self.allowed("patch", target)?;
        let patch = json!({"metadata": {
            "resourceVersion": seen.version,
            "ownerReferences": null,
            "labels": object.identity,
        }});
        match self.objects.merge::<Value>(target, None, &patch).await {
            Ok(_) => {
                info!(%target, "taken from its former owner");
                Ok(Step::Stale)
            }
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(Step::Stale),
            Err(error) => Err(self.failed("patch", target, &error)),
        }
    }

    /// Whether the object carries these labels. Of one that has an owner they are not kept.
    pub(super) async fn is_labelled(
        &self,
        target: &Target,
        seen: &Seen,
        identity: &BTreeMap<String, String>,
    ) -> Result<bool, Box<Failed>> {
        if seen.controller.is_none() {
            return Ok(seen.is_labelled(identity));
        }
        self.allowed("get", target)?;
        let live = self.objects.get(target).await;
        let live = live.map_err(|error| self.failed("get", target, &error))?;
        let labels = live.map(|live| meta_of(&live).labels.unwrap_or_default());
        let carries =
            |labels: BTreeMap<_, _>| identity.iter().all(|(k, v)| labels.get(k) == Some(v));
        Ok(!identity.is_empty() && labels.is_some_and(carries))
    }

    /// The name is taken by an object that the watch has not shown: somebody else's, or ours
    /// without the labels that we watch by.
    async fn meet(
        &self,
        root: For<'_>,
        object: &Planned,
        target: &Target,
        wanted: u64,
    ) -> Result<Step, Box<Failed>> {
        self.allowed("get", target)?;
        let live = self
            .objects
            .get(target)
            .await
            .map_err(|error| self.failed("get", target, &error))?;
        let Some(live) = live else {
            return Ok(Step::Stale);
        };
        let meta = meta_of(&live);
        let roots = vec![root.key.clone()];
        let seen = Self::seen(&meta, None, roots);
        if !seen.belongs_to(root.uid, &object.identity) {
            return self.adopt(object, target, &seen).await;
        }
        if seen.deleting {
            return Ok(Step::Unchanged);
        }
        if object.precondition == Precondition::Absent {
            return Ok(Step::Stale);
        }
        self.update(root, object, target, wanted, seen, None).await
    }

    async fn update(
        &self,
        root: For<'_>,
        object: &Planned,
        target: &Target,
        wanted: u64,
        seen: Seen,
        applied: Option<Applied>,
    ) -> Result<Step, Box<Failed>> {
        if object.precondition == Precondition::Absent {
            return Ok(Step::Stale);
        }
        let first_look = applied.is_none();
        let mut moved_to = None;
        // Ours from before a restart, and asked for in the same words.
        let unchanged_since_create =
            first_look && !seen.ownership.inherited && seen.ownership.created_as == Some(wanted);
        if unchanged_since_create
            && let Some(known) = self.with_memory(|memory| memory.peek_input(target, &seen.version))
            && merge::contains(&known, &object.body)
        {
            self.with_memory(|memory| memory.remember_applied(root.key, target, wanted, &seen));
            return Ok(Step::Unchanged);
        }
        if seen.ownership.must_move() {
            self.allowed("get", target)?;
            let live = self
                .objects
                .get(target)
                .await
                .map_err(|error| self.failed("get", target, &error))?;
            let Some(live) = live else {
                return Ok(Step::Stale);
            };
            let meta = meta_of(&live);
            if unchanged_since_create && merge::contains(&live, &object.body) {
                // And as it should be.
                self.remember(root, target, wanted, &Written { meta, whole: None });
                return Ok(Step::Unchanged);
            }
            if let Precondition::Version(read) = &object.precondition
                && meta.resource_version.as_ref() != Some(read)
            {
                return Ok(Step::Stale);
            }
            self.allowed("patch", target)?;
            match self.take_over(target, &meta).await {
                Ok(version) => moved_to = version,
                Err(error) if error.is_conflict() || error.is_not_found() => {
                    return Ok(Step::Stale);
                }
                Err(error) => return Err(self.failed("patch", target, &error)),
            }
        }
        self.allowed("patch", target)?;
        let version = match &object.precondition {
            // Moving ownership made a new version of the same content.
            Precondition::Version(read) => moved_to.as_ref().or(Some(read)),
            Precondition::None | Precondition::Absent => None,
        };
        let mut answer = self
            .objects
            .apply(object, version.map(String::as_str))
            .await;
        if version.is_none() && answer.as_ref().is_err_and(RequestError::is_invalid) {
            answer = self.apply_whole(object, target, &seen.uid).await.or(answer);
        }
        match answer {
            Ok(written) => {
                let same = written.meta.resource_version.as_deref() == Some(seen.version.as_str());
                self.remember(root, target, wanted, &written);
                if same {
                    return Ok(Step::Unchanged);
                }
                if applied.is_some_and(|a| a.uid == seen.uid && a.wanted == wanted) {
                    info!(%target, "drift repaired");
                    self.metrics
                        .drift_repaired(C::IDENTITY.name, target.kind.kind);
                }
                Ok(Step::Updated)
            }
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(Step::Stale),
            Err(error) => Err(self.failed("patch", target, &error)),
        }
    }

    /// Applies an object after its lists became ours as a whole. What somebody put into one of them
    /// stays beside an apply, and what is sound by itself is not beside it: two ports of one name.
    async fn apply_whole(
        &self,
        object: &Planned,
        target: &Target,
        uid: &str,
    ) -> Result<Written, RequestError> {
        let mut body = object.body.clone();
        if let Some(members) = body.as_object_mut() {
            members.retain(|name, _| !matches!(name.as_str(), "apiVersion" | "kind" | "metadata"));
            members.insert("metadata".to_owned(), json!({ "uid": uid }));
        }
        let live: Value = self.objects.merge(target, None, &body).await?;
        self.take_over(target, &meta_of(&live)).await?;
        self.objects.apply(object, None).await
    }

    /// Moves ownership to our manager. Returns the version that this made.
    async fn take_over(
        &self,
        target: &Target,
        meta: &ObjectMeta,
    ) -> Result<Option<String>, RequestError> {
        let identity = C::IDENTITY;
        let Some(fields) = ownership::moved(meta, identity.field_manager, identity.predecessors)
        else {
            return Ok(None);
        };
        let fields = serde_json::to_value(fields)?;
        let version = meta.resource_version.as_deref().unwrap_or_default();
        let moved = self
            .objects
            .set_managed_fields(target, version, &fields)
            .await?;
        info!(%target, "field ownership taken over");
        Ok(moved.resource_version)
    }

    /// Takes in the answer to a write, so that its own event wakes nobody.
    fn remember(&self, root: For<'_>, target: &Target, wanted: u64, written: &Written) {
        let seen = Self::seen(&written.meta, None, Vec::new());
        let digest = seen.ownership.digest;
        let uid = seen.uid.clone();
        self.with_memory(|memory| {
            let (part, roots) = memory
                .seen(target)
                .filter(|before| before.uid == uid)
                .map_or_else(
                    || {
                        (
                            None,
                            self.roots_of(target.kind, &written.meta, &Value::Null),
                        )
                    },
                    |before| (before.part.clone(), before.roots.clone()),
                );
            memory.observe(
                target,
                Seen {
                    part,
                    roots,
                    ..seen
                },
            );
            memory.exists(target, true);
            if let Some(whole) = &written.whole {
                memory.wrote_input(target, whole);
            }
            memory.root(root.key).applied.insert(
                target.clone(),
                Applied {
                    wanted,
                    uid,
                    digest,
                },
            );
        });
    }

    /// Slows down a fight over a field.
    pub(super) fn may_repair(&self, root: For<'_>, target: &Target) -> Result<(), Box<Failed>> {
        if self.with_memory(|memory| memory.root(root.key).may_repair(Instant::now())) {
            return Ok(());
        }
        Err(Box::new(Failed {
            target: target.clone(),
            missing_rule: None,
            message: "somebody else keeps changing fields of this object that the operator sets: \
                      find the other writer in its managedFields"
                .to_owned(),
        }))
    }

    /// The rules known from the start, so that what is forbidden is not even tried.
    pub(super) fn allowed(&self, verb: &'static str, target: &Target) -> Result<(), Box<Failed>> {
        let rule = self.rule(verb, target.kind, &target.name);
        if self
            .permissions
            .allows_in(&rule, target.namespace.as_deref())
        {
            return Ok(());
        }
        let rule = rule.to_string();
        Err(Box::new(Failed {
            target: target.clone(),
            message: format!("the operator's service account lacks the rule `{rule}`"),
            missing_rule: Some(rule),
        }))
    }

    pub(super) fn failed(
        &self,
        verb: &'static str,
        target: &Target,
        error: &RequestError,
    ) -> Box<Failed> {
        let missing_rule = error.is_missing_right().then(|| {
            let rule = self.rule(verb, target.kind, &target.name);
            self.permissions.note_forbidden(&rule);
            rule.to_string()
        });
        Box::new(Failed {
            target: target.clone(),
            missing_rule,
            message: error.sentence(),
        })
    }
}

/// The first of `unwritten` that `object` must not be there without.
fn guard_among(unwritten: &[Target], object: &Planned) -> Option<Target> {
    let guards = |target: &&Target| {
        let mut after = object.after.iter();
        after.any(|(kind, name)| target.kind == *kind && target.name == *name)
    };
    unwritten.iter().find(guards).cloned()
}

fn target_of(object: &Planned) -> Target {
    Target {
        kind: object.kind,
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    }
}

pub(super) fn meta_of(object: &Value) -> ObjectMeta {
    object
        .get("metadata")
        .and_then(|meta| serde_json::from_value(meta.clone()).ok())
        .unwrap_or_default()
}
