//! What the cluster offers: optional APIs, found at start and followed by events.

use std::collections::BTreeSet;

use resources::Kind;

/// APIs that the cluster serves at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    served: BTreeSet<(String, String, String)>,
    /// Versions of groups that are registered and have never said what they serve.
    unsure: BTreeSet<(String, String)>,
}

impl Capabilities {
    /// A cluster that serves these kinds.
    #[must_use]
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        Self {
            served: kinds
                .into_iter()
                .map(|k| {
                    (
                        k.group.to_owned(),
                        k.version.to_owned(),
                        k.plural.to_owned(),
                    )
                })
                .collect(),
            unsure: BTreeSet::new(),
        }
    }

    /// The same cluster, serving these kinds too.
    #[must_use]
    pub fn with(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.served.extend(Self::of(kinds).served);
        self
    }

    /// Whether objects of this kind can be written and watched.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.serves(kind.group, kind.version, kind.plural)
    }

    /// Whether the cluster serves anything of this version of a group.
    #[must_use]
    pub fn has_version(&self, group: &str, version: &str) -> bool {
        self.served
            .iter()
            .any(|(g, v, _)| g == group && v == version)
    }

    /// Whether the cluster serves this plural.
    #[must_use]
    pub fn serves(&self, group: &str, version: &str, plural: &str) -> bool {
        self.served
            .contains(&(group.to_owned(), version.to_owned(), plural.to_owned()))
    }

    /// Whether nobody can say if the kind is served: its API is registered and has not answered
    /// since the start. What would be unsafe to guess waits for the answer.
    #[must_use]
    pub fn is_unsure(&self, kind: Kind) -> bool {
        self.unsure
            .iter()
            .any(|(g, v)| g == kind.group && v == kind.version)
    }

    /// This version of a group is registered and does not answer. What was known of it stays.
    pub fn doubt(&mut self, group: &str, version: &str) {
        if !self.has_version(group, version) {
            self.unsure.insert((group.to_owned(), version.to_owned()));
        }
    }

    /// Adds a plural to what one version of a group serves.
    pub fn add(&mut self, group: &str, version: &str, plural: &str) {
        self.served
            .insert((group.to_owned(), version.to_owned(), plural.to_owned()));
    }

    /// Replaces what is known of one version of a group by these plurals.
    pub fn set_version(
        &mut self,
        group: &str,
        version: &str,
        plurals: impl IntoIterator<Item = String>,
    ) {
        self.unsure.remove(&(group.to_owned(), version.to_owned()));
        self.served
            .retain(|(g, v, _)| !(g == group && v == version));
        self.served.extend(
            plurals
                .into_iter()
                .map(|plural| (group.to_owned(), version.to_owned(), plural)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resources::kind::{DEPLOYMENT, GROUP, ROUTE};

    #[test]
    fn what_never_answered_is_in_doubt_until_it_does() {
        let mut capabilities = Capabilities::default();
        capabilities.doubt(ROUTE.group, ROUTE.version);
        assert!(capabilities.is_unsure(ROUTE) && !capabilities.has(ROUTE));
        assert!(!capabilities.is_unsure(GROUP));
        capabilities.set_version(ROUTE.group, ROUTE.version, []);
        assert!(!capabilities.is_unsure(ROUTE), "it answered: there is none");
        let mut known = Capabilities::of([ROUTE]);
        known.doubt(ROUTE.group, ROUTE.version);
        assert!(
            known.has(ROUTE) && !known.is_unsure(ROUTE),
            "what is known stays"
        );
    }

    #[test]
    fn what_one_version_serves_is_replaced_alone() {
        let mut served = Capabilities::of([ROUTE, GROUP]);
        assert!(served.has(ROUTE) && !served.has(DEPLOYMENT));
        served.set_version("route.openshift.io", "v1", []);
        assert!(!served.has(ROUTE) && served.has(GROUP));
        served.set_version("route.openshift.io", "v2", ["routes".to_owned()]);
        assert!(!served.has(ROUTE) && served.has_version("route.openshift.io", "v2"));
        assert!(!served.has_version("route.openshift.io", "v1"));
    }
}
