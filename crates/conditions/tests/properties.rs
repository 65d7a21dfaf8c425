//! What holds for any conditions.
#![cfg(test)]

use conditions::{ConditionType, Reason, Status, Wanted, carry_over, condition_type, reason};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proptest::prelude::*;

const TYPES: [ConditionType; 4] = [
    condition_type!("Ready"),
    condition_type!("Available"),
    condition_type!("Degraded"),
    condition_type!("Foreign"),
];
const REASONS: [Reason; 3] = [reason!("Started"), reason!("Failed"), reason!("Waiting")];

fn status() -> impl Strategy<Value = Status> {
    prop::sample::select(vec![Status::True, Status::False, Status::Unknown])
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let parts = (
        prop::sample::select(TYPES.to_vec()),
        status(),
        prop::sample::select(REASONS.to_vec()),
        ".{0,20}",
        prop::option::of(0..5_i64),
    );
    parts.prop_map(
        |(type_, status, reason, message, observed_generation)| Wanted {
            type_,
            status,
            reason,
            message,
            observed_generation,
        },
    )
}

fn previous() -> impl Strategy<Value = Vec<Condition>> {
    let condition = (wanted(), 0..1_000_i64).prop_map(|(wanted, second)| Condition {
        type_: wanted.type_.as_str().into(),
        status: wanted.status.as_str().into(),
        reason: wanted.reason.as_str().into(),
        message: wanted.message,
        observed_generation: wanted.observed_generation,
        last_transition_time: at(second),
    });
    prop::collection::vec(condition, 0..6)
}

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).expect("a time"))
}

fn foreign(type_: &str) -> bool {
    type_ == "Foreign"
}

proptest! {
    #[test]
    fn the_transition_time_changes_iff_the_status_does(
        previous in previous(),
        wanted in prop::collection::vec(wanted(), 0..6),
        now in 2_000..3_000_i64,
    ) {
        for condition in carry_over(&previous, &wanted, at(now).0, foreign) {
            let before = previous.iter().find(|before| before.type_ == condition.type_);
            match before {
                Some(before) if before.status == condition.status => {
                    prop_assert_eq!(&condition.last_transition_time, &before.last_transition_time);
                }
                _ => prop_assert_eq!(&condition.last_transition_time, &at(now)),
            }
        }
    }

    #[test]
    fn carrying_over_again_changes_nothing(
        previous in previous(),
        wanted in prop::collection::vec(wanted(), 0..6),
        now in 2_000..3_000_i64,
        later in 3_000..4_000_i64,
    ) {
        let once = carry_over(&previous, &wanted, at(now).0, foreign);
        let twice = carry_over(&once, &wanted, at(later).0, foreign);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn exactly_the_wanted_and_the_foreign_types_are_there_once(
        previous in previous(),
        wanted in prop::collection::vec(wanted(), 0..6),
    ) {
        let result = carry_over(&previous, &wanted, at(2_000).0, foreign);
        for type_ in TYPES {
            let is_wanted = wanted.iter().any(|wanted| wanted.type_ == type_);
            let is_kept = foreign(type_.as_str()) && previous.iter().any(|before| before.type_ == type_.as_str());
            let count = result.iter().filter(|condition| condition.type_ == type_.as_str()).count();
            prop_assert_eq!(count, usize::from(is_wanted || is_kept));
        }
    }
}
