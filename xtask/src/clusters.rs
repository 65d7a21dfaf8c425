//! `cluster up`, `down` and `env`: a cluster that stays until it is told to go.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use cluster::{Cluster, Options, Platform, tools};

/// How long a start may take once the programs are built.
const START_LIMIT: Duration = Duration::from_mins(2);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Start a cluster, or find the one that runs, and print its kubeconfig
    Up(Up),
    /// Stop a cluster and remove all of it
    Down(Name),
    /// Print what a shell evaluates to use it: eval "$(cargo xtask cluster env)"
    Env(Name),
    /// Holds a local cluster; started by `up`
    #[command(hide = true)]
    Hold(Up),
}

#[derive(Args, Clone)]
pub(crate) struct Name {
    /// Which cluster, when there are several
    #[arg(long, default_value = "local", value_parser = name)]
    name: String,
}

/// Names as [`Name`] has them, for options of other tasks.
pub(crate) fn parse_name(text: &str) -> Result<Name, String> {
    name(text).map(|name| Name { name })
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

#[derive(Args, Clone)]
pub(crate) struct Up {
    #[command(flatten)]
    name: Name,
    /// Where it comes from [default: the first of existing, kind and local that is there]
    #[arg(long, value_enum)]
    provider: Option<Provider>,
    /// What it is like; `openshift` is a stand-in (local only): its APIs, not OpenShift
    #[arg(long, default_value_t = Platform::Kubernetes)]
    platform: Platform,
}

impl Up {
    /// The options of a task that needs a cluster of its own.
    pub(crate) fn new(name: Name, provider: Provider, platform: Platform) -> Self {
        Self {
            name,
            provider: Some(provider),
            platform,
        }
    }
}

/// Who runs the cluster.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Debug)]
pub(crate) enum Provider {
    /// The cluster that KUBECONFIG points to; nothing is started
    Existing,
    /// kind, in containers; needs `kind` and a container engine
    Kind,
    /// A control plane built with Go, with simulated nodes; needs `go`
    Local,
}

/// A cluster's name is also a directory's and, for kind, a container's.
fn name(text: &str) -> Result<String, String> {
    let fits = text
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if fits && !text.is_empty() && !text.starts_with('-') && text.len() <= 30 {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}`: use up to 30 of a-z, 0-9 and -, not beginning with -"
        ))
    }
}

pub(crate) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Up(options) => {
            let kubeconfig = up(options)?;
            println!("{}", kubeconfig.display());
            let name = &options.name.name;
            let flag = if name == "local" {
                String::new()
            } else {
                format!(" --name {name}")
            };
            eprintln!(
                "use it:  eval \"$(cargo xtask cluster env{flag})\"   or   export KUBECONFIG={}",
                kubeconfig.display()
            );
            eprintln!("stop it: cargo xtask cluster down{flag}");
            Ok(())
        }
        Command::Down(name) => down(name),
        Command::Env(name) => env(name),
        Command::Hold(options) => hold(options),
    }
}

/// Starts the cluster if it does not run and gives its kubeconfig.
pub(crate) fn up(options: &Up) -> Result<PathBuf> {
    let provider = match options.provider {
        Some(provider) => provider,
        None => detect(),
    };
    ensure!(
        provider == Provider::Local || options.platform == Platform::Kubernetes,
        "--platform openshift is a stand-in that only --provider local has"
    );
    match provider {
        Provider::Existing => {
            existing().context("--provider existing needs KUBECONFIG to name a file that exists")
        }
        Provider::Kind => kind(&options.name),
        Provider::Local => local(options),
    }
}

/// The first provider that this machine has, said on standard error.
fn detect() -> Provider {
    let (provider, reason) = if existing().is_some() {
        (Provider::Existing, "KUBECONFIG is set")
    } else if succeeds("kind", &["version"])
        && (succeeds("docker", &["info"]) || succeeds("podman", &["info"]))
    {
        (Provider::Kind, "kind and a container engine are here")
    } else {
        (
            Provider::Local,
            "KUBECONFIG is not set, and kind or a container engine is missing",
        )
    };
    eprintln!("provider {provider:?}: {reason} (choose with --provider)");
    provider
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Process::new(program);
    command
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The first existing file of KUBECONFIG.
fn existing() -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("KUBECONFIG")?).find(|path| path.is_file())
}

fn kind(name: &Name) -> Result<PathBuf> {
    let dir = directory(name)?;
    let kubeconfig = dir.join("kubeconfig");
    let kind_name = format!("modelops-{}", name.name);
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    std::fs::write(dir.join("kind"), &kind_name)?;
    let list = Process::new("kind")
        .args(["get", "clusters"])
        .output()
        .context("running kind")?;
    if String::from_utf8_lossy(&list.stdout)
        .lines()
        .any(|line| line == kind_name)
    {
        let output = Process::new("kind")
            .args(["get", "kubeconfig", "--name", &kind_name])
            .output()?;
        std::fs::write(&kubeconfig, output.stdout)?;
    } else {
        let status = Process::new("kind")
            .args([
                "create",
                "cluster",
                "--wait",
                "120s",
                "--name",
                &kind_name,
                "--kubeconfig",
            ])
            .arg(&kubeconfig)
            .stdout(Stdio::null())
            .status()
            .context("running kind")?;
        ensure!(
            status.success(),
            "kind create cluster failed; its message is above"
        );
    }
    Ok(kubeconfig)
}

fn local(options: &Up) -> Result<PathBuf> {
    let dir = directory(&options.name)?;
    let kubeconfig = dir.join("kubeconfig");
    let name = &options.name.name;
    if is_up(&options.name)? {
        let platform = std::fs::read_to_string(dir.join("platform")).unwrap_or_default();
        ensure!(
            platform == options.platform.to_string(),
            "cluster `{name}` runs already, as {platform}: stop it with `cargo xtask cluster down --name {name}`, \
             or choose another --name"
        );
        return Ok(kubeconfig);
    }
    tools::ensure()?;
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let started = Instant::now();
    let log = dir.with_extension("log");
    let out = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
    // A process group of its own: Ctrl-C in this terminal does not reach it later.
    let mut holder = Process::new(std::env::current_exe()?)
        .args([
            "cluster",
            "hold",
            "--name",
            name,
            "--platform",
            &options.platform.to_string(),
        ])
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(out)
        .spawn()
        .context("starting the process that holds the cluster")?;
    while UnixStream::connect(dir.join("control")).is_err() {
        let ended = holder.try_wait()?.is_some();
        if ended || started.elapsed() > START_LIMIT {
            // It may have ended already; then there is nothing to kill.
            let _ = holder.kill();
            bail!(
                "the cluster did not start:\n{}",
                std::fs::read_to_string(&log).unwrap_or_default()
            );
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    eprintln!(
        "cluster `{name}` ({}) is up after {:.1} s",
        options.platform,
        started.elapsed().as_secs_f64()
    );
    Ok(kubeconfig)
}

/// A directory for what belongs to a cluster, wherever the cluster itself is; [`down`] removes it.
pub(crate) fn work_dir(name: &Name) -> Result<PathBuf> {
    let dir = directory(name)?;
    std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

/// Whether a local cluster of this name runs.
pub(crate) fn is_up(name: &Name) -> Result<bool> {
    Ok(UnixStream::connect(directory(name)?.join("control")).is_ok())
}

/// Runs a local cluster until somebody connects to its `control` socket and says so, or a signal.
fn hold(options: &Up) -> Result<()> {
    let dir = directory(&options.name)?;
    let cluster = Cluster::start(&Options {
        platform: options.platform,
        dir: Some(dir.clone()),
        ..Options::default()
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let farewell = runtime.block_on(until_told(&dir.join("control")))?;
    drop(cluster);
    // The connection closes after the cluster is gone, which is what `down` waits for.
    drop(farewell);
    Ok(())
}

async fn until_told(socket: &Path) -> Result<Option<tokio::net::UnixStream>> {
    use tokio::io::AsyncReadExt as _;
    use tokio::signal::unix::{SignalKind, signal};
    let listener =
        tokio::net::UnixListener::bind(socket).with_context(|| socket.display().to_string())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            connection = listener.accept() => {
                // Whoever says nothing only looked whether the cluster runs.
                let (mut connection, _) = connection?;
                if connection.read(&mut [0; 8]).await.is_ok_and(|read| read > 0) {
                    return Ok(Some(connection));
                }
            }
            _ = terminate.recv() => return Ok(None),
            // A closed terminal is no reason to stop.
            _ = hang_up.recv() => {}
        }
    }
}

/// Stops a cluster and removes its directory.
pub(crate) fn down(name: &Name) -> Result<()> {
    let dir = directory(name)?;
    let mut ours = true;
    if let Ok(kind_name) = std::fs::read_to_string(dir.join("kind")) {
        let status = Process::new("kind")
            .args(["delete", "cluster", "--name", &kind_name])
            .status()?;
        ensure!(
            status.success(),
            "kind delete cluster failed; its message is above"
        );
    } else if let Ok(mut control) = UnixStream::connect(dir.join("control")) {
        control.write_all(b"stop")?;
        // It ends with the end of the cluster; an error means the same.
        let _ = control.read(&mut [0; 8]);
    } else if !dir.exists() {
        bail!(
            "there is no cluster `{}`; `cargo xtask cluster up --name {0}` starts it",
            name.name
        );
    } else {
        ours = false;
    }
    if dir.exists() {
        std::fs::remove_dir_all(&dir).with_context(|| dir.display().to_string())?;
    }
    // Only a local cluster has a log.
    let _ = std::fs::remove_file(dir.with_extension("log"));
    if ours {
        eprintln!("cluster `{}` is gone", name.name);
    } else {
        eprintln!(
            "`{}` was somebody else's cluster, or its servers had ended: only our notes of it are gone",
            name.name
        );
    }
    Ok(())
}

fn env(name: &Name) -> Result<()> {
    let dir = directory(name)?;
    let kubeconfig = dir.join("kubeconfig");
    ensure!(
        kubeconfig.exists(),
        "there is no cluster `{}`; `cargo xtask cluster up --name {0}` starts it",
        name.name
    );
    println!("export KUBECONFIG='{}'", kubeconfig.display());
    if !succeeds("kubectl", &["version", "--client"])
        && let Some(bin) = tools::ensure()?.kubectl.parent()
    {
        println!("export PATH=\"$PATH\":'{}'", bin.display());
    }
    Ok(())
}

fn directory(name: &Name) -> Result<PathBuf> {
    Ok(tools::cache_dir()?.join("clusters").join(&name.name))
}
