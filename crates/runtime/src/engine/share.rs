//! Fields of other people's objects: applied with a field manager per resource and subject, and
//! taken back by applying nothing with it.
//!
//! The manager says who wants what, so the object itself remembers what has to be undone, and a
//! restart forgets nothing.

use std::collections::{BTreeMap, HashMap};

use kube::core::ObjectMeta;
use resources::{Kind, Share, share};
use serde_json::Value;
use tracing::{debug, info};

use super::{
    Engine,
    apply::{For, meta_of},
    memory::{RootKey, is_newer},
    objects::RequestError,
    ownership,
    shown::digest,
};
use crate::{
    component::Component,
    outcome::{Failed, Outcome, Target},
};

/// What is remembered of shares and of the objects that have them.
#[derive(Default)]
pub(super) struct Shares {
    /// Objects with fields of ours, and objects that a plan has a share of.
    held: HashMap<Target, Held>,
    /// What was tried last, by object and manager.
    made: HashMap<Target, BTreeMap<String, Made>>,
}

/// What an object's managed fields say about shares.
#[derive(Clone, Debug)]
struct Held {
    uid: String,
    version: String,
    /// Digests of the fields of each manager of ours.
    managers: BTreeMap<String, u64>,
}

struct Made {
    root: RootKey,
    share: Share,
    /// Of the manager's fields, right after the write.
    digest: Option<u64>,
    /// Somebody else had set one of the values, at this version.
    contested: Option<String>,
}

/// What has to be done for a share.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    Nothing,
    /// The object has not changed since somebody else's value was met.
    StillContested,
    Apply,
    /// Somebody changed what was applied.
    Repair,
}

/// What the attempt to apply a share did.
enum Step {
    Updated,
    Unchanged,
    Contested,
    Stale,
}

/// The field manager of one subject of one resource.
fn manager_of(component: &str, subject: &str, root_uid: &str) -> String {
    format!("{component}/{subject}/{root_uid}")
}

impl Shares {
    /// Takes in an object that a watch or an answer has shown. Returns the resources that must
    /// look at their shares of it.
    pub(super) fn observe(
        &mut self,
        target: &Target,
        meta: &ObjectMeta,
        component: &str,
    ) -> Vec<RootKey> {
        let made = self.made.get(target);
        let shown = Held::of(meta, component);
        if shown.managers.is_empty() && made.is_none() {
            self.held.remove(target);
            return Vec::new();
        }
        if self.held.get(target).is_some_and(|before| {
            before.uid == shown.uid && !is_newer(&shown.version, &before.version)
        }) {
            return Vec::new();
        }
        let concerned = made.into_iter().flatten().filter(|(manager, made)| {
            made.share.uid != shown.uid
                || made
                    .contested
                    .as_ref()
                    .map_or(shown.managers.get(*manager) != made.digest.as_ref(), |at| {
                        *at != shown.version
                    })
        });
        let roots = concerned.map(|(_, made)| made.root.clone()).collect();
        self.held.insert(target.clone(), shown);
        roots
    }

    /// The object is gone. `uid` guards against the news of an earlier object of the same name.
    pub(super) fn vanish(&mut self, target: &Target, uid: Option<&str>) {
        let another = |held: &Held| uid.is_some_and(|uid| uid != held.uid);
        if !self.held.get(target).is_some_and(another) {
            self.held.remove(target);
            self.made.remove(target);
        }
    }

    /// Addresses of all objects of a kind, in one namespace or in all.
    pub(super) fn targets(&self, kind: Kind, namespace: Option<&str>) -> Vec<Target> {
        let of_kind = self.held.keys().filter(|target| {
            target.kind == kind && (namespace.is_none() || target.namespace.as_deref() == namespace)
        });
        of_kind.cloned().collect()
    }

    /// The resource is gone.
    pub(super) fn forget(&mut self, root: &RootKey) {
        self.retain_made(|_, made| made.root != *root);
    }

    fn retain_made(&mut self, keep: impl Fn(&str, &Made) -> bool) {
        self.made.retain(|_, made| {
            made.retain(|manager, made| keep(manager, made));
            !made.is_empty()
        });
    }

    fn need(&self, target: &Target, manager: &str, share: &Share) -> Need {
        let made = self.made.get(target).and_then(|made| made.get(manager));
        let (Some(made), Some(held)) = (made, self.held.get(target)) else {
            return Need::Apply;
        };
        if made.share != *share || held.uid != share.uid {
            return Need::Apply;
        }
        match &made.contested {
            Some(at) if *at == held.version => Need::StillContested,
            Some(_) => Need::Apply,
            None if held.managers.get(manager) == made.digest.as_ref() => Need::Nothing,
            None => Need::Repair,
        }
    }

    /// What this resource holds and `wanted` does not name: target, manager and uid.
    fn left_over(
        &self,
        root_uid: &str,
        wanted: &[(Target, String)],
    ) -> Vec<(Target, String, String)> {
        let is_of_root =
            |manager: &str| manager.rsplit_once('/').map(|(_, uid)| uid) == Some(root_uid);
        self.held
            .iter()
            .flat_map(|(target, held)| {
                let managers = held.managers.keys().filter(|manager| is_of_root(manager));
                managers.map(move |manager| (target.clone(), manager.clone(), held.uid.clone()))
            })
            .filter(|(target, manager, _)| !wanted.iter().any(|(t, m)| t == target && m == manager))
            .collect()
    }
}

impl Held {
    fn of(meta: &ObjectMeta, component: &str) -> Self {
        let mut managers = BTreeMap::new();
        for entry in meta.managed_fields.iter().flatten() {
            let manager = entry.manager.as_deref().unwrap_or_default();
            let ours = manager
                .strip_prefix(component)
                .is_some_and(|rest| rest.starts_with('/'));
            if !ours || entry.subresource.is_some() || !ownership::is_apply(entry) {
                continue;
            }
            let fields = entry.fields_v1.as_ref().map_or(0, digest);
            managers.insert(manager.to_owned(), fields);
        }
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            managers,
        }
    }
}

impl<C: Component> Engine<C> {
    /// Makes the shares of the resource those of its plan.
    pub(super) async fn share(&self, root: For<'_>, shares: &[Share], outcome: &mut Outcome) {
        let wanted: Vec<(Target, String)> = shares
            .iter()
            .map(|share| (target_of(share), manager_for::<C>(root, share)))
            .collect();
        for (share, (target, manager)) in shares.iter().zip(&wanted) {
            match self.share_one(root, share, target, manager).await {
                Ok(Step::Updated) => outcome.updated.push(target.clone()),
                Ok(Step::Unchanged) => {}
                Ok(Step::Contested) => outcome.contested.push(target.clone()),
                Ok(Step::Stale) => outcome.stale = true,
                Err(failed) => outcome.failed.push(*failed),
            }
        }
        self.take_back(root, &wanted, outcome).await;
    }

    /// Undoes what the resource shares and `wanted` does not name.
    pub(super) async fn take_back(
        &self,
        root: For<'_>,
        wanted: &[(Target, String)],
        outcome: &mut Outcome,
    ) {
        let left = self.with_memory(|memory| {
            memory.shares.retain_made(|manager, made| {
                let is_wanted = || wanted.iter().any(|(_, m)| m == manager);
                made.root != *root.key || is_wanted()
            });
            memory.shares.left_over(root.uid, wanted)
        });
        for (target, manager, uid) in left {
            if let Err(failed) = self.allowed("patch", &target) {
                outcome.failed.push(*failed);
                continue;
            }
            let nothing = share::fields_of(target.kind, &target.name, &uid, &Value::Null);
            let answer = self.objects.share(&target, &nothing, &manager, false).await;
            match answer {
                Ok(meta) => {
                    debug!(%target, manager, "fields given back");
                    self.note(&target, &meta);
                    outcome.updated.push(target);
                }
                // Gone, or another object of the name.
                Err(error) if error.is_not_found() => {}
                Err(error) if error.is_conflict() => outcome.stale = true,
                Err(error) => outcome.failed.push(*self.failed("patch", &target, &error)),
            }
        }
    }

    async fn share_one(
        &self,
        root: For<'_>,
        share: &Share,
        target: &Target,
        manager: &str,
    ) -> Result<Step, Box<Failed>> {
        let need = self.with_memory(|memory| memory.shares.need(target, manager, share));
        match need {
            Need::Nothing => return Ok(Step::Unchanged),
            Need::StillContested => return Ok(Step::Contested),
            Need::Apply => {}
            Need::Repair => self.may_repair(root, target)?,
        }
        self.allowed("get", target)?;
        self.allowed("patch", target)?;
        let live = self.objects.get(target).await;
        let live = live.map_err(|error| self.failed("get", target, &error))?;
        let before = live.as_ref().map(meta_of).unwrap_or_default();
        if before.uid.as_ref() != Some(&share.uid) || before.deletion_timestamp.is_some() {
            // It is gone. Whoever read its uid learns that from the same watch.
            return Ok(Step::Unchanged);
        }
        match self.apply_share(share, target, manager, &before).await {
            Ok((meta, contested)) => {
                let held = Held::of(&meta, C::IDENTITY.field_manager);
                let made = Made {
                    root: root.key.clone(),
                    share: share.clone(),
                    digest: held.managers.get(manager).copied(),
                    contested: contested.then_some(held.version),
                };
                self.with_memory(|memory| {
                    let of_object = memory.shares.made.entry(target.clone()).or_default();
                    of_object.insert(manager.to_owned(), made);
                });
                self.note(target, &meta);
                if contested {
                    return Ok(Step::Contested);
                }
                if meta.resource_version == before.resource_version {
                    return Ok(Step::Unchanged);
                }
                if need == Need::Repair {
                    info!(%target, manager, "drift repaired");
                    self.metrics
                        .drift_repaired(C::IDENTITY.name, target.kind.kind);
                }
                Ok(Step::Updated)
            }
            Err(error) if error.is_conflict() || error.is_not_found() => Ok(Step::Stale),
            Err(error) => Err(self.failed("patch", target, &error)),
        }
    }

    /// Applies the fields, after those of them that a predecessor holds became ours. Returns the
    /// object's metadata, and whether somebody else's value kept everything as it was.
    async fn apply_share(
        &self,
        share: &Share,
        target: &Target,
        manager: &str,
        before: &ObjectMeta,
    ) -> Result<(ObjectMeta, bool), RequestError> {
        let predecessors = C::IDENTITY.predecessors;
        let fields = ownership::moved_part(before, manager, predecessors, &share.body);
        let moved = match &fields {
            None => None,
            Some(fields) => {
                let version = before.resource_version.as_deref().unwrap_or_default();
                let fields = serde_json::to_value(fields)?;
                let moved = self.objects.set_managed_fields(target, version, &fields);
                Some(moved.await?)
            }
        };
        let body = share.object();
        let answer = self.objects.share(target, &body, manager, share.overwrite);
        match answer.await {
            Ok(meta) => Ok((meta, false)),
            Err(error) if error.is_contested() => match moved {
                None => Ok((before.clone(), true)),
                Some(moved) => {
                    let version = moved.resource_version.as_deref().unwrap_or_default();
                    let fields = serde_json::to_value(&before.managed_fields)?;
                    let restored = self.objects.set_managed_fields(target, version, &fields);
                    Ok((restored.await?, true))
                }
            },
            Err(error) => Err(error),
        }
    }

    /// Takes in the answer to a write, so that its own event wakes nobody.
    fn note(&self, target: &Target, meta: &ObjectMeta) {
        let woken = self.with_memory(|memory| {
            memory
                .shares
                .observe(target, meta, C::IDENTITY.field_manager)
        });
        self.wake(woken);
    }
}

fn manager_for<C: Component>(root: For<'_>, share: &Share) -> String {
    manager_of(C::IDENTITY.field_manager, share.subject, root.uid)
}

fn target_of(share: &Share) -> Target {
    Target {
        kind: share.kind,
        namespace: share.namespace.clone(),
        name: share.name.clone(),
    }
}
