//! Objects that the watches have shown, and whose they are.

use std::collections::{BTreeMap, BTreeSet};

use kube::core::ObjectMeta;
use resources::Kind;

use super::{Memory, RootKey, is_newer};
use crate::{engine::ownership::Ownership, outcome::Target};

/// Objects that went and are remembered: as many as may go while a write is answered.
const MOST_GONE: usize = 64;

/// An object that the watches have shown.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Seen {
    pub(in crate::engine) uid: String,
    pub(in crate::engine) version: String,
    pub(in crate::engine) ownership: Ownership,
    /// uid of the controller, if it has one.
    pub(in crate::engine) controller: Option<String>,
    /// Labels; kept only when there is no controller, to tell whose it is.
    pub(in crate::engine) labels: BTreeMap<String, String>,
    pub(in crate::engine) deleting: bool,
    /// The kept part of the object, as JSON text: compact, and parsed when a status is made.
    pub(in crate::engine) part: Option<Box<str>>,
    /// Resources that it belongs to.
    pub(in crate::engine) roots: Vec<RootKey>,
}

impl Seen {
    /// What is kept of an object.
    pub(in crate::engine) fn new(
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
    pub(in crate::engine) fn belongs_to(
        &self,
        root_uid: &str,
        identity: &BTreeMap<String, String>,
    ) -> bool {
        if let Some(controller) = &self.controller {
            return controller == root_uid;
        }
        !identity.is_empty() && (self.ownership.mine || self.is_labelled(identity))
    }

    /// Whether the object carries all of these labels, of which there must be some.
    pub(in crate::engine) fn is_labelled(&self, identity: &BTreeMap<String, String>) -> bool {
        !identity.is_empty() && identity.iter().all(|(k, v)| self.labels.get(k) == Some(v))
    }
}

impl<K> Memory<K> {
    /// Takes in an object that a watch or an answer has shown. Returns the resources that must
    /// be looked at: all it belongs or belonged to, if anything that matters is new.
    pub(in crate::engine) fn observe(&mut self, target: &Target, seen: Seen) -> Vec<RootKey> {
        // The answer to a write of ours may come after the news that the object is gone.
        let mut gone = self.gone.iter();
        if gone.any(|(uid, last)| *uid == seen.uid && !is_newer(&seen.version, last)) {
            return Vec::new();
        }
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

    /// A watch has shown that this object goes, in its last version.
    pub(in crate::engine) fn went(&mut self, meta: &ObjectMeta) {
        if self.gone.len() == MOST_GONE {
            self.gone.pop_front();
        }
        let (uid, version) = (meta.uid.clone(), meta.resource_version.clone());
        self.gone
            .push_back((uid.unwrap_or_default(), version.unwrap_or_default()));
    }

    /// The object is gone. `uid` guards against the news of an earlier object of the same name.
    pub(in crate::engine) fn vanish(&mut self, target: &Target, uid: Option<&str>) -> Vec<RootKey> {
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
    pub(in crate::engine) fn targets(&self, kind: Kind, namespace: Option<&str>) -> Vec<Target> {
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

    pub(in crate::engine) fn seen(&self, target: &Target) -> Option<&Seen> {
        self.seen
            .get(&target.kind)?
            .get(&(target.namespace.clone(), target.name.clone()))
    }

    /// Everything seen that belongs to the resource, by its full address, where labels do not say
    /// the namespace by its name, or as what matters to all resources of its namespace.
    pub(in crate::engine) fn of_root(
        &self,
        root: &RootKey,
    ) -> impl Iterator<Item = (&Target, &Seen)> {
        let by_name = root.namespace.is_some().then(|| root.any_namespace());
        self.by_root
            .get(root)
            .into_iter()
            .chain(by_name.and_then(|key| self.by_root.get(&key)))
            .chain(self.by_root.get(&root.whole_namespace()))
            .flatten()
            .filter_map(|target| self.seen(target).map(|seen| (target, seen)))
    }
}

#[cfg(test)]
mod tests {
    use resources::kind::SERVICE;

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
    fn a_late_answer_does_not_bring_back_what_is_gone() {
        let mut memory = Memory::<()>::default();
        let a = root("a");
        let roots = std::slice::from_ref(&a);
        memory.observe(&target("s"), seen("1", "5", 1, roots));
        memory.went(&ObjectMeta {
            uid: Some("1".into()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        });
        assert_eq!(memory.vanish(&target("s"), Some("1")), vec![a.clone()]);
        assert!(
            memory
                .observe(&target("s"), seen("1", "6", 2, roots))
                .is_empty()
        );
        assert!(memory.seen(&target("s")).is_none());
        // It only left what the watch selects, and is back.
        assert_eq!(
            memory.observe(&target("s"), seen("1", "8", 2, roots)),
            vec![a.clone()]
        );
        // Another of its name.
        memory.vanish(&target("s"), None);
        assert_eq!(memory.observe(&target("s"), seen("2", "6", 2, roots)), [a]);
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
    fn what_matters_to_a_namespace_belongs_to_each_of_its_resources() {
        let mut memory = Memory::<()>::default();
        let all = root("a").whole_namespace();
        memory.observe(&target("s"), seen("1", "5", 1, std::slice::from_ref(&all)));
        for name in ["a", "b"] {
            assert_eq!(memory.of_root(&root(name)).count(), 1);
            assert!(all.means(&root(name)));
        }
        let elsewhere = RootKey {
            namespace: Some("other".into()),
            name: "a".into(),
        };
        assert_eq!(memory.of_root(&elsewhere).count(), 0);
        assert!(!all.means(&elsewhere));
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
}
