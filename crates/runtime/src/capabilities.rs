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
                .map(|k| {
                    (
                        k.group.to_owned(),
                        k.version.to_owned(),
                        k.plural.to_owned(),
                    )
                })
                .collect(),
        }
    }

    /// Whether objects of this kind can be written and watched.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.serves(kind.group, kind.version, kind.plural)
    }

    /// Whether the cluster serves anything of this group.
    #[must_use]
    pub fn has_group(&self, group: &str) -> bool {
        self.served.iter().any(|(g, _, _)| g == group)
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

    /// Replaces what is known of one version of a group by these plurals.
    pub fn set_version(
        &mut self,
        group: &str,
        version: &str,
        plurals: impl IntoIterator<Item = String>,
    ) {
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
    fn what_one_version_serves_is_replaced_alone() {
        let mut served = Capabilities::of([ROUTE, GROUP]);
        assert!(served.has(ROUTE) && !served.has(DEPLOYMENT));
        served.set_version("route.openshift.io", "v1", []);
        assert!(!served.has(ROUTE) && served.has(GROUP));
        assert!(!served.has_group("route.openshift.io"));
        served.set_version("route.openshift.io", "v2", ["routes".to_owned()]);
        assert!(!served.has(ROUTE) && served.has_group("route.openshift.io"));
        assert!(served.has_version("route.openshift.io", "v2"));
        assert!(!served.has_version("route.openshift.io", "v1"));
    }
}
