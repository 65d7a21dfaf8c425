//! What the operator's service account may do, asked at the start, and again while it lacks
//! something. What it should be allowed to do is declared with [`crate::rbac`].

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::api::authorization::v1::{
    ResourceRule, SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use kube::{Api, Client, api::PostParams};
use resources::{Kind, Scope};
use tokio::sync::watch;

/// A review is asked for a namespace. For the whole cluster this one is named, which holds no
/// RoleBinding: what is allowed in it is allowed everywhere. It need not exist.
const ANYWHERE: &str = "rules-of-the-whole-cluster";

/// One verb on one resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// `get`, `list`, `watch`, `create`, `patch`, `update`, `delete`, ….
    pub verb: &'static str,
    /// API group, empty for core.
    pub group: &'static str,
    /// Plural, with the subresource after a slash: `modelregistries/status`.
    pub resource: &'static str,
    /// Where its objects are: a Role gives nothing on what is in no namespace.
    pub scope: Scope,
    /// The object of this name; empty for all.
    pub name: &'static str,
}

impl Rule {
    /// This verb on a kind.
    #[must_use]
    pub const fn on(verb: &'static str, kind: Kind) -> Self {
        Self {
            verb,
            group: kind.group,
            resource: kind.plural,
            scope: kind.scope,
            name: "",
        }
    }

    /// The same on the object of this name.
    #[must_use]
    pub const fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

/// `patch groups.user.openshift.io`, `get pods/log`, `patch modelregistries.example.org/status`:
/// as `kubectl auth can-i` takes it, with ` named NAME` behind it where it is for one object.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (plural, subresource) = match self.resource.split_once('/') {
            Some((plural, subresource)) => (plural, Some(subresource)),
            None => (self.resource, None),
        };
        write!(f, "{} {plural}", self.verb)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if let Some(subresource) = subresource {
            write!(f, "/{subresource}")?;
        }
        if !self.name.is_empty() {
            write!(f, " named {}", self.name)?;
        }
        Ok(())
    }
}

/// What the service account may do.
#[derive(Debug, Default)]
pub struct Permissions {
    /// Namespaces in scope; empty where that is the whole cluster.
    namespaces: Vec<String>,
    reviews: watch::Sender<Reviews>,
    refused: watch::Sender<BTreeSet<Rule>>,
}

/// The answers of the API server.
#[derive(Debug, Default)]
struct Reviews {
    /// What is allowed in the whole cluster; nothing before the first answer.
    everywhere: Option<Review>,
    /// What is allowed in each namespace in scope; empty where that is the whole cluster.
    namespaces: BTreeMap<String, Review>,
}

/// What is allowed in one namespace.
#[derive(Clone, Debug)]
struct Review {
    rules: Vec<ResourceRule>,
    /// The authorizer cannot list every rule, so the absence of one says nothing.
    incomplete: bool,
}

impl Permissions {
    /// Nothing is known: everything counts as allowed until the server says no.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The same, with these namespaces in scope; none means the whole cluster.
    #[must_use]
    pub fn within(namespaces: &[String]) -> Self {
        Self {
            namespaces: namespaces.to_vec(),
            ..Self::default()
        }
    }

    /// Asks the API server: once for the whole cluster, and once for each namespace in scope.
    pub async fn load(client: &Client, namespaces: &[String]) -> kube::Result<Self> {
        let permissions = Self::within(namespaces);
        permissions.reload(client).await?;
        Ok(permissions)
    }

    /// Asks again, for rights that were given since, and forgets refusals of what is allowed by now.
    pub async fn reload(&self, client: &Client) -> kube::Result<()> {
        let refused = self.refused.borrow().clone();
        let in_scope = self.namespaces.iter().map(|namespace| async {
            let answer = review(client, namespace).await?;
            Ok::<_, kube::Error>((namespace.clone(), answer))
        });
        let (everywhere, in_scope) = futures::try_join!(
            review(client, ANYWHERE),
            futures::future::try_join_all(in_scope)
        )?;
        self.reviews.send_replace(Reviews {
            everywhere: Some(everywhere),
            namespaces: in_scope.into_iter().collect(),
        });
        self.refused
            .send_modify(|now| now.retain(|rule| !refused.contains(rule) || !self.allows(rule)));
        Ok(())
    }

    /// Waits until these rules are given in this namespace, as [`Permissions::allows_in`] says.
    pub async fn given(&self, rules: &[Rule], namespace: Option<&str>) {
        let mut reviews = self.reviews.subscribe();
        let given = reviews.wait_for(|reviews| {
            let mut rules = rules.iter();
            rules.all(|rule| reviews.allow(rule, namespace))
        });
        // It fails without a sender, and that is `self`.
        let _ = given.await;
    }

    /// Tells of what the server refuses from now on.
    pub(crate) fn refusals(&self) -> watch::Receiver<BTreeSet<Rule>> {
        self.refused.subscribe()
    }

    /// Whether the rule is given in every namespace in scope.
    #[must_use]
    pub fn allows(&self, rule: &Rule) -> bool {
        self.allows_within(rule, &self.namespaces)
    }

    /// Whether the rule is given in each of these namespaces; none means in the whole cluster.
    fn allows_within(&self, rule: &Rule, namespaces: &[String]) -> bool {
        let reviews = self.reviews.borrow();
        if namespaces.is_empty() {
            return reviews.allow(rule, None);
        }
        let mut namespaces = namespaces.iter();
        namespaces.all(|namespace| reviews.allow(rule, Some(namespace)))
    }

    /// Whether the rule is given in this namespace, or in the whole cluster. What is in no
    /// namespace, or in one that is out of scope, takes a rule for the whole cluster.
    #[must_use]
    pub fn allows_in(&self, rule: &Rule, namespace: Option<&str>) -> bool {
        self.reviews.borrow().allow(rule, namespace)
    }

    /// The server refused a request. Returns whether this is news, so that it is logged once.
    pub fn note_forbidden(&self, rule: &Rule) -> bool {
        let news = self
            .refused
            .send_if_modified(|refused| refused.insert(rule.clone()));
        if news {
            tracing::warn!(
                rule = %rule,
                "the API server refuses a request: add this rule to the operator's role"
            );
        }
        news
    }

    /// Which of these rules are missing in these namespaces (none: in the whole cluster), and what
    /// the server refused, sorted.
    #[must_use]
    pub fn missing(&self, needed: &[Rule], namespaces: &[String]) -> Vec<String> {
        let refused = self.refused.borrow().clone();
        let lacking = needed
            .iter()
            .filter(|rule| !self.allows_within(rule, namespaces));
        let missing: BTreeSet<String> = lacking.chain(&refused).map(Rule::to_string).collect();
        missing.into_iter().collect()
    }
}

impl From<SubjectRulesReviewStatus> for Review {
    fn from(status: SubjectRulesReviewStatus) -> Self {
        Self {
            rules: status.resource_rules,
            incomplete: status.incomplete,
        }
    }
}

impl Reviews {
    /// A review of a namespace also lists the rules of its Roles for cluster-scoped kinds, which
    /// the authorizer does not heed.
    fn allow(&self, rule: &Rule, namespace: Option<&str>) -> bool {
        let here = match rule.scope {
            Scope::Namespaced => namespace.and_then(|name| self.namespaces.get(name)),
            Scope::Cluster => None,
        };
        here.or(self.everywhere.as_ref())
            .is_none_or(|review| review.allows(rule))
    }
}

impl Review {
    fn allows(&self, rule: &Rule) -> bool {
        self.incomplete || self.rules.iter().any(|given| gives(given, rule))
    }
}

/// Asks what is allowed in a namespace.
async fn review(client: &Client, namespace: &str) -> kube::Result<Review> {
    let question = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.to_owned()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let answer = api.create(&PostParams::default(), &question).await?;
    Ok(answer.status.unwrap_or_default().into())
}

/// Whether one rule of a role gives what is needed, as the RBAC authorizer decides it.
fn gives(given: &ResourceRule, rule: &Rule) -> bool {
    let any = |values: &Option<Vec<String>>, wanted: &str| {
        values
            .iter()
            .flatten()
            .any(|value| value == "*" || value == wanted)
    };
    // `*/scale` gives the subresource of every resource; `*` gives every subresource as well.
    let resource = any(&given.resources, rule.resource)
        || rule
            .resource
            .split_once('/')
            .is_some_and(|(_, subresource)| {
                given
                    .resources
                    .iter()
                    .flatten()
                    .any(|value| value.strip_prefix("*/") == Some(subresource))
            });
    let names = given.resource_names.as_deref().unwrap_or_default();
    resource
        && (names.is_empty() || names.iter().any(|name| name == rule.name))
        && any(&given.api_groups, rule.group)
        && given
            .verbs
            .iter()
            .any(|verb| verb == "*" || verb == rule.verb)
}

#[cfg(test)]
mod tests {
    use super::*;
    use resources::kind::{CLUSTER_ROLE_BINDING, GROUP, SECRET};

    fn given(groups: &[&str], resources: &[&str], verbs: &[&str], names: &[&str]) -> ResourceRule {
        let strings = |values: &[&str]| values.iter().map(|&value| value.to_owned()).collect();
        ResourceRule {
            api_groups: Some(strings(groups)),
            resources: Some(strings(resources)),
            verbs: strings(verbs),
            resource_names: (!names.is_empty()).then(|| strings(names)),
        }
    }

    fn permissions(rules: Vec<ResourceRule>, incomplete: bool) -> Permissions {
        reviewed(Review { rules, incomplete }, [])
    }

    fn reviewed<const N: usize>(
        everywhere: Review,
        namespaces: [(&str, Review); N],
    ) -> Permissions {
        let namespaces = namespaces.map(|(name, review)| (name.to_owned(), review));
        Permissions {
            namespaces: namespaces.iter().map(|(name, _)| name.clone()).collect(),
            reviews: watch::Sender::new(Reviews {
                everywhere: Some(everywhere),
                namespaces: namespaces.into(),
            }),
            ..Permissions::default()
        }
    }

    fn everything() -> Review {
        Review {
            rules: vec![given(&["*"], &["*"], &["*"], &[])],
            incomplete: false,
        }
    }

    fn nothing() -> Review {
        Review {
            rules: Vec::new(),
            incomplete: false,
        }
    }

    const PATCH_STATUS: Rule = Rule {
        verb: "patch",
        group: "example.org",
        resource: "things/status",
        scope: Scope::Namespaced,
        name: "",
    };

    #[test]
    fn what_the_go_operators_role_lacks_is_named() {
        let verbs = ["create", "delete", "get", "list", "update", "watch"];
        let permissions = permissions(
            vec![given(&["user.openshift.io"], &["groups"], &verbs, &[])],
            false,
        );
        assert!(permissions.allows(&Rule::on("update", GROUP)));
        let needed = [Rule::on("patch", GROUP), Rule::on("get", GROUP)];
        assert_eq!(
            permissions.missing(&needed, &[]),
            ["patch groups.user.openshift.io"]
        );
    }

    #[test]
    fn stars_and_subresources_follow_the_authorizer() {
        let cases: [(&[&str], bool); 6] = [
            (&["*"], true),
            (&["*/status"], true),
            (&["things/*"], false),
            (&["things"], false),
            (&["things/status"], true),
            (&["*/scale"], false),
        ];
        for (resources, expected) in cases {
            let permissions = permissions(vec![given(&["*"], resources, &["*"], &[])], false);
            assert_eq!(permissions.allows(&PATCH_STATUS), expected, "{resources:?}");
        }
    }

    #[test]
    fn a_rule_for_one_name_is_not_a_rule_for_all() {
        let permissions = permissions(
            vec![given(
                &["example.org"],
                &["things/status"],
                &["patch"],
                &["a"],
            )],
            false,
        );
        assert!(!permissions.allows(&PATCH_STATUS));
        assert!(permissions.allows(&PATCH_STATUS.named("a")));
        assert!(!permissions.allows(&PATCH_STATUS.named("b")));
        assert_eq!(
            permissions.missing(&[PATCH_STATUS.named("a"), PATCH_STATUS.named("b")], &[]),
            ["patch things.example.org/status named b"]
        );
    }

    #[test]
    fn one_loop_may_look_further_than_the_others() {
        let permissions = reviewed(nothing(), [("a", everything())]);
        let needed = [Rule::on("list", SECRET)];
        assert!(permissions.missing(&needed, &["a".to_owned()]).is_empty());
        assert_eq!(permissions.missing(&needed, &[]), ["list secrets"]);
    }

    #[test]
    fn an_incomplete_review_and_none_at_all_forbid_nothing() {
        assert!(permissions(Vec::new(), true).allows(&PATCH_STATUS));
        assert!(Permissions::unknown().allows(&PATCH_STATUS));
        assert!(!permissions(Vec::new(), false).allows(&PATCH_STATUS));
    }

    #[test]
    fn every_namespace_in_scope_must_allow_it() {
        let permissions = reviewed(nothing(), [("a", everything()), ("b", nothing())]);
        assert!(!permissions.allows(&PATCH_STATUS));
        assert!(permissions.allows_in(&PATCH_STATUS, Some("a")));
        assert!(!permissions.allows_in(&PATCH_STATUS, Some("b")));
        let permissions = reviewed(nothing(), [("a", everything()), ("b", everything())]);
        assert!(permissions.allows(&PATCH_STATUS));
    }

    #[test]
    fn a_role_gives_nothing_in_the_cluster_or_elsewhere() {
        let permissions = reviewed(nothing(), [("a", everything())]);
        let cluster = Rule::on("list", CLUSTER_ROLE_BINDING);
        assert!(!permissions.allows(&cluster));
        assert!(!permissions.allows_in(&cluster, None));
        assert!(!permissions.allows_in(&cluster, Some("a")));
        assert_eq!(
            permissions.missing(
                &[cluster.clone(), Rule::on("get", SECRET)],
                &["a".to_owned()]
            ),
            ["list clusterrolebindings.rbac.authorization.k8s.io"]
        );
        assert!(!permissions.allows_in(&Rule::on("get", SECRET), Some("gateways")));
        let cluster_wide = reviewed(everything(), [("a", everything())]);
        assert!(cluster_wide.allows(&cluster));
        assert!(cluster_wide.allows_in(&Rule::on("get", SECRET), Some("gateways")));
    }

    #[test]
    fn a_refusal_is_news_once_and_stays_in_the_list() {
        let permissions = Permissions::unknown();
        assert!(permissions.note_forbidden(&PATCH_STATUS));
        assert!(!permissions.note_forbidden(&PATCH_STATUS));
        assert_eq!(
            permissions.missing(&[], &[]),
            ["patch things.example.org/status"]
        );
    }
}
