//! The programs of a control plane, built from Go modules that are pinned here.
//!
//! A machine needs Go and nothing else. The programs land in a user cache directory that is named
//! after a hash of what they are built from, so a changed pin builds anew and an old checkout keeps
//! finding its own.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use crate::Error;

/// The Kubernetes version that the pinned module builds.
pub const KUBERNETES_VERSION: &str = "v1.35.4";

/// The module in folder `tools/NAME`, linked with these flags.
macro_rules! module {
    ($name:literal, $ldflags:literal) => {
        Module {
            name: $name,
            go_mod: include_str!(concat!("../tools/", $name, "/go.mod")),
            go_sum: include_str!(concat!("../tools/", $name, "/go.sum")),
            tools_go: include_str!(concat!("../tools/", $name, "/tools.go")),
            ldflags: $ldflags,
        }
    };
}

const KUBERNETES: Module = module!(
    "kubernetes",
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.35.4 \
              -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=35"
);

/// The oldest version that the operators promise to work with. `MODELOPS_KUBERNETES=1.29` takes it
/// for API server, controller manager and scheduler; `cargo xtask test --full` does.
const OLDEST: Module = module!(
    "kubernetes-oldest",
    "-s -w -X k8s.io/component-base/version.gitVersion=v1.29.15 \
              -X k8s.io/component-base/version.gitMajor=1 \
              -X k8s.io/component-base/version.gitMinor=29"
);

/// What `MODELOPS_KUBERNETES` may say.
pub const OLDEST_VERSION: &str = "1.29";

const KWOK: Module = module!("kwok", "-s -w");
const REGISTRY: Module = module!("registry", "-s -w");
const CRANE: Module = module!("crane", "-s -w");
const COSIGN: Module = module!("cosign", "-s -w");
const S3: Module = module!("s3", "-s -w");

const HELM: Module = Module {
    name: "helm",
    go_mod: include_str!("../tools/helm/go.mod"),
    go_sum: include_str!("../tools/helm/go.sum"),
    tools_go: include_str!("../tools/helm/tools.go"),
    ldflags: "-s -w -X helm.sh/helm/v3/internal/version.version=v3.22.0",
};

/// Name, module and package of a tool.
type Tool = (&'static str, &'static Module, &'static str);

/// What tests of images need.
const IMAGES: [Tool; 2] = [
    (
        "registry",
        &REGISTRY,
        "github.com/distribution/distribution/v3/cmd/registry",
    ),
    (
        "crane",
        &CRANE,
        "github.com/google/go-containerregistry/cmd/crane",
    ),
];

/// Name, module and package of every tool. The first three are what `KUBEBUILDER_ASSETS` holds.
const TOOLS: [Tool; 6] = [
    ("etcd", &KUBERNETES, "go.etcd.io/etcd/server/v3"),
    (
        "kube-apiserver",
        &KUBERNETES,
        "k8s.io/kubernetes/cmd/kube-apiserver",
    ),
    ("kubectl", &KUBERNETES, "k8s.io/kubernetes/cmd/kubectl"),
    (
        "kube-controller-manager",
        &KUBERNETES,
        "k8s.io/kubernetes/cmd/kube-controller-manager",
    ),
    (
        "kube-scheduler",
        &KUBERNETES,
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
    ("kwok", &KWOK, "sigs.k8s.io/kwok/cmd/kwok"),
];

/// How many of [`TOOLS`] `KUBEBUILDER_ASSETS` replaces.
const IN_ASSETS: usize = 3;

/// A pinned Go module and how to build from it.
struct Module {
    name: &'static str,
    go_mod: &'static str,
    go_sum: &'static str,
    tools_go: &'static str,
    ldflags: &'static str,
}

impl Module {
    /// The directory of this module's programs: its name and a hash of all that decides them.
    fn directory(&self, cache: &Path) -> PathBuf {
        let mut hash = Sha256::new();
        for part in [self.go_mod, self.go_sum, self.tools_go, self.ldflags] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        hash.update(std::env::consts::OS);
        hash.update(std::env::consts::ARCH);
        cache
            .join("tools")
            .join(format!("{}-{}", self.name, short(hash)))
    }
}

/// The tools for the Kubernetes version that `MODELOPS_KUBERNETES` asks for.
fn wanted() -> Result<[Tool; 6], Error> {
    let version = std::env::var("MODELOPS_KUBERNETES").unwrap_or_default();
    let oldest = match version.as_str() {
        "" => false,
        OLDEST_VERSION => true,
        _ => return Err(Error::Version(version)),
    };
    Ok(TOOLS.map(|(name, module, package)| {
        let of_the_version = name.starts_with("kube-");
        (
            name,
            if oldest && of_the_version {
                &OLDEST
            } else {
                module
            },
            package,
        )
    }))
}

/// Where the programs of a control plane are.
#[derive(Debug, Clone)]
pub struct Tools {
    pub(crate) etcd: PathBuf,
    pub(crate) apiserver: PathBuf,
    pub(crate) controller_manager: PathBuf,
    pub(crate) scheduler: PathBuf,
    pub(crate) kwok: PathBuf,
    /// `kubectl`, of the same version as the API server.
    pub kubectl: PathBuf,
}

/// This project's cache directory: `$MODELOPS_CACHE`, else `modelops` in `$XDG_CACHE_HOME` or
/// `~/.cache`.
pub fn cache_dir() -> Result<PathBuf, Error> {
    let var = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let dir = var("MODELOPS_CACHE")
        .or_else(|| var("XDG_CACHE_HOME").map(|cache| cache.join("modelops")))
        .or_else(|| var("HOME").map(|home| home.join(".cache/modelops")))
        .ok_or_else(|| {
            Error::io("finding a cache directory: set MODELOPS_CACHE or HOME")(
                std::io::ErrorKind::NotFound.into(),
            )
        })?;
    std::path::absolute(&dir).map_err(Error::io(dir.display().to_string()))
}

/// Builds what is missing and says where everything is. Concurrent callers wait for one another,
/// also across processes. Progress goes to standard error.
pub fn ensure() -> Result<Tools, Error> {
    let cache = cache_dir()?;
    let tools = wanted()?;
    let assets = std::env::var_os("KUBEBUILDER_ASSETS")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from);
    let locate = |name: &str| -> PathBuf {
        let place = tools.iter().position(|(tool, ..)| *tool == name);
        match (
            &assets,
            place.and_then(|index| tools.get(index).map(|tool| (index, tool))),
        ) {
            (Some(assets), Some((index, _))) if index < IN_ASSETS => assets.join(name),
            (_, Some((_, (_, module, _)))) => module.directory(&cache).join(name),
            (_, None) => PathBuf::from(name),
        }
    };
    build_missing(&cache, &tools, locate)?;
    Ok(Tools {
        etcd: locate("etcd"),
        apiserver: locate("kube-apiserver"),
        controller_manager: locate("kube-controller-manager"),
        scheduler: locate("kube-scheduler"),
        kwok: locate("kwok"),
        kubectl: locate("kubectl"),
    })
}

/// A registry for images and a reader of them.
#[derive(Debug, Clone)]
pub struct Images {
    /// The registry of the distribution project.
    pub registry: PathBuf,
    /// `crane`, of another project: it shares no code with what it checks.
    pub crane: PathBuf,
}

/// As [`ensure`], for tests of images.
pub fn images() -> Result<Images, Error> {
    let cache = cache_dir()?;
    build_missing(&cache, &IMAGES, |name| {
        let tool = IMAGES.iter().find(|(tool, ..)| *tool == name);
        tool.map_or_else(PathBuf::new, |(_, module, _)| {
            module.directory(&cache).join(name)
        })
    })?;
    Ok(Images {
        registry: REGISTRY.directory(&cache).join("registry"),
        crane: CRANE.directory(&cache).join("crane"),
    })
}

/// `versitygw`, a server of buckets in a directory. It checks signatures, conditions and the rules
/// of multipart uploads, and shares no code with what it checks.
pub fn s3() -> Result<PathBuf, Error> {
    let package = "github.com/versity/versitygw/cmd/versitygw";
    alone(("versitygw", &S3, package))
}

/// `cosign`, which verifies signatures of images. It is large and only slow tests need it.
pub fn cosign() -> Result<PathBuf, Error> {
    let package = "github.com/sigstore/cosign/v3/cmd/cosign";
    alone(("cosign", &COSIGN, package))
}

/// The one program of a module.
fn alone(tool: Tool) -> Result<PathBuf, Error> {
    let cache = cache_dir()?;
    let program = tool.1.directory(&cache).join(tool.0);
    build_missing(&cache, &[tool], |_| program.clone())?;
    Ok(program)
}

/// `helm`, which the crate `helm-render` is compared with and which installs charts in tests.
pub fn helm() -> Result<PathBuf, Error> {
    let cache = cache_dir()?;
    let program = HELM.directory(&cache).join("helm");
    let tool = ("helm", &HELM, "helm.sh/helm/v3/cmd/helm");
    build_missing(&cache, &[tool], |_| program.clone())?;
    Ok(program)
}

/// The `bin` directory of a Python environment with exactly these packages (`name==version`), made
/// in the cache on first use. Needs `python3` with its module `venv`.
pub fn python(name: &str, packages: &[&str]) -> Result<PathBuf, Error> {
    let cache = cache_dir()?;
    let mut hash = Sha256::new();
    for package in packages {
        hash.update(package);
        hash.update([0]);
    }
    let target = cache
        .join("tools")
        .join(format!("python-{name}-{}", short(hash)));
    // Programs of an environment hold its path, so it cannot be made elsewhere and renamed: a mark
    // says that it is whole.
    let whole = target.join("whole");
    if whole.exists() {
        return Ok(target.join("bin"));
    }
    let _lock = lock(&cache)?;
    if whole.exists() {
        return Ok(target.join("bin"));
    }
    eprintln!("installing {}", packages.join(" "));
    let run = |program: &Path, arguments: &[&str]| -> Result<(), Error> {
        let output = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        let output = match output {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Build {
                    tool: "a Python environment",
                    output: format!(
                        "{} was not found: install Python 3 with its module venv",
                        program.display()
                    ),
                });
            }
            output => output.map_err(Error::io(format!("running {}", program.display())))?,
        };
        if output.status.success() {
            return Ok(());
        }
        Err(Error::Build {
            tool: "a Python environment",
            output: tail(&String::from_utf8_lossy(&output.stderr), 20),
        })
    };
    let directory = target.display().to_string();
    run(Path::new("python3"), &["-m", "venv", "--clear", &directory])?;
    let mut arguments = vec![
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ];
    arguments.extend(packages);
    run(&target.join("bin/python"), &arguments)?;
    fs::write(&whole, "").map_err(Error::io(whole.display().to_string()))?;
    Ok(target.join("bin"))
}

/// Builds those of `tools` that are not where `locate` says.
fn build_missing(
    cache: &Path,
    tools: &[Tool],
    locate: impl Fn(&str) -> PathBuf,
) -> Result<(), Error> {
    let missing = || tools.iter().filter(|(name, ..)| !locate(name).exists());
    if missing().next().is_some() {
        let _lock = lock(cache)?;
        // Looked at again: whoever held the lock may have built them.
        for (name, module, package) in missing() {
            build(name, module, package, &locate(name))?;
        }
    }
    Ok(())
}

/// Waits until no other process builds. Held until it is dropped.
fn lock(cache: &Path) -> Result<File, Error> {
    fs::create_dir_all(cache).map_err(Error::io(cache.display().to_string()))?;
    let lock = cache.join("tools.lock");
    let lock = File::create(&lock).map_err(Error::io(lock.display().to_string()))?;
    if lock.try_lock().is_err() {
        eprintln!("another process builds the tools; waiting for it");
        lock.lock()
            .map_err(Error::io("waiting for another build of the tools"))?;
    }
    Ok(lock)
}

/// The start of a hash, for names of directories.
fn short(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .take(8)
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

/// Builds one program beside its place and renames it there, so that a half-built one is never run.
fn build(tool: &'static str, module: &Module, package: &str, target: &Path) -> Result<(), Error> {
    let Some(dir) = target.parent().filter(|_| !from_assets(target)) else {
        return Err(Error::Build {
            tool,
            output: format!(
                "{} does not exist, though KUBEBUILDER_ASSETS says so",
                target.display()
            ),
        });
    };
    let source = dir.join("src");
    fs::create_dir_all(&source).map_err(Error::io(source.display().to_string()))?;
    for (file, text) in [
        ("go.mod", module.go_mod),
        ("go.sum", module.go_sum),
        ("tools.go", module.tools_go),
    ] {
        fs::write(source.join(file), text).map_err(Error::io(file))?;
    }
    let started = Instant::now();
    eprint!("building {tool} … ");
    // A prompt of progress without a line end needs the flush; losing it loses nothing else.
    let _ = std::io::stderr().flush();
    let unfinished = target.with_extension("unfinished");
    let output = Command::new("go")
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-ldflags",
            module.ldflags,
            "-o",
        ])
        .arg(&unfinished)
        .arg(package)
        .current_dir(&source)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .output()
        .map_err(Error::running_go)?;
    if !output.status.success() {
        eprintln!("failed");
        return Err(Error::Build {
            tool,
            output: tail(&String::from_utf8_lossy(&output.stderr), 20),
        });
    }
    fs::rename(&unfinished, target).map_err(Error::io(target.display().to_string()))?;
    eprintln!("{:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn from_assets(target: &Path) -> bool {
    std::env::var_os("KUBEBUILDER_ASSETS")
        .is_some_and(|assets| !assets.is_empty() && target.parent() == Some(Path::new(&assets)))
}

/// The last `lines` lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}
