//! How far the run is: a bar on a terminal, a line every ten seconds elsewhere.

use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::transfer::{Phase, Progress};

/// Between two lines in a log.
const PERIOD: Duration = Duration::from_secs(10);

/// Between two looks of a bar.
const FRAME: Duration = Duration::from_millis(100);

/// Shows progress until it is dropped.
#[derive(Debug)]
pub struct Reporter(JoinHandle<()>);

impl Reporter {
    /// Begins to show what `progress` says.
    #[must_use]
    pub fn start(progress: watch::Receiver<Progress>) -> Self {
        if std::io::stderr().is_terminal() {
            Self(tokio::spawn(bar(progress)))
        } else {
            Self(tokio::spawn(lines(progress)))
        }
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn lines(progress: watch::Receiver<Progress>) {
    let started = Instant::now();
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut before = *progress.borrow();
    loop {
        ticks.tick().await;
        let now = *progress.borrow();
        tracing::info!("{}", line(&before, &now, PERIOD, started.elapsed()));
        before = now;
    }
}

/// A line about the time since `before`.
fn line(before: &Progress, now: &Progress, period: Duration, since_start: Duration) -> String {
    if now.total == 0 || now.phase != Phase::Copy {
        return format!("{}, after {}", now.phase.word(), HumanDuration(since_start));
    }
    let rate = per_second(now.done.saturating_sub(before.done), period);
    let percent = now.done.saturating_mul(100) / now.total;
    let mut line = format!(
        "{}: {} of {} ({percent} %), {}/s",
        now.phase.word(),
        HumanBytes(now.done),
        HumanBytes(now.total),
        HumanBytes(rate)
    );
    if let Some(seconds) = now.total.saturating_sub(now.done).checked_div(rate) {
        let left = HumanDuration(Duration::from_secs(seconds));
        let _ = write!(line, ", {left} left");
    }
    if now.skipped > 0 {
        let _ = write!(line, "; {} were there before", HumanBytes(now.skipped));
    }
    line
}

fn per_second(bytes: u64, period: Duration) -> u64 {
    let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / millis
}

async fn bar(mut progress: watch::Receiver<Progress>) {
    let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    loop {
        let now = *progress.borrow_and_update();
        bar.set_message(now.phase.word());
        bar.set_length(now.total);
        bar.set_position(now.done);
        tokio::time::sleep(FRAME).await;
        if progress.changed().await.is_err() {
            break;
        }
    }
    bar.finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_bytes_rate_and_time_left() {
        let at = |done| Progress {
            phase: Phase::Copy,
            done,
            skipped: 0,
            total: 4 << 30,
            files: 3,
        };
        let period = Duration::from_secs(10);
        let text = line(&at(0), &at(1 << 30), period, period);
        assert_eq!(
            text,
            "copy model: 1.00 GiB of 4.00 GiB (25 %), 102.40 MiB/s, 30 seconds left"
        );
        let text = line(&at(1 << 30), &at(1 << 30), period, period);
        assert_eq!(text, "copy model: 1.00 GiB of 4.00 GiB (25 %), 0 B/s");
        let text = line(&Progress::default(), &Progress::default(), period, period);
        assert_eq!(text, "list source, after 10 seconds");
    }
}
