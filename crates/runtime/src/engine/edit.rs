//! Changes of other people's objects that no apply can express: an item of a list that is written
//! as one string.

use std::sync::Arc;

use resources::{Change, Edit};
use serde_json::{Value, json};
use tracing::info;

use super::{
    Engine,
    apply::{For, meta_of},
    objects::RequestError,
};
use crate::{
    component::Component,
    outcome::{Failed, Outcome, Target},
};

/// Attempts in all, when somebody else keeps writing between our read and our write.
const ATTEMPTS: u8 = 5;

/// What an edit did.
enum Step {
    Changed,
    /// It was so already, or it is not there any more.
    Unchanged,
    /// Others wrote between every read and write.
    Stale,
}

impl<C: Component> Engine<C> {
    /// Makes the changes, one after the other.
    pub(super) async fn edit(&self, root: For<'_>, edits: &[Edit], outcome: &mut Outcome) {
        for edit in edits {
            let target = Target {
                kind: edit.kind,
                namespace: edit.namespace.clone(),
                name: edit.name.clone(),
            };
            match self.edit_one(root, edit, &target).await {
                Ok(Step::Changed) => outcome.updated.push(target),
                Ok(Step::Unchanged) => {}
                Ok(Step::Stale) => outcome.stale = true,
                Err(failed) => outcome.failed.push(*failed),
            }
        }
    }

    /// Reads the object, and writes what it needs over the version that was read; from the start
    /// when somebody was faster.
    async fn edit_one(
        &self,
        root: For<'_>,
        edit: &Edit,
        target: &Target,
    ) -> Result<Step, Box<Failed>> {
        for _ in 0..ATTEMPTS {
            self.allowed("get", target)?;
            let live = self.objects.get(target).await;
            let live = live.map_err(|error| self.failed("get", target, &error))?;
            let Some(live) = live else {
                return Ok(Step::Unchanged);
            };
            let meta = meta_of(&live);
            if meta.uid.as_ref() != Some(&edit.uid) || meta.deletion_timestamp.is_some() {
                return Ok(Step::Unchanged);
            }
            let change = (edit.change)(&live, &edit.wanted);
            let verb = match change {
                Change::Nothing => return Ok(Step::Unchanged),
                Change::Merge(_) => "patch",
                Change::Delete => "delete",
            };
            self.allowed(verb, target)?;
            if self.with_memory(|memory| memory.root(root.key).edited.contains(target)) {
                self.may_repair(root, target)?;
            }
            let version = meta.resource_version.unwrap_or_default();
            match self.write_edit(edit, target, &version, change).await {
                Ok(()) => {
                    info!(%target, verb, "edited");
                    self.with_memory(|memory| memory.root(root.key).edited.insert(target.clone()));
                    return Ok(Step::Changed);
                }
                Err(error) if error.is_conflict() => {}
                Err(error) if error.is_not_found() => return Ok(Step::Unchanged),
                Err(error) => return Err(self.failed(verb, target, &error)),
            }
        }
        Ok(Step::Stale)
    }

    async fn write_edit(
        &self,
        edit: &Edit,
        target: &Target,
        version: &str,
        change: Change,
    ) -> Result<(), RequestError> {
        let mut patch = match change {
            Change::Nothing => return Ok(()),
            Change::Delete => {
                return self.objects.delete_at(target, &edit.uid, version).await;
            }
            Change::Merge(patch) => patch,
        };
        json_patch::merge(
            &mut patch,
            &json!({"metadata": {"resourceVersion": version}}),
        );
        let mut written: Value = self.objects.merge(target, None, &patch).await?;
        if let Some(meta) = written.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
        // Its own event asks nobody to read it again.
        self.with_memory(|memory| memory.wrote_input(target, &Arc::new(written)));
        Ok(())
    }
}
