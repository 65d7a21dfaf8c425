//! Conditions as they stand in a status.

use jiff::{Timestamp, Unit};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{ConditionType, MESSAGE_LIMIT, Wanted};

/// The conditions of one status, in order, one of a type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// The condition of a type.
    #[must_use]
    pub fn get(&self, type_: ConditionType) -> Option<&Condition> {
        find(&self.0, type_.as_str())
    }

    /// Puts a condition in the place of the one of its type, or at the end.
    ///
    /// The time of the last transition stays unless the status changes.
    pub fn set(&mut self, wanted: &Wanted, now: Timestamp) {
        let place = self
            .0
            .iter_mut()
            .find(|condition| condition.type_ == wanted.type_.as_str());
        match place {
            Some(place) => *place = written(wanted, Some(place), now),
            None => self.0.push(written(wanted, None, now)),
        }
    }

    /// Takes a condition that no longer applies out of the status.
    pub fn remove(&mut self, type_: ConditionType) {
        self.0.retain(|condition| condition.type_ != type_.as_str());
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Condition> {
        self.0.iter()
    }
}

impl From<Vec<Condition>> for Conditions {
    /// Of several conditions of one type, which the schema of a status may admit, the first
    /// counts.
    fn from(conditions: Vec<Condition>) -> Self {
        let mut set: Vec<Condition> = Vec::with_capacity(conditions.len());
        for condition in conditions {
            if find(&set, &condition.type_).is_none() {
                set.push(condition);
            }
        }
        Self(set)
    }
}

impl From<Conditions> for Vec<Condition> {
    fn from(conditions: Conditions) -> Self {
        conditions.0
    }
}

/// The conditions that belong in a status now.
///
/// First those that are wanted, in their order, each with the transition time of the
/// previous one of its type unless its status differs. Then those previous ones that are
/// not wanted and whose type `keep_foreign` answers for: conditions that somebody else
/// maintains. Every other previous one goes. Where a type occurs twice, the first counts.
///
/// The result is stable: carried over again, with the same wanted conditions at any later
/// time, it stays as it is.
#[must_use]
pub fn carry_over(
    previous: &[Condition],
    wanted: &[Wanted],
    now: Timestamp,
    keep_foreign: impl Fn(&str) -> bool,
) -> Vec<Condition> {
    let ours = wanted
        .iter()
        .map(|wanted| written(wanted, find(previous, wanted.type_.as_str()), now));
    let is_ours = |type_: &str| wanted.iter().any(|wanted| wanted.type_.as_str() == type_);
    let foreign = previous
        .iter()
        .filter(|condition| !is_ours(&condition.type_) && keep_foreign(&condition.type_))
        .cloned();
    Conditions::from(ours.chain(foreign).collect::<Vec<_>>()).into()
}

fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn written(wanted: &Wanted, previous: Option<&Condition>, now: Timestamp) -> Condition {
    let unchanged = previous.filter(|previous| previous.status == wanted.status.as_str());
    Condition {
        type_: wanted.type_.as_str().into(),
        status: wanted.status.as_str().into(),
        reason: wanted.reason.as_str().into(),
        message: shortened(&wanted.message),
        observed_generation: wanted.observed_generation,
        last_transition_time: unchanged.map_or_else(
            || Time(whole_seconds(now)),
            |previous| previous.last_transition_time.clone(),
        ),
    }
}

/// Kubernetes writes times in whole seconds; with a fraction, ours would not equal what
/// others read and write back.
fn whole_seconds(now: Timestamp) -> Timestamp {
    // Rounding fails only beyond the last representable second.
    now.round(
        jiff::TimestampRound::new()
            .smallest(Unit::Second)
            .mode(jiff::RoundMode::Trunc),
    )
    .unwrap_or(now)
}

/// The message within its limit. One that was cut ends in an ellipsis.
fn shortened(message: &str) -> String {
    const CUT: char = '…';
    if message.len() <= MESSAGE_LIMIT {
        return message.into();
    }
    let end = message.floor_char_boundary(MESSAGE_LIMIT - CUT.len_utf8());
    message
        .get(..end)
        .unwrap_or_default()
        .chars()
        .chain([CUT])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reason, Status, condition_type, reason};

    const AVAILABLE: ConditionType = condition_type!("Available");
    const PAUSED: ConditionType = condition_type!("Paused");
    const WHY: Reason = reason!("Why");

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn wanted(status: Status, message: &str) -> Wanted {
        Wanted::new(AVAILABLE, status, WHY, message).observed(1)
    }

    #[test]
    fn the_time_changes_with_the_status_only() {
        let mut conditions = Conditions::default();
        conditions.set(&wanted(Status::False, "starting"), at(1));
        conditions.set(&wanted(Status::False, "still starting"), at(2));
        let condition = conditions.get(AVAILABLE).unwrap();
        assert_eq!(condition.message, "still starting");
        assert_eq!(condition.last_transition_time, Time(at(1)));
        conditions.set(&wanted(Status::True, ""), at(3));
        assert_eq!(
            conditions.get(AVAILABLE).unwrap().last_transition_time,
            Time(at(3))
        );
        conditions.remove(AVAILABLE);
        assert_eq!(conditions, Conditions::default());
    }

    #[test]
    fn a_condition_keeps_its_place() {
        let mut conditions = Conditions::default();
        conditions.set(&wanted(Status::False, ""), at(1));
        conditions.set(&Wanted::new(PAUSED, Status::True, WHY, ""), at(1));
        conditions.set(&wanted(Status::True, ""), at(2));
        let order: Vec<_> = conditions
            .iter()
            .map(|condition| condition.type_.as_str())
            .collect();
        assert_eq!(order, ["Available", "Paused"]);
    }

    #[test]
    fn times_are_whole_seconds() {
        let mut conditions = Conditions::default();
        conditions.set(
            &wanted(Status::True, ""),
            "2026-01-02T03:04:05.9Z".parse().unwrap(),
        );
        let time = &conditions.get(AVAILABLE).unwrap().last_transition_time;
        assert_eq!(time.0.to_string(), "2026-01-02T03:04:05Z");
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        for message in ["x".repeat(40_000), "é".repeat(20_000), "🦀".repeat(9_000)] {
            let cut = shortened(&message);
            assert!(
                cut.len() <= MESSAGE_LIMIT && cut.len() > MESSAGE_LIMIT - 8,
                "{} bytes",
                cut.len()
            );
            assert!(message.starts_with(cut.strip_suffix('…').unwrap()));
        }
        let fits = "x".repeat(MESSAGE_LIMIT);
        assert_eq!(shortened(&fits), fits);
    }

    #[test]
    fn only_what_is_wanted_or_foreign_stays() {
        let previous = |type_: &str| Condition {
            type_: type_.into(),
            status: "True".into(),
            reason: "Old".into(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(at(1)),
        };
        let previous = [
            previous("Stale"),
            previous("Theirs"),
            previous("Available"),
            previous("Theirs"),
        ];
        let now = carry_over(&previous, &[wanted(Status::True, "")], at(9), |type_| {
            type_ == "Theirs"
        });
        let order: Vec<_> = now
            .iter()
            .map(|condition| condition.type_.as_str())
            .collect();
        assert_eq!(order, ["Available", "Theirs"]);
        assert_eq!(now[0].last_transition_time, Time(at(1)));
        assert_eq!(now[1], previous[1]);
    }
}
