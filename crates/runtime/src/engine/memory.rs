//! What the loop remembers between passes. All of it can be lost: a restart compares or applies
//! everything once, and writes nothing that is already so.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::{Duration, Instant},
};

use kube::{Resource, ResourceExt, core::ObjectMeta};
use resources::{Kind, Planned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{ownership::Ownership, share::Shares};
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

    /// Whether this key, full or by name, means that resource.
    pub(super) fn means(&self, root: &Self) -> bool {
        self.name == root.name && (self.namespace.is_none() || self.namespace == root.namespace)
    }
}

/// An object that the watches have shown.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) uid: String,
    pub(super) version: String,
    pub(super) ownership: Ownership,
    /// uid of the controller, if it has one.
    pub(super) controller: Option<String>,
    /// Labels; kept only when there is no controller, to tell whose it is.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) deleting: bool,
    /// The kept part of the object, as JSON text: compact, and parsed when a status is made.
    pub(super) part: Option<Box<str>>,
    /// Resources that it belongs to.
    pub(super) roots: Vec<RootKey>,
}

/// What was written last for one object of one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Of the planned body.
    pub(super) wanted: u64,
    /// The object it was written to.
    pub(super) uid: String,
    /// Our ownership right after the write.
    pub(super) digest: u64,
}

/// An input that was read, kept until its watch shows a change.
#[derive(Default)]
struct Input {
    readers: HashSet<RootKey>,
    /// Version that the watch showed last: an answer from before it is not kept.
    shown: Option<Shown>,
    known: Option<Content>,
}

/// What is known of an input without a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// There is no such object.
    Absent,
    /// The object.
    Present(Arc<Value>),
}

impl From<Option<Arc<Value>>> for Content {
    fn from(value: Option<Arc<Value>>) -> Self {
        value.map_or(Self::Absent, Self::Present)
    }
}

impl From<Content> for Option<Arc<Value>> {
    fn from(content: Content) -> Self {
        match content {
            Content::Absent => None,
            Content::Present(value) => Some(value),
        }
    }
}

/// What a watch showed of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// It is there, at this version.
    At(String),
    /// It is gone.
    Gone,
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
    pub(super) shares: Shares,
}

#[derive(Default)]
struct Existing {
    addresses: HashSet<u64>,
    /// The first list was read to its end.
    complete: bool,
}

/// Memory of one resource.
pub(super) struct Root<K> {
    pub(super) applied: HashMap<Target, Applied>,
    /// Passes in a row that ended in an error.
    pub(super) failures: u32,
    /// The newest version that a write of ours returned.
    pub(super) latest: Option<Arc<K>>,
    /// Version of our own last write, once the watch has shown it.
    pub(super) written: Option<String>,
    /// Repairs of drift in the current window, to slow down a fight over a field.
    pub(super) repairs: u32,
    pub(super) repairs_since: Option<Instant>,
}

/// Largest input that is kept between passes, as JSON text. A larger one is read again.
const LARGEST_KEPT_INPUT: usize = 64 * 1024;

impl<K> Default for Memory<K> {
    fn default() -> Self {
        Self {
            seen: HashMap::new(),
            by_root: HashMap::new(),
            inputs: HashMap::new(),
            roots: HashMap::new(),
            waiting: HashSet::new(),
            existing: HashMap::new(),
            shares: Shares::default(),
        }
    }
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
        }
    }
}

impl<K> Memory<K> {
    /// Takes in an object that a watch or an answer has shown. Returns the resources that must
    /// be looked at: all it belongs or belonged to, if anything that matters is new.
    pub(super) fn observe(&mut self, target: &Target, seen: Seen) -> Vec<RootKey> {
        let objects = self.seen.entry(target.kind).or_default();
        let key = (target.namespace.clone(), target.name.clone());
        let before = objects.get(&key);
        // The answer to a write of ours tells the version before the watch shows what is kept of
        // it: the same version is news once more.
        let is_old = |b: &Seen| b.version != seen.version && !is_newer(&seen.version, &b.version);
        if before.is_some_and(|b| b.uid == seen.uid && is_old(b)) {
            return Vec::new();
        }
        let mut affected: BTreeSet<RootKey> = BTreeSet::new();
        let same = before.is_some_and(|b| {
            b.uid == seen.uid
                && b.ownership == seen.ownership
                && b.deleting == seen.deleting
                && b.part == seen.part
                && b.controller == seen.controller
                && b.roots == seen.roots
        });
        if !same {
            affected.extend(seen.roots.iter().cloned());
        }
        let left: Vec<RootKey> = before
            .into_iter()
            .flat_map(|b| {
                b.roots
                    .iter()
                    .filter(|root| !seen.roots.contains(root))
                    .cloned()
            })
            .collect();
        for root in left {
            self.unlink(&root, target);
            affected.insert(root);
        }
        for root in &seen.roots {
            self.by_root
                .entry(root.clone())
                .or_default()
                .insert(target.clone());
        }
        self.seen.entry(target.kind).or_default().insert(key, seen);
        affected.into_iter().collect()
    }

    /// The object is gone. `uid` guards against the news of an earlier object of the same name.
    pub(super) fn vanish(&mut self, target: &Target, uid: Option<&str>) -> Vec<RootKey> {
        let key = (target.namespace.clone(), target.name.clone());
        let Some(objects) = self.seen.get_mut(&target.kind) else {
            return Vec::new();
        };
        if objects
            .get(&key)
            .is_some_and(|seen| uid.is_some_and(|uid| uid != seen.uid))
        {
            return Vec::new();
        }
        let Some(gone) = objects.remove(&key) else {
            return Vec::new();
        };
        for root in &gone.roots {
            self.unlink(root, target);
        }
        gone.roots
    }

    fn unlink(&mut self, root: &RootKey, target: &Target) {
        if let Some(targets) = self.by_root.get_mut(root) {
            targets.remove(target);
            if targets.is_empty() {
                self.by_root.remove(root);
            }
        }
    }

    /// Addresses of all seen objects of a kind, in one namespace or in all.
    pub(super) fn targets(&self, kind: Kind, namespace: Option<&str>) -> Vec<Target> {
        self.seen
            .get(&kind)
            .into_iter()
            .flat_map(BTreeMap::keys)
            .filter(|(ns, _)| namespace.is_none() || ns.as_deref() == namespace)
            .map(|(namespace, name)| Target {
                kind,
                namespace: namespace.clone(),
                name: name.clone(),
            })
            .collect()
    }

    pub(super) fn seen(&self, target: &Target) -> Option<&Seen> {
        self.seen
            .get(&target.kind)?
            .get(&(target.namespace.clone(), target.name.clone()))
    }

    /// Everything seen that belongs to the resource, by its full address or, where labels do not
    /// say the namespace, by its name.
    pub(super) fn of_root(&self, root: &RootKey) -> impl Iterator<Item = (&Target, &Seen)> {
        let by_name = root.namespace.is_some().then(|| root.any_namespace());
        self.by_root
            .get(root)
            .into_iter()
            .chain(by_name.and_then(|key| self.by_root.get(&key)))
            .flatten()
            .filter_map(|target| self.seen(target).map(|seen| (target, seen)))
    }

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
        self.inputs.retain(|_, input| {
            input.readers.remove(key);
            !input.readers.is_empty()
        });
    }

    /// The watch of this kind shows every object: from now on, or, once its first list is
    /// `complete`, so far that an absent object can be told.
    pub(super) fn know_all(&mut self, kind: Kind, complete: bool) {
        self.existing.entry(kind).or_default().complete |= complete;
    }

    /// The kind is not watched any more.
    pub(super) fn know_nothing(&mut self, kind: Kind) {
        self.existing.remove(&kind);
    }

    /// An object of a kind that is watched whole is there, or not any more.
    pub(super) fn exists(&mut self, target: &Target, there: bool) {
        if let Some(known) = self.existing.get_mut(&target.kind) {
            if there {
                known.addresses.insert(address_hash(target));
            } else {
                known.addresses.remove(&address_hash(target));
            }
        }
    }

    /// Remembers that the resource reads this input, and returns its content if it is known.
    pub(super) fn begin_read(&mut self, root: &RootKey, input: &Target) -> Option<Content> {
        let entry = self.inputs.entry(input.clone()).or_default();
        entry.readers.insert(root.clone());
        if let Some(content) = &entry.known {
            return Some(content.clone());
        }
        let known = self.existing.get(&input.kind)?;
        (known.complete && !known.addresses.contains(&address_hash(input)))
            .then_some(Content::Absent)
    }

    /// Keeps an answer, unless the watch has shown something newer while it was on its way.
    pub(super) fn end_read(&mut self, input: &Target, value: Option<Arc<Value>>) {
        let Some(entry) = self.inputs.get_mut(input) else {
            return;
        };
        let small = value
            .as_ref()
            .is_none_or(|v| v.to_string().len() <= LARGEST_KEPT_INPUT);
        let fresh = match (&entry.shown, &value) {
            (None, _) | (Some(Shown::Gone), None) => true,
            (Some(Shown::At(shown)), Some(value)) => !is_newer(shown.as_str(), version_of(value)),
            // There, or gone and there again: the watch will say so.
            (Some(Shown::At(_)), None) | (Some(Shown::Gone), Some(_)) => false,
        };
        if small && fresh {
            entry.known = Some(value.into());
        }
    }

    /// The content of an object that somebody reads as an input, if it is known at this version.
    pub(super) fn peek_input(&self, input: &Target, version: &str) -> Option<Arc<Value>> {
        match self.inputs.get(input)?.known.as_ref()? {
            Content::Present(value) if version_of(value) == version => Some(Arc::clone(value)),
            _ => None,
        }
    }

    /// The object was found to be as wanted, without a write.
    pub(super) fn remember_applied(
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

    /// We wrote an object that may be an input: its content is known without a request.
    pub(super) fn wrote_input(&mut self, input: &Target, value: &Arc<Value>) {
        if self.inputs.contains_key(input) {
            self.end_read(input, Some(Arc::clone(value)));
        }
    }

    /// A watch has shown this object: who reads it and has to look again?
    pub(super) fn input_shown(&mut self, input: &Target, shown: Shown) -> Vec<RootKey> {
        let Some(entry) = self.inputs.get_mut(input) else {
            return Vec::new();
        };
        let known = match (&entry.known, &shown) {
            (Some(Content::Present(value)), Shown::At(version)) => {
                !is_newer(version.as_str(), version_of(value))
            }
            (Some(Content::Absent), Shown::Gone) => true,
            _ => false,
        };
        entry.shown = Some(shown);
        if known {
            return Vec::new();
        }
        entry.known = None;
        entry.readers.iter().cloned().collect()
    }

    /// All inputs of a kind that anybody reads, in one namespace or in all.
    pub(super) fn inputs_of(&self, kind: Kind, namespace: Option<&str>) -> Vec<Target> {
        self.inputs
            .keys()
            .filter(|t| {
                t.kind == kind && (namespace.is_none() || t.namespace.as_deref() == namespace)
            })
            .cloned()
            .collect()
    }
}

/// So many repairs within [`REPAIR_WINDOW`] are done at once; beyond them, another writer wants
/// something else, and the resource backs off.
const REPAIRS: u32 = 20;
const REPAIR_WINDOW: Duration = Duration::from_mins(1);

impl<K: Resource> Root<K> {
    /// The watch shows this version of the resource. Returns whether it is no newer than our own
    /// last write; when it is as new, the answer to that write need not be kept any more.
    pub(super) fn caught_up(&mut self, version: &str) -> bool {
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
    pub(super) fn may_repair(&mut self, now: Instant) -> bool {
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

impl Seen {
    /// What is kept of an object.
    pub(super) fn new(
        meta: &ObjectMeta,
        ownership: Ownership,
        part: Option<Box<str>>,
        roots: Vec<RootKey>,
    ) -> Self {
        let controller = meta
            .owner_references
            .iter()
            .flatten()
            .find(|reference| reference.controller == Some(true))
            .map(|reference| reference.uid.clone());
        let labels = if controller.is_none() {
            meta.labels.clone().unwrap_or_default()
        } else {
            BTreeMap::new()
        };
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            version: meta.resource_version.clone().unwrap_or_default(),
            ownership,
            controller,
            labels,
            deleting: meta.deletion_timestamp.is_some(),
            part,
            roots,
        }
    }

    /// Whether the object is the resource's own: by its controller, or, without one, by labels or,
    /// when somebody changed those, by our having written it.
    pub(super) fn belongs_to(&self, root_uid: &str, identity: &BTreeMap<String, String>) -> bool {
        if let Some(controller) = &self.controller {
            return controller == root_uid;
        }
        !identity.is_empty() && (self.ownership.mine || self.is_labelled(identity))
    }

    /// Whether the object carries all of these labels, of which there must be some.
    pub(super) fn is_labelled(&self, identity: &BTreeMap<String, String>) -> bool {
        !identity.is_empty() && identity.iter().all(|(k, v)| self.labels.get(k) == Some(v))
    }
}

/// Fingerprint of a planned object. It outlives the process in managed fields, so it is the same
/// whatever the compiler.
pub(super) fn wanted(object: &Planned) -> u64 {
    let digest = Sha256::digest(object.body.to_string());
    digest
        .iter()
        .take(8)
        .fold(0, |print, byte| print << 8 | u64::from(*byte))
}

fn address_hash(target: &Target) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&target.namespace, &target.name).hash(&mut hasher);
    hasher.finish()
}

fn version_of(object: &Value) -> &str {
    object
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .unwrap_or_default()
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
    use resources::kind::{CONFIG_MAP, SERVICE};

    use super::*;

    fn root(name: &str) -> RootKey {
        RootKey {
            namespace: Some("ns".into()),
            name: name.into(),
        }
    }

    fn target(name: &str) -> Target {
        Target {
            kind: SERVICE,
            namespace: Some("ns".into()),
            name: name.into(),
        }
    }

    fn seen(uid: &str, version: &str, digest: u64, roots: &[RootKey]) -> Seen {
        let meta = ObjectMeta {
            uid: Some(uid.into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        let ownership = Ownership {
            digest,
            ..Ownership::default()
        };
        Seen::new(&meta, ownership, None, roots.to_vec())
    }

    #[test]
    fn only_news_that_matters_wakes_a_resource() {
        let mut memory = Memory::<()>::default();
        let a = root("a");
        assert_eq!(
            memory.observe(&target("s"), seen("1", "5", 1, std::slice::from_ref(&a))),
            vec![a.clone()]
        );
        assert!(
            memory
                .observe(&target("s"), seen("1", "6", 1, std::slice::from_ref(&a)))
                .is_empty(),
            "somebody else's field"
        );
        assert!(
            memory
                .observe(&target("s"), seen("1", "4", 2, std::slice::from_ref(&a)))
                .is_empty(),
            "old news"
        );
        assert_eq!(
            memory.observe(&target("s"), seen("1", "7", 2, std::slice::from_ref(&a))),
            vec![a.clone()],
            "drift"
        );
        assert!(
            memory.vanish(&target("s"), Some("0")).is_empty(),
            "an earlier object of the name"
        );
        assert_eq!(memory.vanish(&target("s"), Some("1")), vec![a.clone()]);
        assert_eq!(memory.of_root(&a).count(), 0);
    }

    #[test]
    fn what_is_kept_of_an_object_follows_our_own_write() {
        let mut memory = Memory::<()>::default();
        let a = root("a");
        let with = |version: &str, part: &str| Seen {
            part: Some(part.into()),
            ..seen("1", version, 1, std::slice::from_ref(&a))
        };
        memory.observe(&target("s"), with("5", "small"));
        // The answer to the write has no part: the earlier one stays until the watch shows it.
        memory.observe(&target("s"), with("6", "small"));
        assert_eq!(
            memory.observe(&target("s"), with("6", "large")),
            vec![a.clone()]
        );
        let kept = memory.seen(&target("s")).and_then(|seen| seen.part.clone());
        assert_eq!(kept.as_deref(), Some("large"));
        assert!(memory.observe(&target("s"), with("6", "large")).is_empty());
    }

    #[test]
    fn an_object_that_changes_hands_wakes_both() {
        let mut memory = Memory::<()>::default();
        memory.observe(&target("s"), seen("1", "5", 1, &[root("a")]));
        assert_eq!(
            memory.observe(&target("s"), seen("1", "6", 1, &[root("b")])),
            vec![root("a"), root("b")]
        );
        assert_eq!(memory.of_root(&root("b")).count(), 1);
        assert_eq!(memory.of_root(&root("a")).count(), 0);
    }

    fn at(version: &str) -> Arc<Value> {
        Arc::new(serde_json::json!({"metadata": {"resourceVersion": version}}))
    }

    #[test]
    fn an_answer_from_before_a_change_is_not_kept() {
        let mut memory = Memory::<()>::default();
        let input = Target {
            kind: CONFIG_MAP,
            namespace: Some("ns".into()),
            name: "c".into(),
        };
        let a = root("a");
        assert_eq!(memory.begin_read(&a, &input), None);
        assert_eq!(
            memory.input_shown(&input, Shown::At("7".into())),
            vec![a.clone()]
        );
        memory.end_read(&input, Some(at("6")));
        assert_eq!(memory.begin_read(&a, &input), None);
        memory.end_read(&input, Some(at("7")));
        assert_eq!(
            memory.begin_read(&a, &input),
            Some(Content::Present(at("7")))
        );
        assert!(
            memory.input_shown(&input, Shown::At("7".into())).is_empty(),
            "known already"
        );
        memory.forget(&a);
        assert!(memory.input_shown(&input, Shown::Gone).is_empty());
    }

    #[test]
    fn what_is_known_to_be_absent_costs_no_request() {
        let mut memory = Memory::<()>::default();
        let input = Target {
            kind: CONFIG_MAP,
            namespace: Some("ns".into()),
            name: "c".into(),
        };
        let a = root("a");
        memory.know_all(CONFIG_MAP, false);
        assert_eq!(memory.begin_read(&a, &input), None);
        memory.know_all(CONFIG_MAP, true);
        assert_eq!(memory.begin_read(&a, &input), Some(Content::Absent));
        memory.exists(&input, true);
        assert_eq!(memory.begin_read(&a, &input), None);
        memory.exists(&input, false);
        assert_eq!(memory.begin_read(&a, &input), Some(Content::Absent));
    }

    #[test]
    fn a_fight_over_a_field_is_slowed_down() {
        let mut root = Root::<()>::default();
        let start = Instant::now();
        assert!((0..REPAIRS).all(|_| root.may_repair(start)));
        assert!(!root.may_repair(start));
        assert!(root.may_repair(start + REPAIR_WINDOW + Duration::from_secs(1)));
    }

    #[test]
    fn objects_without_a_namespace_label_belong_by_name() {
        let mut memory = Memory::<()>::default();
        memory.observe(
            &target("s"),
            seen("1", "5", 1, &[root("a").any_namespace()]),
        );
        assert_eq!(memory.of_root(&root("a")).count(), 1);
        assert!(root("a").any_namespace().means(&root("a")));
        assert!(!root("b").means(&root("a")));
    }

    #[test]
    fn an_object_without_a_controller_is_ours_by_its_labels_or_because_we_wrote_it() {
        let identity = BTreeMap::from([("app".to_owned(), "a".to_owned())]);
        let mut object = seen("1", "5", 1, &[root("a")]);
        assert!(!object.belongs_to("uid", &identity), "somebody else's");
        object.ownership.mine = true;
        assert!(object.belongs_to("uid", &identity), "a label was changed");
        assert!(
            !object.belongs_to("uid", &BTreeMap::new()),
            "only a controller makes it ours"
        );
        object.ownership.mine = false;
        object.labels.clone_from(&identity);
        assert!(object.belongs_to("uid", &identity), "made by a predecessor");
        object.controller = Some("other".into());
        assert!(!object.belongs_to("uid", &identity));
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_newer("10", "9"));
        assert!(!is_newer("9", "10"));
        assert!(!is_newer("9", "9"));
        assert!(is_newer("x", "9"));
    }
}
