//! What is remembered of one resource: what was applied for it, how often passes failed, and which
//! version of it we wrote.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Resource, ResourceExt};
use resources::Planned;
use sha2::{Digest, Sha256};

use super::{Memory, RootKey, Seen, is_newer};
use crate::outcome::Target;

/// Memory of one resource.
pub(in crate::engine) struct Root<K> {
    pub(in crate::engine) applied: HashMap<Target, Applied>,
    /// Passes in a row that ended in an error.
    pub(in crate::engine) failures: u32,
    /// The newest version that a write of ours returned.
    pub(in crate::engine) latest: Option<Arc<K>>,
    /// Version of our own last write, once the watch has shown it.
    pub(in crate::engine) written: Option<String>,
    /// Repairs of drift in the current window, to slow down a fight over a field.
    pub(in crate::engine) repairs: u32,
    pub(in crate::engine) repairs_since: Option<Instant>,
    /// Objects of somebody else that were edited: once more is a repair.
    pub(in crate::engine) edited: HashSet<Target>,
    /// It has asked for the other resources of its namespace.
    pub(in crate::engine) heeds_neighbours: bool,
}

impl<K> Default for Root<K> {
    fn default() -> Self {
        Self {
            applied: HashMap::new(),
            failures: 0,
            latest: None,
            written: None,
            repairs: 0,
            repairs_since: None,
            edited: HashSet::new(),
            heeds_neighbours: false,
        }
    }
}

/// What was written last for one object of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::engine) struct Applied {
    /// Of the planned body.
    pub(in crate::engine) wanted: u64,
    /// The object it was written to.
    pub(in crate::engine) uid: String,
    /// Our ownership right after the write.
    pub(in crate::engine) digest: u64,
}

/// So many repairs within [`REPAIR_WINDOW`] are done at once; beyond them, another writer wants
/// something else, and the resource backs off.
const REPAIRS: u32 = 20;
const REPAIR_WINDOW: Duration = Duration::from_mins(1);

impl<K: Resource> Root<K> {
    /// The watch shows this version of the resource. Returns whether it is no newer than our own
    /// last write; when it is as new, the answer to that write need not be kept any more.
    pub(in crate::engine) fn caught_up(&mut self, version: &str) -> bool {
        let Some(ours) = self
            .latest
            .as_ref()
            .and_then(|latest| latest.resource_version())
        else {
            return self.written.as_deref() == Some(version);
        };
        if is_newer(&ours, version) {
            return true;
        }
        self.latest = None;
        let same = ours == version;
        self.written = Some(ours);
        same
    }
}

impl<K> Root<K> {
    /// Counts a repair of drift. `false`: there were too many in a short time.
    pub(in crate::engine) fn may_repair(&mut self, now: Instant) -> bool {
        if self
            .repairs_since
            .is_none_or(|since| now.duration_since(since) > REPAIR_WINDOW)
        {
            self.repairs_since = Some(now);
            self.repairs = 0;
        }
        self.repairs = self.repairs.saturating_add(1);
        self.repairs <= REPAIRS
    }
}

impl<K> Memory<K> {
    /// The object was found to be as wanted, without a write.
    pub(in crate::engine) fn remember_applied(
        &mut self,
        root: &RootKey,
        target: &Target,
        wanted: u64,
        seen: &Seen,
    ) {
        let applied = Applied {
            wanted,
            uid: seen.uid.clone(),
            digest: seen.ownership.digest,
        };
        self.root(root).applied.insert(target.clone(), applied);
    }
}

/// Fingerprint of a planned object. It outlives the process in managed fields, so it is the same
/// whatever the compiler.
pub(in crate::engine) fn wanted(object: &Planned) -> u64 {
    let mut digest = Sha256::new();
    // A hasher takes every byte.
    let _ = serde_json::to_writer(&mut digest, &object.body);
    digest
        .finalize()
        .iter()
        .take(8)
        .fold(0, |print, byte| print << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fight_over_a_field_is_slowed_down() {
        let mut root = Root::<()>::default();
        let start = Instant::now();
        assert!((0..REPAIRS).all(|_| root.may_repair(start)));
        assert!(!root.may_repair(start));
        assert!(root.may_repair(start + REPAIR_WINDOW + Duration::from_secs(1)));
    }
}
