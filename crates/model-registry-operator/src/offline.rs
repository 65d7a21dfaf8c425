//! What `render` and `validate` share: files to resources, as an API server would store them.

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use api::modelregistry::v1beta1::ModelRegistry;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use resources::Plan;
use resources::kind::INGRESS_CONFIG;
use runtime::component::Component;
use runtime::offline::admission::{Refused, admit};
use runtime::offline::documents::{self, DocumentError};
use runtime::offline::{OfflineInputs, Platform};
use serde_json::Value;

use crate::registry::config::ConfigError;
use crate::registry::{Registry, error, validate};

const KIND: &str = "ModelRegistry";
const GROUP: &str = "modelregistry.opendatahub.io/";
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
    /// The environment is not one that the operator would start with.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is nothing to do.
    #[error("{0}: no document is a {KIND} of {group}", group = GROUP.trim_end_matches('/'))]
    Nothing(String),
    /// Resources that cannot be: one line for each field, with its path.
    #[error("{0}")]
    Resources(String),
}

/// One resource and what it becomes.
pub(crate) struct Worked {
    /// `ModelRegistry NAMESPACE/NAME`.
    pub(crate) title: String,
    pub(crate) plan: Plan,
    /// Fields that the schema does not know.
    pub(crate) unknown: Vec<String>,
    /// What the status would warn of.
    pub(crate) warnings: Vec<String>,
}

/// What is wrong with one resource.
enum Wrong {
    Refused(Refused),
    Shape(serde_json::Error),
    Plan(error::Error),
}

impl Wrong {
    fn lines(&self) -> String {
        match self {
            Self::Refused(refused) => refused.to_string(),
            Self::Shape(error) => error.to_string(),
            Self::Plan(error::Error::Validate(validate::ValidateError::Invalid(problems))) => {
                problems
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            }
            Self::Plan(error) => error.to_string(),
        }
    }
}

/// The documents in all files.
pub(crate) fn read(files: &[PathBuf]) -> Result<Vec<Value>, OfflineError> {
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

/// What the resources among `documents` become.
pub(crate) fn plans(
    registry: &Registry,
    documents: &[Value],
    files: &Files,
    now: Timestamp,
) -> Result<Vec<Worked>, OfflineError> {
    let definition = api::crds()
        .into_iter()
        .find(|definition| definition.spec.names.kind == KIND);
    let resources: Vec<_> = documents
        .iter()
        .filter(|document| is_resource(document))
        .collect();
    let (Some(definition), false) = (definition, resources.is_empty()) else {
        let names: Vec<_> = files.files.iter().map(|path| title_of(path)).collect();
        return Err(OfflineError::Nothing(names.join(", ")));
    };
    let mut worked = Vec::new();
    let mut errors = String::new();
    for resource in resources {
        let title = title(resource);
        match plan(
            registry,
            &definition,
            resource,
            documents,
            files.platform.into(),
            now,
        ) {
            Ok((plan, unknown, warnings)) => worked.push(Worked {
                title,
                plan,
                unknown,
                warnings,
            }),
            Err(wrong) => {
                for line in wrong.lines().lines() {
                    let _ = writeln!(errors, "{title}: {line}");
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(worked)
    } else {
        Err(OfflineError::Resources(errors))
    }
}

/// The code path of a reconcile, up to the writes.
fn plan(
    registry: &Registry,
    definition: &CustomResourceDefinition,
    document: &Value,
    documents: &[Value],
    platform: Platform,
    now: Timestamp,
) -> Result<(Plan, Vec<String>, Vec<String>), Wrong> {
    let admitted = admit(definition, document).map_err(Wrong::Refused)?;
    let mut resource: ModelRegistry =
        serde_json::from_value(admitted.object).map_err(Wrong::Shape)?;
    resource
        .metadata
        .namespace
        .get_or_insert_with(|| "default".to_owned());
    let capabilities = platform.capabilities(registry, &[INGRESS_CONFIG]);
    let inputs = OfflineInputs::new(registry, &resource, documents, capabilities, now);
    // Documents are there at once: nothing is ever waited for.
    let seen =
        futures::executor::block_on(registry.observe(&resource, &inputs)).map_err(Wrong::Plan)?;
    let plan = registry.plan(&resource, &seen).map_err(Wrong::Plan)?;
    let validated = validate::validate(&resource, &seen, &registry.config)
        .map_err(|error| Wrong::Plan(error.into()))?;
    let warnings = validated.warnings.iter().map(ToString::to_string);
    let troubles = validated.troubles.iter().map(ToString::to_string);
    Ok((plan, admitted.unknown, warnings.chain(troubles).collect()))
}

/// What people call the file.
fn title_of(path: &Path) -> String {
    if path == Path::new("-") {
        STDIN.to_owned()
    } else {
        path.display().to_string()
    }
}

fn is_resource(document: &Value) -> bool {
    let text = |key: &str| {
        document
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    text("kind") == KIND && text("apiVersion").starts_with(GROUP)
}

fn title(document: &Value) -> String {
    let text = |pointer: &str, absent: &str| {
        document
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or(absent)
            .to_owned()
    };
    format!(
        "{KIND} {}/{}",
        text("/metadata/namespace", "default"),
        text("/metadata/name", "")
    )
}
