//! Inputs that were read: kept until a watch shows a change, and known to be absent where a kind is
//! watched whole.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use resources::Kind;
use serde_json::Value;

use super::{Memory, RootKey, is_newer};
use crate::outcome::Target;

/// An input that was read, kept until its watch shows a change.
#[derive(Default)]
pub(super) struct Input {
    readers: HashSet<RootKey>,
    /// Version that the watch showed last: an answer from before it is not kept.
    shown: Option<Shown>,
    known: Option<Content>,
}

/// What is known of an input without a request.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::engine) enum Content {
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
pub(in crate::engine) enum Shown {
    /// It is there, at this version.
    At(String),
    /// It is gone.
    Gone,
}

#[derive(Default)]
pub(super) struct Existing {
    addresses: HashSet<u64>,
    /// The first list was read to its end.
    complete: bool,
}

/// Largest input that is kept between passes, as JSON text. A larger one is read again.
const LARGEST_KEPT_INPUT: usize = 64 * 1024;

impl<K> Memory<K> {
    /// The watch of this kind shows every object: from now on, or, once its first list is
    /// `complete`, so far that an absent object can be told.
    pub(in crate::engine) fn know_all(&mut self, kind: Kind, complete: bool) {
        self.existing.entry(kind).or_default().complete |= complete;
    }

    /// The kind is not watched any more.
    pub(in crate::engine) fn know_nothing(&mut self, kind: Kind) {
        self.existing.remove(&kind);
    }

    /// An object of a kind that is watched whole is there, or not any more.
    pub(in crate::engine) fn exists(&mut self, target: &Target, there: bool) {
        if let Some(known) = self.existing.get_mut(&target.kind) {
            if there {
                known.addresses.insert(address_hash(target));
            } else {
                known.addresses.remove(&address_hash(target));
            }
        }
    }

    /// Remembers that the resource reads this input, and returns its content if it is known.
    pub(in crate::engine) fn begin_read(
        &mut self,
        root: &RootKey,
        input: &Target,
    ) -> Option<Content> {
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
    pub(in crate::engine) fn end_read(&mut self, input: &Target, value: Option<Arc<Value>>) {
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
    pub(in crate::engine) fn peek_input(
        &self,
        input: &Target,
        version: &str,
    ) -> Option<Arc<Value>> {
        match self.inputs.get(input)?.known.as_ref()? {
            Content::Present(value) if version_of(value) == version => Some(Arc::clone(value)),
            _ => None,
        }
    }

    /// The resource reads nothing any more.
    pub(super) fn forget_reader(&mut self, root: &RootKey) {
        self.inputs.retain(|_, input| {
            input.readers.remove(root);
            !input.readers.is_empty()
        });
    }

    /// We wrote an object that may be an input: its content is known without a request.
    pub(in crate::engine) fn wrote_input(&mut self, input: &Target, value: &Arc<Value>) {
        if self.inputs.contains_key(input) {
            self.end_read(input, Some(Arc::clone(value)));
        }
    }

    /// A watch has shown this object: who reads it and has to look again?
    pub(in crate::engine) fn input_shown(&mut self, input: &Target, shown: Shown) -> Vec<RootKey> {
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
    pub(in crate::engine) fn inputs_of(&self, kind: Kind, namespace: Option<&str>) -> Vec<Target> {
        self.inputs
            .keys()
            .filter(|t| {
                t.kind == kind && (namespace.is_none() || t.namespace.as_deref() == namespace)
            })
            .cloned()
            .collect()
    }
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

#[cfg(test)]
mod tests {
    use resources::kind::CONFIG_MAP;

    use super::*;

    fn root(name: &str) -> RootKey {
        RootKey {
            namespace: Some("ns".into()),
            name: name.into(),
        }
    }

    fn input() -> Target {
        Target {
            kind: CONFIG_MAP,
            namespace: Some("ns".into()),
            name: "c".into(),
        }
    }

    fn at(version: &str) -> Arc<Value> {
        Arc::new(serde_json::json!({"metadata": {"resourceVersion": version}}))
    }

    #[test]
    fn an_answer_from_before_a_change_is_not_kept() {
        let mut memory = Memory::<()>::default();
        let input = input();
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
        let input = input();
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
}
