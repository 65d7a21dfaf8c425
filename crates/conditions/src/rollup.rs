//! One condition that sums up the others.

use crate::{ConditionType, Reason, Status, Wanted, condition_type, reason};

/// The condition that every kind has, for those who wait without knowing the kind.
pub const READY: ConditionType = condition_type!("Ready");

/// Reason of [`READY`] when everything holds.
pub const READY_REASON: Reason = reason!("Ready");

/// Reason of [`READY`] when there is nothing to sum up.
pub const NOTHING_REPORTED: Reason = reason!("NothingReported");

/// Sums up the conditions that are good when True.
///
/// True only if all of them are. Otherwise it says what the first one that is not says: the
/// first False one, else the first Unknown one. Of no conditions at all it is Unknown.
/// Conditions that are bad when True (`Degraded`, `Paused`, `Progressing`) are not for here.
#[must_use]
pub fn ready(positive: &[&Wanted], generation: i64) -> Wanted {
    let first = |status| positive.iter().find(move |wanted| wanted.status == status);
    let worst = first(Status::False).or_else(|| first(Status::Unknown));
    let ready = match worst {
        Some(worst) => Wanted::new(READY, worst.status, worst.reason, worst.message.clone()),
        None if positive.is_empty() => Wanted::new(
            READY,
            Status::Unknown,
            NOTHING_REPORTED,
            "nothing reported yet",
        ),
        None => Wanted::new(READY, Status::True, READY_REASON, ""),
    };
    ready.observed(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(status: Status, reason: Reason) -> Wanted {
        Wanted::new(condition_type!("Part"), status, reason, reason.as_str())
    }

    #[test]
    fn the_worst_of_all_decides() {
        const A: Reason = reason!("A");
        const B: Reason = reason!("B");
        const C: Reason = reason!("C");
        use Status::{False, True, Unknown};
        for (parts, status, reason) in [
            (vec![(True, A), (True, B)], True, READY_REASON),
            (vec![(True, A), (Unknown, B), (False, C)], False, C),
            (vec![(False, A), (False, B)], False, A),
            (vec![(True, A), (Unknown, B), (Unknown, C)], Unknown, B),
            (vec![], Unknown, NOTHING_REPORTED),
        ] {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(status, reason)| wanted(status, reason))
                .collect();
            let ready = ready(&parts.iter().collect::<Vec<_>>(), 7);
            assert_eq!(
                (ready.type_, ready.status, ready.reason),
                (READY, status, reason)
            );
            assert_eq!(ready.observed_generation, Some(7));
        }
    }
}
