//! Of which group versions an operator wants to know what they serve.

use std::collections::{BTreeMap, BTreeSet};

use resources::Kind;

use super::CRDS;

/// A group and a version of it.
pub(super) type GroupVersion = (String, String);

/// The kinds that an operator can make use of.
#[derive(Clone, Debug)]
pub(super) struct Interest {
    pub(super) versions: BTreeMap<GroupVersion, BTreeSet<String>>,
}

impl Interest {
    pub(super) fn new(kinds: &[Kind]) -> Self {
        let mut versions: BTreeMap<GroupVersion, BTreeSet<String>> = BTreeMap::new();
        for kind in kinds {
            versions
                .entry((kind.group.to_owned(), kind.version.to_owned()))
                .or_default()
                .insert(kind.plural.to_owned());
        }
        Self { versions }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty()
    }

    /// Which group versions an object of a watched kind is about, by its name: a CRD is called
    /// `PLURAL.GROUP`, an APIService `VERSION.GROUP`.
    pub(super) fn about(&self, watched: &str, name: &str) -> BTreeSet<GroupVersion> {
        let Some((first, group)) = name.split_once('.') else {
            return BTreeSet::new();
        };
        self.versions
            .iter()
            .filter(|((in_group, version), plurals)| {
                in_group == group
                    && if watched == CRDS {
                        plurals.contains(first)
                    } else {
                        version == first
                    }
            })
            .map(|(version, _)| version.clone())
            .collect()
    }

    /// The part of what a group version serves that matters.
    pub(super) fn relevant(
        &self,
        version: &GroupVersion,
        served: impl Iterator<Item = String>,
    ) -> BTreeSet<String> {
        let wanted = self.versions.get(version);
        served
            .filter(|plural| wanted.is_some_and(|wanted| wanted.contains(plural)))
            .collect()
    }
}
