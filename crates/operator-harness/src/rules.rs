//! What holds for the rules of every operator.

use runtime::rbac::{OnlyWhen, RbacRule, Unused, held};

/// No rule of a role is for everything or said twice, and each rule has a sentence that says why, as
/// have the rights that no request uses, or only a race.
pub fn rules_are_sound(role: &[RbacRule], all: &[RbacRule], unused: &[Unused], races: &[OnlyWhen]) {
    let mut rights = held(role);
    assert!(rights.iter().all(|right| !right.contains('*')));
    let length = rights.len();
    rights.sort();
    rights.dedup();
    assert_eq!(rights.len(), length);
    let reasons = all.iter().map(|rule| rule.reason);
    let unused = unused.iter().map(|unused| unused.reason);
    for reason in reasons
        .chain(unused)
        .chain(races.iter().map(|race| race.race))
    {
        assert!(reason.ends_with('.'), "{reason}");
    }
}
