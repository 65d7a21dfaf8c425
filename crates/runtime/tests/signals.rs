//! Signals, in a process of their own: who listens to SIGTERM is no longer ended by it.

#![cfg(test)]

use std::time::Duration;

use runtime::shutdown::Shutdown;

#[tokio::test]
async fn a_signal_is_a_request() {
    let shutdown = Shutdown::new();
    shutdown.listen_to_signals().expect("signals");
    assert!(!shutdown.is_requested());
    let kill = format!("kill -TERM {}", std::process::id());
    let status = std::process::Command::new("sh")
        .args(["-c", &kill])
        .status()
        .expect("a shell");
    assert!(status.success());
    let requested = tokio::time::timeout(Duration::from_secs(5), shutdown.requested()).await;
    requested.expect("the signal arrives");
}
