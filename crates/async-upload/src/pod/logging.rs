//! Logs on standard error.
//!
//! Libraries only warn, at every level: what they say in between may hold a header with a password.

use std::io::IsTerminal as _;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Begins to log. `registry` is the level of what is said to the model registry.
pub fn start(level: Level, registry: Level) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(targets(level, registry))
        .try_init();
}

fn targets(level: Level, registry: Level) -> Targets {
    Targets::new()
        .with_default(Level::WARN)
        .with_target("async_upload", level)
        .with_target("async_upload::registry", registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_only_warn() {
        let targets = targets(Level::DEBUG, Level::WARN);
        assert!(targets.would_enable("async_upload::oci", &Level::DEBUG));
        assert!(!targets.would_enable("async_upload::registry", &Level::INFO));
        assert!(!targets.would_enable("reqwest::connect", &Level::DEBUG));
        assert!(!targets.would_enable("hyper_util", &Level::INFO));
    }
}
