//! The configuration of a run: flags, variables and credential files become typed settings, and
//! every mistake is found before a byte moves.

mod credentials;
mod environment;
mod error;
mod job;
mod metadata;
mod model_registry;
mod places;
mod print;
mod signing;

use std::path::{Path, PathBuf};

pub use environment::Environment;
pub use error::Error;
pub use metadata::Entity;

pub use model_registry::{Intent, ModelRegistry, New};
pub use print::print;
pub use signing::Signing;

use crate::cli::Flags;
use crate::settings::{MEMORY_BUDGET_MIN, Transfer};

/// Where Kubernetes looks for the last words of a container.
const TERMINATION_LOG: &str = "/dev/termination-log";

/// How often a request is tried again. With the pauses between them this outlasts the restart of a
/// registry.
const RETRIES: u32 = 8;

/// One run.
#[derive(Debug, Clone)]
pub struct Config {
    /// What moves.
    pub transfer: Transfer,
    /// What is registered.
    pub intent: Intent,
    /// Where it is registered.
    pub registry: ModelRegistry,
    /// Who signs, and with whose help; `None` is no signature.
    pub signing: Option<Signing>,
}

/// A configuration with what its reader should hear about it.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What is odd but can be worked with. Never a secret.
    pub warnings: Vec<String>,
}

/// Reads all of it. Nothing is asked of the network.
pub fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Error> {
    let mut loading = Loading {
        flags,
        environment,
        warnings: Vec::new(),
    };
    let metadata = loading.metadata()?;
    let destination = loading.destination()?;
    let source = loading.source()?;
    let job_id = job::id(flags.run.job_id.as_deref(), environment);
    let run = &flags.run;
    if run.memory_budget < MEMORY_BUDGET_MIN {
        let remedy = format!("Give it at least {} MiB.", MEMORY_BUDGET_MIN >> 20);
        let problem = "too little to work with";
        return Err(Error::wrong(
            "--memory-budget",
            run.memory_budget,
            problem,
            remedy,
        ));
    }
    if let Some(dir) = &run.storage_path
        && !environment.path(dir).is_dir()
    {
        loading.warnings.push(format!(
            "--storage-path {} is not there; nothing is stored on disk unless a source does not \
             tell the size of a file",
            dir.display()
        ));
    }
    let intent = loading.intent(metadata.as_ref())?;
    let signing = loading.signing()?;
    let config = Config {
        intent,
        registry: loading.model_registry(&job_id, &destination)?,
        transfer: Transfer {
            source,
            destination,
            memory_budget: run.memory_budget,
            retries: RETRIES,
            checkpoint: run.checkpoint,
            signed: signing.is_some(),
            job_id,
            spool: run
                .storage_path
                .as_deref()
                .map(|dir| environment.path(dir))
                .filter(|dir| dir.is_dir()),
        },
        signing,
    };
    Ok(Loaded {
        config,
        warnings: loading.warnings,
    })
}

/// Where the last words of this container go.
#[must_use]
pub fn termination_log(environment: &Environment) -> PathBuf {
    let path = environment.variable("TERMINATION_MESSAGE_PATH");
    environment.path(Path::new(path.unwrap_or(TERMINATION_LOG)))
}

/// What loading needs all the time.
struct Loading<'a> {
    flags: &'a Flags,
    environment: &'a Environment,
    warnings: Vec<String>,
}

impl Loading<'_> {
    /// What was given, else what a credential file says. Where both say something and they differ,
    /// there is a warning, which shows neither: one of them may be a secret.
    fn given_or_file(
        &mut self,
        flag: &str,
        given: Option<&String>,
        file: Option<String>,
    ) -> Option<String> {
        if let (Some(given), Some(file)) = (given, &file)
            && given != file
        {
            self.warnings.push(format!(
                "--{flag} and the credential file differ; the flag or its variable wins"
            ));
        }
        given.cloned().or(file)
    }
}

#[cfg(test)]
mod tests;
