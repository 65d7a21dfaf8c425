//! What can go wrong with a local cluster.

/// Why a local cluster could not be built, started or asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `MODELOPS_KUBERNETES` asks for a version that is not pinned here.
    #[error("MODELOPS_KUBERNETES={0}: leave it out for the newest version, or set it to 1.29")]
    Version(String),
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// No Go toolchain.
    #[error(
        "`go` was not found: install Go 1.26 or newer (https://go.dev/dl) and put it on PATH; it builds the control plane's programs"
    )]
    NoGo,
    /// A tool could not be built.
    #[error("building {tool} failed:\n{output}")]
    Build {
        /// The tool's name.
        tool: &'static str,
        /// The end of what `go build` printed.
        output: String,
    },
    /// A server stopped or never became ready.
    #[error("{program} {problem}; its log ends with:\n{tail}")]
    Server {
        /// The server's name.
        program: String,
        /// What happened.
        problem: String,
        /// The last lines of its log.
        tail: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {seconds} s{last}")]
    Timeout {
        /// What was waited for.
        what: String,
        /// For how long.
        seconds: u64,
        /// What was seen last; empty or `: …`.
        last: String,
    },
    /// The API server refused, or could not be reached.
    #[error("{what}: {source}")]
    Api {
        /// What was attempted.
        what: String,
        /// The client's error.
        source: Box<kube::Error>,
    },
    /// A certificate could not be made.
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A kubeconfig is not usable.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// YAML that does not say what object it is, or no YAML at all.
    #[error("YAML: {0}")]
    Yaml(String),
    /// `kubectl` failed.
    #[error("kubectl {args}: {stderr}")]
    Kubectl {
        /// Its arguments.
        args: String,
        /// What it printed on standard error.
        stderr: String,
    },
    /// The cluster that this process shares did not start; said once, kept for every caller.
    #[error("{0}")]
    Shared(String),
}

impl Error {
    /// An [`Error::Io`] maker for `map_err`.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Why `go` could not be run.
    pub(crate) fn running_go(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::NoGo,
            _ => Self::io("running go")(error),
        }
    }

    /// An [`Error::Api`] maker for `map_err`.
    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Api {
            what,
            source: Box::new(source),
        }
    }
}
