//! How far a run is, for those who watch it.

use tokio::sync::watch;

use crate::transfer::{Phase, Progress};

/// Counts for a watcher.
#[derive(Debug, Clone)]
pub struct Meter {
    progress: watch::Sender<Progress>,
}

impl Meter {
    /// Counts into `progress`.
    #[must_use]
    pub fn new(progress: watch::Sender<Progress>) -> Self {
        Self { progress }
    }

    /// A new phase begins.
    pub fn phase(&self, phase: Phase) {
        self.progress.send_modify(|progress| progress.phase = phase);
    }

    /// The model is listed.
    pub fn listed(&self, files: usize, total: u64) {
        self.progress.send_modify(|progress| {
            progress.files = files;
            progress.total = total;
        });
    }

    /// Bytes that were there before.
    pub fn skipped(&self, bytes: u64) {
        self.progress.send_modify(|progress| {
            progress.done += bytes;
            progress.skipped += bytes;
        });
    }

    /// Bytes that an attempt moves. They stop counting when it is dropped before it [succeeds].
    ///
    /// [succeeds]: Attempt::succeed
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        Attempt {
            meter: self.clone(),
            bytes: 0,
            kept: 0,
        }
    }

    /// What was counted.
    #[must_use]
    pub fn now(&self) -> Progress {
        *self.progress.borrow()
    }
}

/// Bytes of an attempt.
#[derive(Debug)]
pub struct Attempt {
    meter: Meter,
    bytes: u64,
    kept: u64,
}

impl Attempt {
    /// Some more of them.
    pub fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.meter
            .progress
            .send_modify(|progress| progress.done += bytes);
    }

    /// So many of them were there before.
    pub fn kept(&mut self, bytes: u64) {
        self.kept += bytes;
    }

    /// They are there to stay.
    pub fn succeed(mut self) {
        self.bytes = 0;
        let kept = self.kept;
        self.meter
            .progress
            .send_modify(|progress| progress.skipped += kept);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let bytes = self.bytes;
        if bytes > 0 {
            self.meter
                .progress
                .send_modify(|progress| progress.done = progress.done.saturating_sub(bytes));
        }
    }
}
