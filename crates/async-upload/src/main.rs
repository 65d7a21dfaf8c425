//! The upload job as a program.
//!
//! Exit codes: 0, the model is registered; 1, it is not and a retry may help; 2, the configuration
//! is wrong and a retry will not help; 130 and 143, stopped by SIGINT or SIGTERM.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_upload::cli;
use async_upload::config::{self, Config, Environment};
use async_upload::pod::{logging, termination};
use async_upload::run::{End, run};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::Level;

const FAILED: u8 = 1;
const MISCONFIGURED: u8 = 2;
/// What a shell adds to the number of a signal.
const SIGNALLED: u8 = 128;

fn main() -> ExitCode {
    let environment = Environment::of_process();
    let last_words = config::termination_log(&environment);
    let arguments: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let flags = match cli::parse(&arguments, &environment.variables) {
        Ok(flags) => flags,
        Err(error) => {
            let _ = error.print();
            let code = u8::try_from(error.exit_code()).unwrap_or(MISCONFIGURED);
            if code != 0 {
                logging::start(Level::INFO, Level::WARN);
                termination::write(&last_words, &error.to_string());
            }
            return ExitCode::from(code);
        }
    };
    let level = environment.variable("LOGLEVEL").map(cli::level);
    logging::start(
        level.clone().and_then(Result::ok).unwrap_or(Level::INFO),
        flags.registry.registry_log_level,
    );
    if let Some(Err(remedy)) = level {
        tracing::warn!("LOGLEVEL is no level: {remedy}");
    }
    let loaded = match config::load(&flags, &environment) {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::error!("{error}");
            termination::write(&last_words, &format!("read settings failed: {error}"));
            return ExitCode::from(MISCONFIGURED);
        }
    };
    if flags.run.print_config {
        let text = format!("{:#}\n", config::print(&loaded));
        let printed = std::io::stdout().write_all(text.as_bytes());
        return ExitCode::from(if printed.is_ok() { 0 } else { FAILED });
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let (message, code) = match execute(&loaded.config) {
        Ok(message) => (message, 0),
        Err((message, code)) => {
            tracing::error!("{message}");
            (message, code)
        }
    };
    termination::write(&last_words, &message);
    ExitCode::from(code)
}

/// Runs until the end, or until a signal. The error is the message and the exit code.
fn execute(config: &Config) -> Result<String, (String, u8)> {
    let internal = |error: std::io::Error| (format!("start failed: {error}."), FAILED);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(internal)?
        .block_on(async {
            let cancel = CancellationToken::new();
            let received = watch_signals(&cancel).map_err(internal)?;
            match run(config, &cancel).await {
                Ok(done) => {
                    let message = done.message();
                    tracing::info!("🏁 Job completed successfully: {message}");
                    Ok(message)
                }
                Err(end @ End::Failed(_)) => Err((end.to_string(), FAILED)),
                Err(end @ End::Stopped) => {
                    let code = SIGNALLED.saturating_add(received.load(Ordering::Relaxed));
                    Err((end.to_string(), code))
                }
            }
        })
}

/// Cancels the run at the first signal, and remembers which it was.
fn watch_signals(cancel: &CancellationToken) -> std::io::Result<Arc<AtomicU8>> {
    let received = Arc::new(AtomicU8::new(0));
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind)?;
        let (cancel, received) = (cancel.clone(), received.clone());
        tokio::spawn(async move {
            if signals.recv().await.is_some() {
                let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
                received.store(number, Ordering::Relaxed);
                tracing::warn!("stopping, because of signal {number}");
                cancel.cancel();
            }
        });
    }
    Ok(received)
}
