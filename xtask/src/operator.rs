//! Runs an operator as its Deployment would: with the manifests' service account, arguments and
//! environment, only as a process of this machine instead of a pod.

use std::fmt::{self, Display, Formatter};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use kube::Client;
use kube::api::DynamicObject;
use serde_json::Value;

use crate::steps::{cargo, root, run};

/// Runs the program until it ends by itself, or the directory in `$1` is gone: the cluster's own,
/// which goes when the cluster goes.
const UNTIL_GONE: &str = r#"dir=$1; shift; "$@" & pid=$!; while [ -d "$dir" ] && kill -0 $pid 2>/dev/null; do sleep 0.2; done; kill $pid 2>/dev/null; wait $pid"#;

/// What this file has to know of an operator; the rest is read from its manifests.
pub(crate) struct Operator {
    /// The name of its package, program and folder in `config`.
    pub(crate) name: &'static str,
    /// What is installed of it: `default`, or an overlay.
    pub(crate) variant: &'static str,
    /// Flags that a process beside others must have, instead of those of the same name in the
    /// Deployment: free ports, above all.
    pub(crate) flags: &'static [&'static str],
}

/// An operator that runs.
pub(crate) struct Running {
    child: Child,
    /// The namespace that it is installed in.
    pub(crate) namespace: String,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

impl Operator {
    /// Where [`build`] has put the program.
    pub(crate) fn built(&self, release: bool, target: Option<&str>) -> PathBuf {
        built(self.name, release, target)
    }

    /// Applies everything of `config/NAME/VARIANT` but the Deployment, which is returned.
    pub(crate) async fn install(&self, client: &Client, kubectl: &Path) -> Result<Deployed> {
        self.install_edited(client, kubectl, |_| {}).await
    }

    /// [`Operator::install`], with each object changed by `edit` before.
    pub(crate) async fn install_edited(
        &self,
        client: &Client,
        kubectl: &Path,
        edit: impl Fn(&mut DynamicObject),
    ) -> Result<Deployed> {
        let folder = root().join("config").join(self.name).join(self.variant);
        let (deployments, mut others): (Vec<_>, Vec<_>) = kustomize(kubectl, &folder)?
            .into_iter()
            .partition(|object| kind(object) == "Deployment");
        for object in &mut others {
            edit(object);
            cluster::apply(client, "default", object).await?;
        }
        let [deployment] = deployments.as_slice() else {
            bail!(
                "{} has {} Deployments, not one",
                folder.display(),
                deployments.len()
            );
        };
        Deployed::read(deployment)
            .with_context(|| format!("the Deployment of {}", folder.display()))
    }

    /// Starts the program as the Deployment's service account. It ends when `cluster_dir` goes.
    pub(crate) fn start(
        &self,
        program: &Path,
        deployed: &Deployed,
        kubeconfig: &Path,
        cluster_dir: &Path,
    ) -> Result<Running> {
        let log = cluster_dir.join(format!("{}.log", deployed.namespace));
        let out = std::fs::File::create(&log).with_context(|| log.display().to_string())?;
        let child = Command::new("sh")
            .args(["-c", UNTIL_GONE, "operator"])
            .arg(cluster_dir)
            .arg(program)
            .args(replace_flags(&deployed.args, self.flags))
            .envs(deployed.env.iter().map(|(name, value)| (name, value)))
            .env("KUBECONFIG", kubeconfig)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .context("starting sh")?;
        Ok(Running {
            child,
            namespace: deployed.namespace.clone(),
            log,
        })
    }
}

/// What programs are built for that are to be as those of the images.
pub(crate) enum BuildTarget {
    /// Static, with musl: as the Dockerfile builds them.
    Image(String),
    /// For this machine, because what the other takes is not here.
    Host,
}

impl BuildTarget {
    /// The image's, where Rust's library for it and a C compiler are installed.
    pub(crate) fn find() -> Self {
        let image = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let libraries = Command::new("rustc")
            .args(["--print", "target-libdir", "--target", &image])
            .output()
            .ok()
            .and_then(|output| String::from_utf8(output.stdout).ok())
            .is_some_and(|path| Path::new(path.trim()).is_dir());
        let compiler = Command::new("musl-gcc").arg("--version").output().is_ok();
        if libraries && compiler {
            return Self::Image(image);
        }
        eprintln!(
            "not the program of the image: `rustup target add {image}` and musl-gcc (Debian's \
             musl-tools) are needed for that. This machine's is built instead."
        );
        Self::Host
    }

    /// As [`build`] takes it.
    pub(crate) fn option(&self) -> Option<&str> {
        match self {
            Self::Image(target) => Some(target),
            Self::Host => None,
        }
    }
}

impl Display for BuildTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(target) => write!(f, "{target}, as in the image"),
            Self::Host => f.write_str("this machine, not as in the image"),
        }
    }
}

/// Builds the programs of packages.
pub(crate) fn build(packages: &[&str], release: bool, target: Option<&str>) -> Result<()> {
    let mut command = cargo(&["build", "--quiet", "--locked"]);
    for package in packages {
        command.args(["--package", package]);
    }
    if release {
        command.arg("--release");
    }
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    run(&mut command)
}

/// Where [`build`] has put the program of a package.
pub(crate) fn built(package: &str, release: bool, target: Option<&str>) -> PathBuf {
    let mut built =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    built.extend(target);
    built.push(if release { "release" } else { "debug" });
    built.join(package)
}

impl Operator {
    /// Installs it on the cluster of `kubeconfig` and starts its program as its service account. It
    /// ends when `dir` goes, where its log is.
    pub(crate) async fn run(
        &self,
        client: &Client,
        kubectl: &Path,
        program: &Path,
        kubeconfig: &Path,
        dir: &Path,
    ) -> Result<Running> {
        let deployed = self.install(client, kubectl).await?;
        let own = dir.join(format!("kubeconfig-{}", self.name));
        let (namespace, account) = (&deployed.namespace, &deployed.service_account);
        let text =
            cluster::service_account_kubeconfig(client.clone(), kubeconfig, namespace, account)
                .await?;
        std::fs::write(&own, text).with_context(|| own.display().to_string())?;
        let running = self.start(program, &deployed, &own, dir)?;
        eprintln!(
            "{} runs as system:serviceaccount:{namespace}:{account}, log {}",
            self.name,
            running.log.display()
        );
        Ok(running)
    }
}

impl Running {
    /// The process that has the program as its child.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its log, if it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let text = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines
                .get(lines.len().saturating_sub(20)..)
                .unwrap_or_default()
                .join("\n");
            bail!("the operator ended with {status}:\n{tail}");
        }
        Ok(())
    }
}

/// What a Deployment says about its first container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Deployed {
    /// Where it is.
    pub(crate) namespace: String,
    /// As whom it runs.
    pub(crate) service_account: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Deployed {
    /// The same with a flag of this process in place of the Deployment's of the same name.
    pub(crate) fn with_flag(mut self, flag: &str) -> Self {
        self.args = replace_flags(&self.args, &[flag]);
        self
    }

    fn read(deployment: &DynamicObject) -> Result<Self> {
        let text = |pointer| {
            deployment
                .data
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let list = |pointer| {
            deployment
                .data
                .pointer(pointer)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let namespace = deployment
            .metadata
            .namespace
            .clone()
            .context("it has no namespace")?;
        let env = list("/spec/template/spec/containers/0/env")
            .iter()
            .filter_map(|entry| {
                let name = entry.get("name")?.as_str()?.to_owned();
                let field = entry
                    .pointer("/valueFrom/fieldRef/fieldPath")
                    .and_then(Value::as_str);
                let value = match (entry.get("value").and_then(Value::as_str), field) {
                    (Some(value), _) => value.to_owned(),
                    (None, Some("metadata.namespace")) => namespace.clone(),
                    _ => return None,
                };
                Some((name, value))
            })
            .collect();
        let args = list("/spec/template/spec/containers/0/args");
        Ok(Self {
            service_account: text("/spec/template/spec/serviceAccountName")
                .context("it has no serviceAccountName")?,
            args: args
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            env,
            namespace,
        })
    }
}

/// The objects of a folder with a `kustomization.yaml`, in kustomize's order of kinds.
pub(crate) fn kustomize(kubectl: &Path, folder: &Path) -> Result<Vec<DynamicObject>> {
    let output = Command::new(kubectl)
        .arg("kustomize")
        .arg(folder)
        .output()
        .with_context(|| format!("running {}", kubectl.display()))?;
    ensure!(
        output.status.success(),
        "kubectl kustomize {}: {}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(cluster::objects(&String::from_utf8_lossy(&output.stdout))?)
}

/// The kind that a document names.
pub(crate) fn kind(object: &DynamicObject) -> &str {
    object
        .types
        .as_ref()
        .map_or("", |types| types.kind.as_str())
}

/// The arguments with `flags` in place of those of the same name; `--name=value` each.
fn replace_flags(args: &[String], flags: &[&str]) -> Vec<String> {
    let name = |flag: &str| {
        flag.trim_start_matches('-')
            .split('=')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let replaced: Vec<String> = flags.iter().map(|flag| name(flag)).collect();
    let kept = args
        .iter()
        .filter(|arg| !replaced.contains(&name(arg)))
        .cloned();
    kept.chain(flags.iter().map(|flag| (*flag).to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_replace_those_of_the_same_name() {
        let args = ["--leader-elect", "--metrics-bind-address=:8443"].map(str::to_owned);
        assert_eq!(
            replace_flags(&args, &["--metrics-bind-address=127.0.0.1:0", "--x=y"]),
            [
                "--leader-elect",
                "--metrics-bind-address=127.0.0.1:0",
                "--x=y"
            ]
        );
    }

    #[test]
    fn a_deployment_says_how_to_run() {
        let deployment = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "d", "namespace": "n"},
            "spec": {"template": {"spec": {"serviceAccountName": "s", "containers": [{
                "args": ["--leader-elect"],
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
                    {"name": "P", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
            }]}}},
        }))
        .unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            Deployed::read(&deployment).unwrap(),
            Deployed {
                namespace: "n".to_owned(),
                service_account: "s".to_owned(),
                args: vec!["--leader-elect".to_owned()],
                env: vec![pair("A", "1"), pair("N", "n")],
            }
        );
    }
}
