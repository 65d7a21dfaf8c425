//! Status conditions: set, roll up, keep transition times.
//!
//! A controller says which conditions it wants, as [`Wanted`], without times.
//! [`carry_over`] turns that into what belongs in the status: a transition time changes
//! only when the status does, and a condition that is no longer wanted goes.
//!
//! ```
//! use conditions::{ConditionType, Reason, Status, Wanted, carry_over, condition_type, ready, reason};
//!
//! const AVAILABLE: ConditionType = condition_type!("Available");
//! const STARTED: Reason = reason!("Started");
//!
//! let available = Wanted::new(AVAILABLE, Status::True, STARTED, "2 of 2 pods are ready").observed(3);
//! let wanted = [ready(&[&available], 3), available];
//! let now = "2026-01-02T03:04:05Z".parse().unwrap();
//! let status = carry_over(&[], &wanted, now, |_| false);
//! assert_eq!(status[0].type_, "Ready");
//! assert_eq!(status[0].status, "True");
//! assert_eq!(status[0].observed_generation, Some(3));
//! ```

mod rollup;
mod set;
mod words;

pub use rollup::{NOTHING_REPORTED, READY, READY_REASON, ready};
pub use set::{Conditions, carry_over};
pub use words::{ConditionType, Reason, Status};

/// The longest message that the schema of a condition admits.
pub const MESSAGE_LIMIT: usize = 32_768;

/// A condition as a controller wants it: everything but the time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wanted {
    /// Which condition.
    pub type_: ConditionType,
    /// Whether it holds.
    pub status: Status,
    /// Why, for programs.
    pub reason: Reason,
    /// Why, for people. What exceeds [`MESSAGE_LIMIT`] bytes is cut off when it is written.
    pub message: String,
    /// Generation of the resource that was looked at.
    pub observed_generation: Option<i64>,
}

impl Wanted {
    /// A condition that says nothing yet about the generation it speaks of.
    #[must_use]
    pub fn new(
        type_: ConditionType,
        status: Status,
        reason: Reason,
        message: impl Into<String>,
    ) -> Self {
        Self {
            type_,
            status,
            reason,
            message: message.into(),
            observed_generation: None,
        }
    }

    /// The same, speaking of this generation of the resource.
    #[must_use]
    pub fn observed(mut self, generation: i64) -> Self {
        self.observed_generation = Some(generation);
        self
    }
}
