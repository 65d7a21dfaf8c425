//! Stopping in order: no new work, finish what runs, release the Lease, exit 0.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::watch;

/// The wish to stop, shared by everything that runs.
#[derive(Clone, Debug)]
pub struct Shutdown {
    requested: Arc<watch::Sender<bool>>,
    in_flight: Arc<watch::Sender<()>>,
}

/// Work that must end before the process does. Hold it while working.
#[derive(Debug)]
pub struct InFlight {
    _alive: watch::Receiver<()>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}

impl Shutdown {
    /// Nobody wants to stop yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            requested: Arc::new(watch::channel(false).0),
            in_flight: Arc::new(watch::channel(()).0),
        }
    }

    /// Asks everybody to stop. Asking twice is asking once.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Resolves when somebody asks, at once when somebody did. It borrows nothing.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut receiver = self.requested.subscribe();
        let sender = Arc::clone(&self.requested);
        async move {
            // The sender lives as long as this future, so the channel never closes.
            let _ = receiver.wait_for(|requested| *requested).await;
            drop(sender);
        }
    }

    /// Runs `work` until it ends or somebody asks to stop; `None` when it was stopped.
    pub async fn interrupt<F: Future>(&self, work: F) -> Option<F::Output> {
        tokio::select! {
            biased;
            () = self.requested() => None,
            output = work => Some(output),
        }
    }

    /// Marks work that should be finished before the process ends.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        InFlight {
            _alive: self.in_flight.subscribe(),
        }
    }

    /// Waits until no work is in flight; `false` when `limit` passed before.
    pub async fn drained(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.in_flight.closed())
            .await
            .is_ok()
    }

    /// Asks to stop when the process gets SIGTERM or SIGINT. The second signal ends the process
    /// with exit code 1 at once, as controller-runtime does.
    pub fn listen_to_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if shutdown.is_requested() {
                    tracing::warn!(signal = name, "second signal: exit at once");
                    std::process::exit(1);
                }
                tracing::info!(signal = name, "stopping");
                shutdown.request();
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_clones_and_late_listeners() {
        let shutdown = Shutdown::new();
        let early = tokio::spawn(shutdown.requested());
        assert!(!shutdown.is_requested());
        shutdown.clone().request();
        early.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
        assert_eq!(shutdown.interrupt(std::future::pending::<()>()).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_waits_for_work_and_has_a_limit() {
        let shutdown = Shutdown::new();
        assert!(shutdown.drained(Duration::from_millis(1)).await);
        let work = shutdown.in_flight();
        assert!(!shutdown.drained(Duration::from_secs(5)).await);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            drop(work);
        });
        assert!(shutdown.drained(Duration::from_secs(5)).await);
    }
}
