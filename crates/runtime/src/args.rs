//! Flags that every operator takes, spelled as those of the Go operators.

mod address;
mod line;

use std::path::PathBuf;

use clap::{ArgAction, Args, builder::ValueParser};

pub use address::{BindAddress, BindAddressError};
pub use line::{normalise, read};

use crate::logging::{Encoder, Level, TimeEncoding};

/// Flags that every operator takes.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(next_help_heading = "Options of the running operator")]
#[allow(clippy::struct_excessive_bools, reason = "they are flags")]
pub struct OperatorArgs {
    /// Address of /metrics. ":8443" listens on every interface; "0" turns it off.
    #[arg(long, global = true, value_name = "ADDRESS", default_value = ":8443")]
    pub metrics_bind_address: BindAddress,

    /// Serve /metrics by HTTPS to those whom the cluster allows it. "=false" is HTTP for anybody.
    #[arg(long, global = true, value_name = "BOOL", default_value = "true",
          action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool())]
    pub metrics_secure: bool,

    /// Directory with the certificate of /metrics. Without it a self-signed one is made.
    #[arg(long, alias = "metrics-cert-path", global = true, value_name = "DIR", value_parser = optional_path())]
    pub metrics_cert_dir: Option<OptionalPath>,

    /// File of the certificate in --metrics-cert-dir.
    #[arg(long, global = true, value_name = "FILE", default_value = "tls.crt")]
    pub metrics_cert_name: String,

    /// File of the private key in --metrics-cert-dir.
    #[arg(
        long,
        alias = "metrics-cert-key",
        global = true,
        value_name = "FILE",
        default_value = "tls.key"
    )]
    pub metrics_key_name: String,

    /// Address of admission and conversion, where ENABLE_WEBHOOKS is not "false".
    #[arg(long, global = true, value_name = "ADDRESS", default_value = ":9443")]
    pub webhook_bind_address: BindAddress,

    /// Directory with tls.crt and tls.key of admission and conversion. Without it:
    /// k8s-webhook-server/serving-certs in the directory of temporary files, if it holds them,
    /// else the operator makes a certificate itself.
    #[arg(long, global = true, value_name = "DIR", value_parser = optional_path())]
    pub webhook_cert_dir: Option<OptionalPath>,

    /// Address of /healthz and /readyz. "0" turns it off.
    #[arg(long, global = true, value_name = "ADDRESS", default_value = ":8081")]
    pub health_probe_bind_address: BindAddress,

    /// Write only while holding the Lease, so that one of several replicas works.
    #[arg(long, global = true, value_name = "BOOL", default_value = "false",
          action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool())]
    pub leader_elect: bool,

    /// Namespace of the Lease. Without it: POD_NAMESPACE, then the namespace of the pod or of the
    /// kubeconfig.
    #[arg(long, global = true, value_name = "NAMESPACE", value_parser = namespace())]
    pub lease_namespace: Option<String>,

    /// Kubeconfig file. Without it: KUBECONFIG, ~/.kube/config, the pod's service account.
    #[arg(long, global = true, value_name = "FILE", value_parser = optional_path())]
    pub kubeconfig: Option<OptionalPath>,

    /// Namespaces to work in, separated by commas. Without it: the whole cluster.
    #[arg(long, global = true, value_name = "NAMESPACES", value_delimiter = ',',
          value_parser = namespace())]
    pub watch_namespaces: Vec<String>,

    /// Resources of one kind that are worked on at once.
    #[arg(long, global = true, value_name = "N", default_value = "16",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_concurrent_reconciles: u16,

    /// Logs for people instead of JSON, with debug messages.
    #[arg(long, global = true, value_name = "BOOL",
          action = ArgAction::Set, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", value_parser = go_bool())]
    pub zap_devel: Option<bool>,

    /// Form of the logs.
    #[arg(long, global = true, value_name = "json|console")]
    pub zap_encoder: Option<Encoder>,

    /// Least important messages that are logged: error, warn, info, debug, or a number, where 1
    /// is debug and more is trace.
    #[arg(long, global = true, value_name = "LEVEL")]
    pub zap_log_level: Option<Level>,

    /// Accepted for manifests of the Go operators; there are no stack traces in these logs.
    #[arg(long, global = true, value_name = "LEVEL", hide = true)]
    pub zap_stacktrace_level: Option<Level>,

    /// Form of times in the logs: epoch, millis, nano, iso8601, rfc3339 or rfc3339nano.
    #[arg(long, global = true, value_name = "ENCODING")]
    pub zap_time_encoding: Option<TimeEncoding>,
}

impl OperatorArgs {
    /// The kubeconfig that was named, if one was.
    #[must_use]
    pub fn kubeconfig(&self) -> Option<PathBuf> {
        self.kubeconfig.as_ref().and_then(|path| path.0.clone())
    }

    /// Certificate and key of /metrics, if a directory was named.
    #[must_use]
    pub fn metrics_certificate(&self) -> Option<(PathBuf, PathBuf)> {
        let dir = self.metrics_cert_dir.as_ref()?.0.as_ref()?;
        let file =
            |name: &str, default: &str| dir.join(if name.is_empty() { default } else { name });
        Some((
            file(&self.metrics_cert_name, "tls.crt"),
            file(&self.metrics_key_name, "tls.key"),
        ))
    }

    /// Directory with the certificate of webhooks: the one that was named, else the one that
    /// controller-runtime looks in, if there is a certificate.
    #[must_use]
    pub fn webhook_cert_dir(&self) -> Option<PathBuf> {
        let named = self.webhook_cert_dir.as_ref().and_then(|dir| dir.0.clone());
        named.or_else(|| {
            let dir = std::env::temp_dir().join("k8s-webhook-server/serving-certs");
            dir.join("tls.crt").exists().then_some(dir)
        })
    }

    /// Namespaces in scope, sorted; empty for the whole cluster.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = self
            .watch_namespaces
            .iter()
            .filter(|name| !name.is_empty())
            .cloned()
            .collect();
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }

    /// Namespace of the Lease: the flag, else `pod_namespace` (POD_NAMESPACE), else that of the
    /// client.
    #[must_use]
    pub fn lease_namespace(&self, pod_namespace: Option<&str>, client: &str) -> String {
        let named = |name: &&str| !name.is_empty();
        self.lease_namespace
            .as_deref()
            .filter(named)
            .or_else(|| pod_namespace.filter(named))
            .unwrap_or(client)
            .to_owned()
    }
}

/// A path flag; empty means not given, as in Go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionalPath(pub Option<PathBuf>);

fn optional_path() -> ValueParser {
    ValueParser::from(|text: &str| {
        let path = (!text.is_empty()).then(|| PathBuf::from(text));
        Ok::<_, std::convert::Infallible>(OptionalPath(path))
    })
}

/// Booleans as Go's flag packages read them.
fn go_bool() -> ValueParser {
    ValueParser::from(|text: &str| match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("write true or false"),
    })
}

/// The name of a namespace (a DNS label), or nothing.
#[must_use]
pub fn namespace() -> ValueParser {
    ValueParser::from(|text: &str| {
        let name = text.trim();
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let valid = name.len() <= 63
            && !name.starts_with('-')
            && !name.ends_with('-')
            && name.chars().all(|c| letter(c) || c == '-');
        if valid {
            Ok(name.to_owned())
        } else {
            Err("write names of up to 63 lower-case letters, digits and inner dashes")
        }
    })
}

/// What `--version` says: with the commit where it is known, and with `FIPS` where that was asked for.
#[must_use]
pub fn version(version: &str, commit: Option<&str>) -> String {
    let commit = commit.map(|commit| format!(" ({commit})"));
    let fips = if crypto::FIPS { " FIPS" } else { "" };
    format!("{version}{}{fips}", commit.unwrap_or_default())
}

/// Whether webhooks are served: unless `ENABLE_WEBHOOKS` is exactly `false`, as in the Go operators.
#[must_use]
pub fn webhooks_enabled(variable: Option<&str>) -> bool {
    variable != Some("false")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::{FromArgMatches, Parser};

    use super::*;

    #[derive(Parser, Debug)]
    struct Program {
        #[command(flatten)]
        operator: OperatorArgs,
        #[arg(short)]
        output: Option<String>,
        #[command(subcommand)]
        command: Option<Sub>,
    }

    #[derive(clap::Subcommand, Debug)]
    enum Sub {
        Modelregistry,
    }

    fn parse(arguments: &[&str]) -> Result<Program, clap::Error> {
        use clap::CommandFactory;
        let arguments = std::iter::once(&"manager")
            .chain(arguments)
            .map(OsString::from);
        let arguments = normalise(&Program::command(), arguments);
        let matches = Program::command().try_get_matches_from(arguments)?;
        Program::from_arg_matches(&matches)
    }

    fn args(arguments: &[&str]) -> OperatorArgs {
        parse(arguments).unwrap().operator
    }

    #[test]
    fn defaults_are_those_of_the_go_operator() {
        let args = args(&[]);
        assert_eq!(args.metrics_bind_address, BindAddress::Everywhere(8443));
        assert_eq!(
            args.health_probe_bind_address,
            BindAddress::Everywhere(8081)
        );
        assert!(args.metrics_secure);
        assert!(!args.leader_elect);
        assert_eq!(args.max_concurrent_reconciles, 16);
        assert_eq!(args.metrics_certificate(), None);
        assert_eq!(args.kubeconfig(), None);
        assert!(args.namespaces().is_empty());
    }

    #[test]
    fn the_arguments_of_the_go_manifests_are_understood() {
        let args = args(&[
            "modelregistry",
            "--metrics-bind-address=:8443",
            "--leader-elect",
            "--health-probe-bind-address=:8081",
            "--metrics-cert-dir=/certs",
            "--metrics-cert-name=",
            "--zap-devel=false",
            "--zap-log-level=2",
            "--zap-time-encoding",
            "iso8601",
        ]);
        assert!(args.leader_elect);
        assert_eq!(args.zap_devel, Some(false));
        assert_eq!(
            args.metrics_certificate(),
            Some((
                PathBuf::from("/certs/tls.crt"),
                PathBuf::from("/certs/tls.key")
            ))
        );
    }

    #[test]
    fn one_dash_is_two_for_long_flags_only() {
        let program = parse(&[
            "-leader-elect=true",
            "-metrics-secure=F",
            "-kubeconfig",
            "k",
            "-oyaml",
        ])
        .unwrap();
        assert!(program.operator.leader_elect);
        assert!(!program.operator.metrics_secure);
        assert_eq!(program.operator.kubeconfig(), Some(PathBuf::from("k")));
        assert_eq!(program.output.as_deref(), Some("yaml"));
        let kept: Vec<OsString> = ["a", "-x", "-", "--", "-leader-elect"]
            .map(OsString::from)
            .into();
        let command = <Program as clap::CommandFactory>::command();
        assert_eq!(normalise(&command, kept.clone()), kept);
    }

    #[test]
    fn a_bare_bool_does_not_swallow_the_next_argument() {
        let program = parse(&["--leader-elect", "modelregistry"]).unwrap();
        assert!(program.operator.leader_elect);
        assert!(matches!(program.command, Some(Sub::Modelregistry)));
    }

    #[test]
    fn errors_name_flag_value_and_remedy() {
        for (arguments, words) in [
            (
                ["--metrics-bind-address=8443"],
                ["--metrics-bind-address", "8443", ":PORT"],
            ),
            (
                ["--leader-elect=maybe"],
                ["--leader-elect", "maybe", "true or false"],
            ),
            (
                ["--max-concurrent-reconciles=0"],
                ["--max-concurrent-reconciles", "'0'", "1..=1024"],
            ),
            (
                ["--zap-log-level=loud"],
                ["--zap-log-level", "loud", "debug"],
            ),
            (
                ["--watch-namespaces=a,B_"],
                ["--watch-namespaces", "B_", "lower-case letters"],
            ),
        ] {
            let message = parse(&arguments).unwrap_err().to_string();
            for word in words {
                assert!(message.contains(word), "{word} in {message}");
            }
        }
    }

    #[test]
    fn namespaces_are_sorted_and_blanks_go() {
        assert_eq!(
            args(&["--watch-namespaces", "b, a,,b"]).namespaces(),
            ["a", "b"]
        );
    }

    #[test]
    fn the_lease_lives_where_the_flag_or_the_pod_says() {
        assert_eq!(
            args(&["--lease-namespace=x"]).lease_namespace(Some("pod"), "client"),
            "x"
        );
        assert_eq!(args(&[]).lease_namespace(Some("pod"), "client"), "pod");
        assert_eq!(args(&[]).lease_namespace(Some(""), "client"), "client");
    }

    #[test]
    fn only_the_word_false_turns_them_off() {
        assert!(!webhooks_enabled(Some("false")));
        for word in [None, Some(""), Some("False"), Some("true")] {
            assert!(webhooks_enabled(word));
        }
    }
}
