//! What went wrong in one request or one file, before it is known what that means for the run.

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use crate::transfer::{Error, Phase};

/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// The first wait; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait that a server may ask for; beyond it the run would look dead.
const LONGEST_ASKED: Duration = Duration::from_mins(2);

/// One thing that did not work.
#[derive(Debug, Clone)]
pub struct Failure {
    /// What, with names and values, without secrets.
    pub cause: String,
    /// What to do about it.
    pub remedy: String,
    /// Whether doing it again may help.
    pub retriable: bool,
    /// How long the server wants to be left alone.
    pub wait: Option<Duration>,
    /// The status with which a registry refused the content of a blob.
    pub refused: Option<reqwest::StatusCode>,
}

impl Failure {
    /// Something that stays wrong until somebody changes something.
    #[must_use]
    pub fn lasting(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            remedy: remedy.into(),
            retriable: false,
            wait: None,
            refused: None,
        }
    }

    /// Something that may be over by itself.
    #[must_use]
    pub fn passing(cause: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            remedy: "It was tried several times; run the Job again when the server is well"
                .to_owned(),
            retriable: true,
            wait: None,
            refused: None,
        }
    }

    /// Names what was being done, in front of the cause.
    #[must_use]
    pub fn while_doing(mut self, what: &str) -> Self {
        self.cause = format!("{what}: {}", self.cause);
        self
    }

    /// The end of a run in `phase`.
    #[must_use]
    pub fn in_phase(self, phase: Phase) -> Error {
        Error {
            phase,
            cause: self.cause,
            remedy: self.remedy,
            retriable: self.retriable,
        }
    }
}

/// The cause of an error and the causes of that, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Wrappers repeat what they wrap.
        if !text.contains(&cause_text) {
            let _ = write!(text, ": {cause_text}");
        }
        next = cause.source();
    }
    text
}

/// How often and how long to try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// Attempts after the first.
    pub retries: u32,
}

impl Patience {
    /// Does `attempt` until it works, fails for good, or was tried often enough. Waits between
    /// attempts are random up to a limit that doubles, so that many Jobs do not come back at once.
    pub async fn retry<T, F, Fut>(self, what: &str, mut attempt: F) -> Result<T, Failure>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Failure>>,
    {
        let mut tried = 0;
        loop {
            match attempt().await {
                Ok(value) => return Ok(value),
                Err(failure) if failure.retriable && tried < self.retries => {
                    let wait = pause(tried, failure.wait);
                    tried += 1;
                    tracing::warn!(
                        attempt = tried,
                        wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                        "{what}: {}; trying again",
                        failure.cause
                    );
                    tokio::time::sleep(wait).await;
                }
                Err(failure) => return Err(failure.while_doing(what)),
            }
        }
    }
}

/// The wait after attempt `tried` (from 0), at least what the server `asked` for.
pub(crate) fn pause(tried: u32, asked: Option<Duration>) -> Duration {
    let limit = FIRST_WAIT
        .saturating_mul(1 << tried.min(10))
        .min(LONGEST_WAIT);
    let random = limit.mul_f64(0.5 + fraction() / 2.0);
    random.max(asked.unwrap_or_default().min(LONGEST_ASKED))
}

/// A random number from 0 to 1, good enough for jitter.
fn fraction() -> f64 {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_obey_the_server() {
        for tried in 0..40 {
            let wait = pause(tried, None);
            assert!(wait >= FIRST_WAIT / 2 && wait <= LONGEST_WAIT, "{wait:?}");
        }
        assert!(pause(0, Some(Duration::from_secs(30))) >= Duration::from_secs(30));
        assert!(pause(0, Some(Duration::from_hours(24))) <= LONGEST_ASKED);
    }

    #[tokio::test]
    async fn a_lasting_failure_is_not_tried_again() {
        let mut tries = 0;
        let result: Result<(), _> = Patience { retries: 5 }
            .retry("asking", || {
                tries += 1;
                std::future::ready(Err(Failure::lasting("404", "Look")))
            })
            .await;
        assert_eq!(tries, 1);
        assert_eq!(result.unwrap_err().cause, "asking: 404");
        let result: Result<(), _> = Patience { retries: 1 }
            .retry("asking", || {
                tries += 1;
                std::future::ready(Err(Failure::passing("503")))
            })
            .await;
        assert!(result.unwrap_err().retriable);
        assert_eq!(tries, 3);
    }
}
