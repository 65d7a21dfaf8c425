//! What an operator should be allowed to do, declared in code. Its manifests are written from here.
//!
//! An operator declares the rules of its kinds, adds [`PROCESS`] and [`lease`] for what every
//! process of [`crate::operator`] does, and puts them into the roles of its [`Rights`].

mod rights;

use k8s_openapi::api::rbac::v1::PolicyRule;
use resources::Scope;

pub use rights::{Account, Rights, RoleFile};

use crate::permissions::Rule;

/// Verbs on kinds that the operator makes.
pub const OWN: &[&str] = &["get", "list", "watch", "create", "patch", "delete"];
/// Verbs on kinds that it only follows.
pub const FOLLOW: &[&str] = &["list", "watch"];
/// Verbs on kinds that it reads, and follows.
pub const READ: &[&str] = &["get", "list", "watch"];

/// What every operator needs in the whole cluster or, where that is enough, in its namespaces.
pub const PROCESS: &[RbacRule] = &[
    cluster(
        &["authentication.k8s.io"],
        &["tokenreviews"],
        &["create"],
        "Who asks for /metrics.",
    ),
    cluster(
        &["authorization.k8s.io"],
        &["subjectaccessreviews"],
        &["create"],
        "Whether that one may.",
    ),
    cluster(
        &["apiextensions.k8s.io"],
        &["customresourcedefinitions"],
        FOLLOW,
        "Optional APIs are used when they appear.",
    ),
    cluster(
        &["apiregistration.k8s.io"],
        &["apiservices"],
        FOLLOW,
        "OpenShift serves some of its APIs through these.",
    ),
    cluster(
        &["config.openshift.io"],
        &["apiservers"],
        FOLLOW,
        "The TLS profile of OpenShift's API server: metrics and webhooks are served by it too.",
    ),
    rule(
        &["events.k8s.io"],
        &["events"],
        &["create"],
        "Events for people.",
    ),
];

/// What an operator needs in its own namespace for the Lease of this name.
#[must_use]
pub const fn lease(name: &'static [&'static str]) -> [RbacRule; 2] {
    const GROUP: &[&str] = &["coordination.k8s.io"];
    const LEASES: &[&str] = &["leases"];
    [
        rule(
            GROUP,
            LEASES,
            &["create"],
            "The Lease. A name cannot be asked for in a rule for create.",
        ),
        RbacRule {
            names: name,
            ..rule(
                GROUP,
                LEASES,
                &["get", "update"],
                "The Lease is renewed, and released on shutdown.",
            )
        },
    ]
}

/// What an operator needs of its custom resource. The names are its plural, its status and its
/// finalizers.
#[must_use]
pub const fn itself(
    scope: Scope,
    group: &'static [&'static str],
    [plural, status, finalizers]: [&'static [&'static str]; 3],
) -> [RbacRule; 3] {
    [
        RbacRule {
            scope,
            ..rule(
                group,
                plural,
                &["list", "watch", "patch"],
                "The resource itself: it is followed, and gets a finalizer.",
            )
        },
        RbacRule {
            scope,
            ..rule(group, status, &["patch"], "Its status.")
        },
        RbacRule {
            scope,
            ..rule(
                group,
                finalizers,
                &["update"],
                "Children block its deletion, and OwnerReferencesPermissionEnforcement asks for this right.",
            )
        },
    ]
}

/// What an operator needs of its webhook configurations of a sort, by their names.
#[must_use]
pub const fn webhooks(sort: &'static [&'static str], names: &'static [&'static str]) -> RbacRule {
    RbacRule {
        names,
        ..cluster(
            &["admissionregistration.k8s.io"],
            sort,
            &["get", "list", "watch", "patch", "delete"],
            "The API server trusts the certificate that the operator made; and without webhooks \
             it is not sent to them.",
        )
    }
}

/// A rule for what is in namespaces.
#[must_use]
pub const fn rule(
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    reason: &'static str,
) -> RbacRule {
    RbacRule {
        groups,
        resources,
        verbs,
        names: &[],
        scope: Scope::Namespaced,
        reason,
    }
}

/// A rule for what is in no namespace. It takes a ClusterRole.
#[must_use]
pub const fn cluster(
    groups: &'static [&'static str],
    resources: &'static [&'static str],
    verbs: &'static [&'static str],
    reason: &'static str,
) -> RbacRule {
    RbacRule {
        scope: Scope::Cluster,
        ..rule(groups, resources, verbs, reason)
    }
}

/// Rights that an operator holds and that no request of it uses in the tests. `cargo xtask test`
/// compares the requests with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unused {
    /// As `kubectl auth can-i` takes them: `get endpoints`, `patch things.example.org/status`.
    pub rights: &'static [&'static str],
    /// Why the operator holds them all the same.
    pub reason: &'static str,
}

/// Rights that only a race uses, so that no test can cause it every time: a request that comes
/// between two others, or follows one that failed. Used or not used, both are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnlyWhen {
    /// As in [`Unused::rights`].
    pub rights: &'static [&'static str],
    /// The race, as a sentence: "Only when …".
    pub race: &'static str,
}

/// Of every operator with metrics and a proxy.
pub const REVIEWS: Unused = Unused {
    rights: &[
        "create subjectaccessreviews.authorization.k8s.io",
        "create tokenreviews.authentication.k8s.io",
    ],
    reason: "Asked for each scrape of /metrics, in tests of the runtime with another account; and \
             handed out by ClusterRole system:auth-delegator.",
};

/// Of every operator whose resources own what blocks their deletion: `update PLURAL/finalizers`.
#[must_use]
pub const fn finalizers(rights: &'static [&'static str]) -> Unused {
    Unused {
        rights,
        reason: "Admission asks for it, on OpenShift, when an owner reference blocks deletion.",
    }
}

/// Of every operator whose tests serve neither metrics nor webhooks.
pub const SERVES_NOTHING: Unused = Unused {
    rights: &[
        "list apiservers.config.openshift.io",
        "watch apiservers.config.openshift.io",
    ],
    reason: "Of what is served with TLS, which is the same for all kinds: the tests of ModelRegistry \
             use them, those of this operator serve nothing.",
};

/// Of every operator with Routes.
pub const CUSTOM_HOSTS: Unused = Unused {
    rights: &[
        "create routes.route.openshift.io/custom-host",
        "update routes.route.openshift.io/custom-host",
    ],
    reason: "OpenShift asks for it while it admits a Route; no request is made for it.",
};

/// One line of what an operator should be allowed to do, with the reason that a reader of the
/// role asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RbacRule {
    /// API groups, `""` for core.
    pub groups: &'static [&'static str],
    /// Plurals and subresources.
    pub resources: &'static [&'static str],
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// Only objects of these names; empty for all.
    pub names: &'static [&'static str],
    /// Where the objects are. One rule is for one or the other, so that a Role can be made of the
    /// namespaced ones.
    pub scope: Scope,
    /// Why the operator needs it.
    pub reason: &'static str,
}

impl RbacRule {
    /// As Kubernetes writes it.
    #[must_use]
    pub fn to_policy_rule(&self) -> PolicyRule {
        let strings = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        PolicyRule {
            api_groups: Some(strings(self.groups)),
            resources: Some(strings(self.resources)),
            verbs: strings(self.verbs),
            resource_names: (!self.names.is_empty()).then(|| strings(self.names)),
            ..PolicyRule::default()
        }
    }
}

/// Every verb on every resource that the declaration gives, name by name where it names objects.
#[must_use]
pub fn rules_of(declared: &[RbacRule]) -> Vec<Rule> {
    let rules = declared.iter().flat_map(|declared| {
        let names: &[&'static str] = match declared.names {
            [] => &[""],
            names => names,
        };
        expand(declared).flat_map(|rule| names.iter().map(move |&name| rule.clone().named(name)))
    });
    rules.collect()
}

/// The same as `kubectl auth can-i` takes it, without names of objects.
#[must_use]
pub fn held(declared: &[RbacRule]) -> Vec<String> {
    let all = declared.iter().flat_map(expand);
    all.map(|rule| rule.to_string()).collect()
}

fn expand(declared: &RbacRule) -> impl Iterator<Item = Rule> + '_ {
    let verbs = move |group, resource| {
        declared.verbs.iter().map(move |&verb| Rule {
            verb,
            group,
            resource,
            scope: declared.scope,
            name: "",
        })
    };
    declared.groups.iter().flat_map(move |&group| {
        let resources = declared.resources.iter();
        resources.flat_map(move |&resource| verbs(group, resource))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_becomes_rules_of_a_role_and_the_ones_to_ask_for() {
        const DECLARED: &[RbacRule] = &[
            RbacRule {
                groups: &[""],
                resources: &["services", "pods/log"],
                verbs: &["get", "list"],
                names: &[],
                scope: Scope::Namespaced,
                reason: "children",
            },
            RbacRule {
                groups: &["config.openshift.io"],
                resources: &["ingresses"],
                verbs: &["get"],
                names: &["cluster"],
                scope: Scope::Cluster,
                reason: "domain",
            },
        ];
        let rules: Vec<_> = DECLARED.iter().map(RbacRule::to_policy_rule).collect();
        assert_eq!(
            serde_json::to_value(rules).unwrap(),
            serde_json::json!([
                {"apiGroups": [""], "resources": ["services", "pods/log"], "verbs": ["get", "list"]},
                {
                    "apiGroups": ["config.openshift.io"],
                    "resources": ["ingresses"],
                    "resourceNames": ["cluster"],
                    "verbs": ["get"],
                },
            ])
        );
        let rules: Vec<String> = rules_of(DECLARED).iter().map(ToString::to_string).collect();
        assert_eq!(
            rules,
            [
                "get services",
                "list services",
                "get pods/log",
                "list pods/log",
                "get ingresses.config.openshift.io named cluster"
            ]
        );
        let held = held(DECLARED);
        assert_eq!(held.last().unwrap(), "get ingresses.config.openshift.io");
    }
}
