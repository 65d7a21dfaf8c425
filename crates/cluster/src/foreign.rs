//! Definitions of other projects' APIs, read from their own Go modules.
//!
//! The modules are pinned here by version and hash and come through the Go module proxy, as the
//! programs of the control plane do. Nothing of them is kept in this repository.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Error;
use crate::tools::{cache_dir, tail};

/// APIs of another project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// Istio: `VirtualService`, `DestinationRule`, `Gateway` and `AuthorizationPolicy`.
    Istio,
    /// Authorino: `AuthConfig`.
    Authorino,
}

/// A module, and what of it is read.
struct Source {
    module: &'static str,
    version: &'static str,
    /// Hash of the module's content, as `go.sum` has it. It takes the place of the checksum
    /// database, which a proxy may not mirror.
    sum: &'static str,
    file: &'static str,
    /// Names of the `CustomResourceDefinition`s.
    names: &'static [&'static str],
}

impl Foreign {
    fn source(self) -> Source {
        match self {
            Self::Istio => Source {
                module: "istio.io/api",
                version: "v1.31.1",
                sum: "h1:5Yb5ihcz4YQsCkciusK7DnFpBMwRB6EFWeUKH1Atuyk=",
                file: "kubernetes/customresourcedefinitions.gen.yaml",
                names: &[
                    "destinationrules.networking.istio.io",
                    "gateways.networking.istio.io",
                    "virtualservices.networking.istio.io",
                    "authorizationpolicies.security.istio.io",
                ],
            },
            Self::Authorino => Source {
                module: "github.com/kuadrant/authorino",
                version: "v0.22.0",
                sum: "h1:jJVVs7S4uRM/ZkidBaThyYvMl2u5ExZzruo9OJ1tIu8=",
                file: "install/manifests.yaml",
                names: &["authconfigs.authorino.kuadrant.io"],
            },
        }
    }

    /// Names of the `CustomResourceDefinition`s.
    #[must_use]
    pub fn names(self) -> &'static [&'static str] {
        self.source().names
    }

    /// The `CustomResourceDefinition`s, as YAML documents in the order of [`Self::names`]. The
    /// first call on a machine downloads the module.
    pub fn crds(self) -> Result<Vec<String>, Error> {
        let source = self.source();
        let path = download(&source)?.join(source.file);
        let text = fs::read_to_string(&path).map_err(Error::io(path.display().to_string()))?;
        let documents: Vec<&str> = text.split("\n---").collect();
        let find = |name: &&str| {
            let mark = format!("\n  name: {name}\n");
            let mut all = documents.iter().filter(|text| text.contains(&mark));
            all.next()
                .map(|text| (*text).to_owned())
                .ok_or_else(|| Error::Yaml(format!("{} defines no {name}", path.display())))
        };
        source.names.iter().map(find).collect()
    }
}

/// Where the module's files are.
fn download(source: &Source) -> Result<PathBuf, Error> {
    let Source {
        module, version, ..
    } = source;
    let failed = |output: String| Error::Build {
        tool: module,
        output,
    };
    let directory = cache_dir()?;
    fs::create_dir_all(&directory).map_err(Error::io(directory.display().to_string()))?;
    let output = Command::new("go")
        .args(["mod", "download", "-json", &format!("{module}@{version}")])
        .current_dir(&directory)
        .env("GOWORK", "off")
        .env("GOFLAGS", "-mod=mod")
        .env("GONOSUMDB", module)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::running_go)?;
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |key: &str| answer.get(key).and_then(Value::as_str);
    match (text("Dir"), text("Sum")) {
        (Some(directory), Some(sum)) if sum == source.sum => Ok(directory.into()),
        (Some(_), Some(sum)) => Err(failed(format!(
            "{module}@{version} has the hash {sum}, not {}",
            source.sum
        ))),
        _ => {
            let said = text("Error").map(str::to_owned);
            Err(failed(said.unwrap_or_else(|| {
                tail(&String::from_utf8_lossy(&output.stderr), 20)
            })))
        }
    }
}
