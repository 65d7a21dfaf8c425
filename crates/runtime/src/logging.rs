//! Logs: JSON lines on standard error by default, for people when asked.
//!
//! The flags are zap's, because manifests of the Go operators carry them.

use std::{fmt as std_fmt, io::IsTerminal as _, str::FromStr};

use jiff::{Timestamp, tz::TimeZone};
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

use crate::args::OperatorArgs;

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoder {
    /// One JSON object per line.
    Json,
    /// For people.
    Console,
}

impl FromStr for Encoder {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "console" => Ok(Self::Console),
            _ => Err("write json or console"),
        }
    }
}

/// Least important messages that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What went wrong and is not tried again.
    Error,
    /// What went wrong and is tried again.
    Warn,
    /// What happened.
    Info,
    /// What was decided.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl FromStr for Level {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "error" | "panic" | "dpanic" | "fatal" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            // zap's verbosity: V(1) is debug.
            number => match number.parse::<u8>() {
                Ok(1) => Ok(Self::Debug),
                Ok(2..) => Ok(Self::Trace),
                _ => Err("write error, warn, info, debug, or a number above 0"),
            },
        }
    }
}

/// Form of times in the logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeEncoding {
    /// Seconds since 1970, with a fraction.
    Epoch,
    /// Milliseconds since 1970.
    Millis,
    /// Nanoseconds since 1970.
    Nano,
    /// `2026-01-02T03:04:05.678Z`.
    Iso8601,
    /// `2026-01-02T03:04:05Z`.
    Rfc3339,
    /// `2026-01-02T03:04:05.678901234Z`.
    Rfc3339Nano,
}

impl FromStr for TimeEncoding {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "epoch" => Ok(Self::Epoch),
            "millis" => Ok(Self::Millis),
            "nano" => Ok(Self::Nano),
            "iso8601" => Ok(Self::Iso8601),
            "rfc3339" => Ok(Self::Rfc3339),
            "rfc3339nano" => Ok(Self::Rfc3339Nano),
            _ => Err("write epoch, millis, nano, iso8601, rfc3339 or rfc3339nano"),
        }
    }
}

impl TimeEncoding {
    fn write(self, time: Timestamp) -> String {
        let local = || time.to_zoned(TimeZone::UTC);
        match self {
            Self::Epoch => format!("{}.{:06}", time.as_second(), time.subsec_microsecond()),
            Self::Millis => time.as_millisecond().to_string(),
            Self::Nano => time.as_nanosecond().to_string(),
            Self::Iso8601 => local().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            Self::Rfc3339 => local().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Self::Rfc3339Nano => local().strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string(),
        }
    }
}

impl FormatTime for TimeEncoding {
    fn format_time(&self, writer: &mut Writer<'_>) -> std_fmt::Result {
        writer.write_str(&self.write(Timestamp::now()))
    }
}

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Form of the lines.
    pub encoder: Encoder,
    /// Form of times.
    pub time: TimeEncoding,
    /// Directives for `EnvFilter`.
    pub filter: String,
    /// Colours.
    pub colour: bool,
}

impl LogSettings {
    /// From flags; `rust_log` is RUST_LOG, which a level flag overrules; `terminal` says whether
    /// a person is likely to read along. Console lines are for a terminal, and for those who ask.
    #[must_use]
    pub fn new(args: &OperatorArgs, rust_log: Option<&str>, terminal: bool) -> Self {
        let devel = args.zap_devel == Some(true);
        let by_default = if devel || (terminal && args.zap_devel.is_none()) {
            Encoder::Console
        } else {
            Encoder::Json
        };
        let encoder = args.zap_encoder.unwrap_or(by_default);
        let level = args.zap_log_level.or(devel.then_some(Level::Debug));
        let filter = match (level, rust_log.filter(|directives| !directives.is_empty())) {
            (None, Some(directives)) => directives.to_owned(),
            (level, _) => directives(level.unwrap_or(Level::Info)),
        };
        Self {
            encoder,
            time: args.zap_time_encoding.unwrap_or(TimeEncoding::Rfc3339Nano),
            filter,
            colour: terminal && encoder == Encoder::Console,
        }
    }
}

/// The level for us. Connections of libraries are below what helps an operator's user.
fn directives(level: Level) -> String {
    match level {
        Level::Trace => "trace,hyper=debug,hyper_util=debug,rustls=debug,tower=debug".to_owned(),
        Level::Debug => "debug,hyper=info,hyper_util=info,rustls=info,tower=info".to_owned(),
        level => level.as_str().to_owned(),
    }
}

/// Logging could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// RUST_LOG cannot be read.
    #[error("RUST_LOG={value}: {source}; write for example info or debug,hyper=info")]
    Directives {
        /// What it says.
        value: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// It was started before.
    #[error("logging could not be started: {0}")]
    Started(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The client logs whole answers that it cannot read, and an answer may be a Secret. Nobody can
/// switch that on.
const NEVER: &str = "kube_client::client=error";

fn filter(directives: &str) -> Result<EnvFilter, LogError> {
    let failed = |source| LogError::Directives {
        value: directives.to_owned(),
        source,
    };
    let never = NEVER.parse().map_err(failed)?;
    Ok(EnvFilter::try_new(directives)
        .map_err(failed)?
        .add_directive(never))
}

/// Logs from now on as the flags, RUST_LOG and the terminal ask for it.
pub fn start(args: &OperatorArgs) -> Result<(), LogError> {
    let filter = std::env::var("RUST_LOG").ok();
    let terminal = std::io::stderr().is_terminal();
    init(&LogSettings::new(args, filter.as_deref(), terminal))
}

/// Starts logging for the whole process.
pub fn init(settings: &LogSettings) -> Result<(), LogError> {
    let filter = filter(&settings.filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_timer(settings.time)
        .with_writer(std::io::stderr)
        .with_ansi(settings.colour);
    let started = match settings.encoder {
        Encoder::Json => lines
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .try_init(),
        Encoder::Console => lines.try_init(),
    };
    started.map_err(LogError::Started)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        operator: OperatorArgs,
    }

    fn settings(arguments: &[&str], rust_log: Option<&str>, terminal: bool) -> LogSettings {
        let arguments = std::iter::once(&"manager").chain(arguments);
        LogSettings::new(&Program::parse_from(arguments).operator, rust_log, terminal)
    }

    #[test]
    fn json_unless_a_person_reads_or_asks() {
        let encoder = |arguments: &[&str], terminal| settings(arguments, None, terminal).encoder;
        assert_eq!(encoder(&[], false), Encoder::Json);
        assert_eq!(encoder(&[], true), Encoder::Console);
        assert_eq!(encoder(&["--zap-devel"], false), Encoder::Console);
        assert_eq!(encoder(&["--zap-devel=false"], true), Encoder::Json);
        assert_eq!(
            encoder(&["--zap-devel", "--zap-encoder=json"], true),
            Encoder::Json
        );
        assert!(!settings(&["--zap-encoder=console"], None, false).colour);
    }

    #[test]
    fn a_flag_overrules_the_environment() {
        let filter = |arguments: &[&str], rust_log| settings(arguments, rust_log, false).filter;
        assert_eq!(filter(&[], None), "info");
        assert_eq!(filter(&[], Some("warn,kube=trace")), "warn,kube=trace");
        assert_eq!(filter(&["--zap-log-level=error"], Some("trace")), "error");
        assert!(filter(&["--zap-log-level=1"], None).starts_with("debug,"));
        assert!(filter(&["--zap-log-level", "5"], None).starts_with("trace,"));
        for level in ["error", "info", "debug", "9"] {
            let filter = filter(&["--zap-log-level", level], None);
            EnvFilter::try_new(filter).unwrap();
        }
    }

    #[test]
    fn levels_of_zap() {
        assert_eq!("panic".parse(), Ok(Level::Error));
        assert_eq!("INFO".parse(), Ok(Level::Info));
        assert!("0".parse::<Level>().is_err());
        assert!("-1".parse::<Level>().is_err());
    }

    #[test]
    fn times_of_zap() {
        let time = Timestamp::from_nanosecond(1_700_000_000_012_345_678).unwrap();
        for (encoding, expected) in [
            ("epoch", "1700000000.012345"),
            ("millis", "1700000000012"),
            ("nano", "1700000000012345678"),
            ("iso8601", "2023-11-14T22:13:20.012Z"),
            ("rfc3339", "2023-11-14T22:13:20Z"),
            ("rfc3339nano", "2023-11-14T22:13:20.012345678Z"),
        ] {
            assert_eq!(
                encoding.parse::<TimeEncoding>().unwrap().write(time),
                expected
            );
        }
    }

    #[test]
    fn answers_of_the_server_are_never_logged() {
        for directives in ["trace", "kube_client=trace", "kube_client::client=trace"] {
            let filter = filter(directives).unwrap().to_string();
            let of_client: Vec<&str> = filter
                .split(',')
                .filter(|part| part.starts_with("kube_client::client"))
                .collect();
            assert_eq!(of_client, [NEVER], "{directives} gave {filter}");
        }
    }

    #[test]
    fn wrong_directives_name_the_variable() {
        let settings = LogSettings {
            filter: "a=b=c".to_owned(),
            ..settings(&[], None, false)
        };
        let error = init(&settings).unwrap_err().to_string();
        assert!(error.starts_with("RUST_LOG=a=b=c: "), "{error}");
    }
}
