//! What the cluster offers: optional APIs, found at start and followed by events.

use std::collections::BTreeSet;

use resources::Kind;

/// APIs that the cluster serves at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    served: BTreeSet<(String, String, String)>,
}

impl Capabilities {
    /// A cluster that serves these kinds.
    #[must_use]
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self {
            served: kinds
                .into_iter()
                .map(|k| (k.group.to_owned(), k.version.to_owned(), k.plural.to_owned()))
                .collect(),
        }
    }

    /// Whether objects of this kind can be written and watched.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.served.contains(&(kind.group.to_owned(), kind.version.to_owned(), kind.plural.to_owned()))
    }

    /// Whether the cluster serves anything of this group.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.served.iter().any(|(g, _, _)| g == group)
    }

    /// Replaces what is known of one group.
    pub fn set_group(&mut self, group: &str, kinds: impl IntoIterator<Item = (String, String)>) {
        self.served.retain(|(g, _, _)| g != group);
        self.served.extend(
            kinds.into_iter().map(|(version, plural)| (group.to_owned(), version, plural)),
        );
    }
}
