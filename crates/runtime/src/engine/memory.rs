//! What the loop remembers between passes. All of it can be lost: a restart compares or applies
//! everything once, and writes nothing that is already so.

mod inputs;
mod root;
mod seen;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use resources::Kind;

use self::inputs::{Existing, Input};
pub(super) use self::{
    inputs::Shown,
    root::{Applied, Root, wanted},
    seen::Seen,
};
use super::share::Shares;
use crate::outcome::Target;

/// Address of a resource: namespace (none when cluster-scoped) and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct RootKey {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

impl RootKey {
    /// Every resource of this name: objects whose labels do not say a namespace belong to it.
    pub(super) fn any_namespace(&self) -> Self {
        Self {
            namespace: None,
            name: self.name.clone(),
        }
    }

    /// Every resource of this namespace: objects that matter to all of them.
    pub(super) fn whole_namespace(&self) -> Self {
        Self {
            namespace: self.namespace.clone(),
            name: String::new(),
        }
    }

    /// Whether this key, full, by name or by namespace, means that resource.
    pub(super) fn means(&self, root: &Self) -> bool {
        (self.name == root.name || self.name.is_empty())
            && (self.namespace.is_none() || self.namespace == root.namespace)
    }
}

/// Memory of one component, whose resources are `K`.
pub(super) struct Memory<K> {
    seen: HashMap<Kind, BTreeMap<(Option<String>, String), Seen>>,
    by_root: HashMap<RootKey, BTreeSet<Target>>,
    inputs: HashMap<Target, Input>,
    roots: HashMap<RootKey, Root<K>>,
    /// Resources that wait for a pass.
    waiting: HashSet<RootKey>,
    /// Hashes of the addresses of all objects of the kinds that are watched whole, so that
    /// asking for an absent one costs no request.
    existing: HashMap<Kind, Existing>,
    /// uid and last version of objects that went a moment ago.
    gone: VecDeque<(String, String)>,
    pub(super) shares: Shares,
}

impl<K> Default for Memory<K> {
    fn default() -> Self {
        Self {
            seen: HashMap::new(),
            by_root: HashMap::new(),
            inputs: HashMap::new(),
            roots: HashMap::new(),
            waiting: HashSet::new(),
            existing: HashMap::new(),
            gone: VecDeque::new(),
            shares: Shares::default(),
        }
    }
}

impl<K> Memory<K> {
    pub(super) fn root(&mut self, key: &RootKey) -> &mut Root<K> {
        self.roots.entry(key.clone()).or_default()
    }

    pub(super) fn root_ref(&self, key: &RootKey) -> Option<&Root<K>> {
        self.roots.get(key)
    }

    /// A pass is wanted. Returns how many resources wait.
    pub(super) fn wait_for_pass(&mut self, key: &RootKey) -> usize {
        self.waiting.insert(key.clone());
        self.waiting.len()
    }

    /// A pass begins. Returns how many resources wait.
    pub(super) fn begin_pass(&mut self, key: &RootKey) -> usize {
        self.waiting.remove(key);
        self.waiting.len()
    }

    /// The resource is gone.
    pub(super) fn forget(&mut self, key: &RootKey) {
        self.roots.remove(key);
        self.waiting.remove(key);
        self.shares.forget(key);
        self.forget_reader(key);
    }
}

/// Whether resource version `a` is later than `b`. They are decimal numbers that grow within a
/// cluster; what is no number counts as later, so that news is never lost.
pub(super) fn is_newer(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a > b,
        _ => a != b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_newer("10", "9"));
        assert!(!is_newer("9", "10"));
        assert!(!is_newer("9", "9"));
        assert!(is_newer("x", "9"));
    }
}
