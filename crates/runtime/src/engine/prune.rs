//! Deletions: of what no plan asks for any more, and of what would stay when a resource goes.

use resources::Plan;
use tracing::debug;

use super::{
    Engine,
    apply::For,
    memory::{RootKey, Seen},
};
use crate::{
    component::Component,
    outcome::{Failed, Outcome, Target},
};

impl<C: Component> Engine<C> {
    /// Deletes what an earlier plan made and this one does not.
    pub(super) async fn prune(&self, root: For<'_>, plan: &Plan, outcome: &mut Outcome) {
        let mut superfluous: Vec<(Target, String)> = self.with_memory(|memory| {
            memory
                .of_root(root.key)
                .filter(|(target, seen)| {
                    !seen.deleting
                        && self.is_prunable(root, target, seen)
                        && !plan.has(target.kind, target.namespace.as_deref(), &target.name)
                })
                .map(|(target, seen)| (target.clone(), seen.uid.clone()))
                .collect()
        });
        for retired in plan.retired() {
            let target = Target {
                kind: retired.kind,
                namespace: Some(retired.namespace.clone()),
                name: retired.name.clone(),
            };
            let seen = self.with_memory(|memory| memory.seen(&target).cloned());
            let Some(seen) = seen.filter(|seen| !seen.deleting) else {
                continue;
            };
            match self.is_labelled(&target, &seen, &retired.identity).await {
                Ok(true) => superfluous.push((target, seen.uid)),
                Ok(false) => {}
                Err(failed) => outcome.failed.push(*failed),
            }
        }
        for (target, uid) in superfluous {
            match self.delete(root, &target, &uid).await {
                Ok(()) => outcome.pruned.push(target),
                Err(failed) => outcome.failed.push(*failed),
            }
        }
    }

    /// Deletes what the garbage collector cannot follow, before the resource goes. Returns what is
    /// left.
    pub(super) async fn part_with(&self, root: For<'_>) -> Vec<Failed> {
        let mine: Vec<(Target, String)> = self.with_memory(|memory| {
            memory
                .of_root(root.key)
                .filter(|(target, seen)| {
                    seen.controller.is_none() && self.is_prunable(root, target, seen)
                })
                .map(|(target, seen)| (target.clone(), seen.uid.clone()))
                .collect()
        });
        let mut left = Vec::new();
        for (target, uid) in mine {
            if let Err(failed) = self.delete(root, &target, &uid).await {
                left.push(*failed);
            }
        }
        left
    }

    /// What belongs to the resource and is not in `plan`, but in the cluster still.
    pub(super) fn remaining(&self, root: For<'_>, plan: &Plan) -> Option<Target> {
        self.with_memory(|memory| {
            memory
                .of_root(root.key)
                .find(|(target, seen)| {
                    self.is_prunable(root, target, seen)
                        && !plan.has(target.kind, target.namespace.as_deref(), &target.name)
                })
                .map(|(target, _)| target.clone())
        })
    }

    /// Ours to delete: controlled by the resource; or out of reach of owner references and
    /// labelled as the resource's.
    fn is_prunable(&self, root: For<'_>, target: &Target, seen: &Seen) -> bool {
        let owned = self
            .component
            .kinds()
            .iter()
            .any(|w| w.kind == target.kind && w.owned);
        owned
            && !self.component.undeleted().contains(&target.kind)
            && match &seen.controller {
                Some(uid) => uid == root.uid,
                None => {
                    target.namespace != root.key.namespace
                        && (seen.roots.contains(root.key) || self.is_only_one(root.key))
                }
            }
    }

    /// Whether no other resource in the cluster has this name.
    fn is_only_one(&self, key: &RootKey) -> bool {
        self.root_keys()
            .iter()
            .filter(|other| other.name == key.name)
            .count()
            <= 1
    }

    async fn delete(&self, root: For<'_>, target: &Target, uid: &str) -> Result<(), Box<Failed>> {
        self.allowed("delete", target)?;
        self.objects
            .delete(target, uid)
            .await
            .map_err(|error| self.failed("delete", target, &error))?;
        debug!(%target, "deleted");
        self.with_memory(|memory| memory.root(root.key).applied.remove(target));
        Ok(())
    }
}
