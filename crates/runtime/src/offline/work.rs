//! What `render` and `validate` share: files to resources, as an API server would store them, and what
//! those become.

use std::fmt::{Display, Write as _};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, CommandFactory, ValueEnum};
pub(super) use clap_complete::Shell;
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Resource as _;
use resources::kind::INGRESS_CONFIG;
use resources::{Kind, Plan};
use serde_json::Value;

use super::admission::admit;
use super::documents::{self, DocumentError};
use super::{OfflineInputs, Platform};
use crate::component::Component;

const STDIN: &str = "standard input";

/// Where resources come from and what cluster they are in.
#[derive(Args, Clone, Debug)]
pub struct Files {
    /// File with YAML or JSON documents; "-" is standard input. May be given several times.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<PathBuf>,
    /// What sort of cluster it is.
    #[arg(long, value_enum, default_value_t)]
    pub platform: PlatformArg,
}

/// Sorts of clusters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlatformArg {
    /// Kubernetes and nothing else.
    #[default]
    Kubernetes,
    /// OpenShift, with Gateway API.
    Openshift,
}

impl From<PlatformArg> for Platform {
    fn from(platform: PlatformArg) -> Self {
        match platform {
            PlatformArg::Kubernetes => Self::Kubernetes,
            PlatformArg::Openshift => Self::OpenShift,
        }
    }
}

/// Why nothing was printed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file, or `standard input`.
        path: String,
        /// Cause.
        source: io::Error,
    },
    /// The result cannot be written.
    #[error("the result cannot be written: {0}")]
    Write(io::Error),
    /// A file does not hold documents, or the result is no document.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// There is nothing to do.
    #[error("{files}: no document is of kind {kinds}")]
    Nothing {
        /// Where they come from.
        files: String,
        /// As [`Kinds::names`].
        kinds: String,
    },
    /// Resources that cannot be: one line for each field, with its path.
    #[error("{0}")]
    Resources(String),
}

/// One resource and what it becomes.
#[derive(Debug)]
pub struct Worked {
    /// `ModelRegistry NAMESPACE/NAME`, `AIHub NAME`.
    pub title: String,
    /// Its objects.
    pub plan: Plan,
    /// Fields that the schema does not know.
    pub unknown: Vec<String>,
    /// What the status would warn of.
    pub warnings: Vec<String>,
}

/// A kind that can be worked without a cluster.
pub trait Offline: Component {
    /// Its definition, as the API server has it.
    fn definition() -> CustomResourceDefinition;

    /// One line for each thing that is wrong.
    fn lines(error: &Self::Error) -> String {
        error.to_string()
    }

    /// What the status would warn of.
    fn warnings(
        &self,
        _resource: &Self::Resource,
        _seen: &Self::Observation,
    ) -> Result<Vec<String>, Self::Error> {
        Ok(Vec::new())
    }
}

/// The kinds of a program.
pub trait Kinds {
    /// As people enumerate them: `ModelRegistry, Catalog or AIHub`.
    fn names() -> String;

    /// What one document becomes, by [`work`]; `None` when it is a resource of nobody here.
    fn work(&self, document: &Value, around: &Around<'_>) -> Option<Result<Worked, String>>;
}

/// A program with one kind.
impl<C: Offline> Kinds for C {
    fn names() -> String {
        C::definition().spec.names.kind
    }

    fn work(&self, document: &Value, around: &Around<'_>) -> Option<Result<Worked, String>> {
        work(self, document, around)
    }
}

/// What is around a resource.
#[derive(Debug)]
pub struct Around<'a> {
    documents: &'a [Value],
    platform: Platform,
    /// APIs beside those of the platform.
    more: &'a [Kind],
    now: Timestamp,
}

/// The documents in all files.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Value>, OfflineError> {
    let mut all = Vec::new();
    for path in files {
        let (name, text) = if path == Path::new("-") {
            let mut text = String::new();
            (
                title_of(path),
                io::stdin().read_to_string(&mut text).map(|_| text),
            )
        } else {
            (title_of(path), std::fs::read_to_string(path))
        };
        let text = text.map_err(|source| OfflineError::Read {
            path: name.clone(),
            source,
        })?;
        all.extend(documents::read(&text, &name)?);
    }
    Ok(all)
}

/// What the resources among `documents` become, in a cluster that serves `more` beside what its
/// platform does.
pub(super) fn plans<K: Kinds>(
    kinds: &K,
    documents: &[Value],
    files: &Files,
    more: &[Kind],
    now: Timestamp,
) -> Result<Vec<Worked>, OfflineError> {
    let around = Around {
        documents,
        platform: files.platform.into(),
        more,
        now,
    };
    let mut worked = Vec::new();
    let mut errors = String::new();
    for document in documents {
        match kinds.work(document, &around) {
            None => {}
            Some(Ok(resource)) => worked.push(resource),
            Some(Err(lines)) => errors.push_str(&lines),
        }
    }
    if !errors.is_empty() {
        return Err(OfflineError::Resources(errors));
    }
    if worked.is_empty() {
        let names: Vec<_> = files.files.iter().map(|path| title_of(path)).collect();
        return Err(OfflineError::Nothing {
            files: names.join(", "),
            kinds: K::names(),
        });
    }
    Ok(worked)
}

/// What `document` becomes, if it is a resource of the component's kind. An error is one line for each
/// thing wrong.
pub fn work<C: Offline>(
    component: &C,
    document: &Value,
    around: &Around<'_>,
) -> Option<Result<Worked, String>> {
    let definition = C::definition();
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let (group, _) = text("apiVersion")?.split_once('/')?;
    if text("kind")? != definition.spec.names.kind || group != definition.spec.group {
        return None;
    }
    let title = title(&definition, document);
    let prefixed = |lines: String| {
        lines.lines().fold(String::new(), |mut all, line| {
            let _ = writeln!(all, "{title}: {line}");
            all
        })
    };
    let worked = plan(component, &definition, document, around);
    Some(match worked {
        Ok((plan, unknown, warnings)) => Ok(Worked {
            title,
            plan,
            unknown,
            warnings,
        }),
        Err(lines) => Err(prefixed(lines)),
    })
}

/// The code path of a reconcile, up to the writes.
fn plan<C: Offline>(
    component: &C,
    definition: &CustomResourceDefinition,
    document: &Value,
    around: &Around<'_>,
) -> Result<(Plan, Vec<String>, Vec<String>), String> {
    let admitted = admit(definition, document).map_err(|refused| refused.to_string())?;
    let mut resource: C::Resource =
        serde_json::from_value(admitted.object).map_err(|error| error.to_string())?;
    if definition.spec.scope == "Namespaced" {
        let namespace = &mut resource.meta_mut().namespace;
        namespace.get_or_insert_with(|| "default".to_owned());
    }
    let served = around.platform.capabilities(component, &[INGRESS_CONFIG]);
    let capabilities = served.with(around.more.iter().copied());
    let inputs = OfflineInputs::new(
        component,
        &resource,
        around.documents,
        capabilities,
        around.now,
    );
    let lines = |error: C::Error| C::lines(&error);
    // Documents are there at once: nothing is ever waited for.
    let seen = futures::executor::block_on(component.observe(&resource, &inputs)).map_err(lines)?;
    let plan = component.plan(&resource, &seen).map_err(lines)?;
    let warnings = component.warnings(&resource, &seen).map_err(lines)?;
    Ok((plan, admitted.unknown, warnings))
}

/// What people call the file.
fn title_of(path: &Path) -> String {
    if path == Path::new("-") {
        STDIN.to_owned()
    } else {
        path.display().to_string()
    }
}

fn title(definition: &CustomResourceDefinition, document: &Value) -> String {
    let text = |pointer: &str, absent: &str| {
        document
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or(absent)
            .to_owned()
    };
    let (kind, name) = (&definition.spec.names.kind, text("/metadata/name", ""));
    if definition.spec.scope == "Namespaced" {
        format!("{kind} {}/{name}", text("/metadata/namespace", "default"))
    } else {
        format!("{kind} {name}")
    }
}

/// Prints completions of a program for a shell.
pub(super) fn completion<C: CommandFactory>(
    shell: Shell,
    out: &mut impl io::Write,
) -> Result<(), OfflineError> {
    let mut command = C::command();
    let name = command.get_name().to_owned();
    // It panics where it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut text);
    out.write_all(&text).map_err(OfflineError::Write)
}

/// How a process ends that was to do something without a cluster: what went wrong is on standard
/// error, a line each.
pub(super) fn exit(done: Result<(), OfflineError>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            for line in error.to_string().lines() {
                say("error", line);
            }
            ExitCode::FAILURE
        }
    }
}

/// One line for people. Nobody can be told that it cannot be written.
pub fn say(what: &str, line: impl Display) {
    let _ = writeln!(io::stderr(), "{what}: {line}");
}
