//! What holds for the rights of every operator.

use resources::Kind;
use runtime::component::Component;
use runtime::permissions::Rule;
use runtime::rbac::{FOLLOW, OWN, RbacRule, Rights, held, rules_of};

use crate::root;

/// The manifests are as generated; no role has a rule for everything or says a right twice; and each
/// rule has a sentence that says why, as have the rights that no request uses, or only a race.
/// Manifests begin with `header`.
pub fn rights_are_sound(rights: &Rights, header: &str) {
    for (path, content) in rights.manifests(header).expect("manifests") {
        let stored = std::fs::read_to_string(root().join(&path)).unwrap_or_default();
        assert_eq!(stored, content, "{path} is old: run `cargo xtask codegen`");
    }
    for role in &rights.roles {
        let mut rights = held(&role.rules);
        assert!(rights.iter().all(|right| !right.contains('*')));
        let length = rights.len();
        rights.sort();
        rights.dedup();
        assert_eq!(rights.len(), length, "{}", role.path);
    }
    let rules = rights.rules();
    let reasons = rules.iter().map(|rule| rule.reason);
    let unused = rights.unused.iter().map(|unused| unused.reason);
    let races = rights.races.iter().map(|race| race.race);
    for reason in reasons.chain(unused).chain(races) {
        assert!(reason.ends_with('.'), "{reason}");
    }
}

/// The rules give each kind that the component follows its verbs: those of [`OWN`] for what it owns,
/// of [`FOLLOW`] for the rest, and no others for that; or those that `special` has for it.
pub fn kinds_have_their_verbs<C: Component>(
    component: &C,
    rules: &[RbacRule],
    special: &[(Kind, &[&'static str])],
) {
    let held = rules_of(rules);
    for watched in component.kinds() {
        let kind = watched.kind;
        let exception = special.iter().find(|(of, _)| *of == kind);
        let verbs = match exception {
            Some((_, verbs)) => verbs,
            None if watched.owned => OWN,
            None => FOLLOW,
        };
        // A right for all names gives that for one, and nobody can be given the right to create one.
        let names = component.only_named(kind);
        let has = |needed: Rule| {
            held.contains(&needed)
                || (needed.verb != "create"
                    && !names.is_empty()
                    && names
                        .iter()
                        .all(|name| held.contains(&needed.clone().named(name))))
        };
        for verb in verbs {
            let needed = Rule::on(verb, kind);
            assert!(has(needed.clone()), "{needed} is missing");
        }
        if !watched.owned {
            let of_kind = |rule: &&Rule| (rule.group, rule.resource) == (kind.group, kind.plural);
            let mut given: Vec<&str> = held.iter().filter(of_kind).map(|rule| rule.verb).collect();
            given.dedup();
            assert_eq!(given, verbs, "{kind}");
        }
    }
}
