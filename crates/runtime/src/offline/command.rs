//! The subcommands of an operator that need no cluster.

use std::fmt::Debug;
use std::io;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Subcommand};
use resources::Kind;

use super::render::{self, RenderArgs};
use super::validate;
use super::work::{Files, Kinds, OfflineError, Shell, completion, exit};

/// What a program does without a cluster.
#[derive(Debug, Subcommand)]
pub enum Command<A: Also = ()> {
    /// Print the objects that resources become, without a cluster.
    ///
    /// Documents that are no resources of this operator count as existing in the cluster. The
    /// environment variables of the operator are honoured. What is random, and every value of a
    /// Secret, prints as <generated>.
    Render {
        /// Input and output.
        #[command(flatten)]
        args: RenderArgs,
        /// The cluster.
        #[command(flatten)]
        also: A,
    },
    /// Check resources as the API server and the operator would, without a cluster.
    Validate {
        /// Input.
        #[command(flatten)]
        files: Files,
        /// The cluster.
        #[command(flatten)]
        also: A,
    },
    /// Print completions for a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

/// Flags that say what a cluster has beside what its platform has.
pub trait Also: Args + Debug {
    /// The kinds that it serves by that.
    fn kinds(&self) -> &'static [Kind];
}

/// No flags.
impl Also for () {
    fn kinds(&self) -> &'static [Kind] {
        &[]
    }
}

impl<A: Also> Command<A> {
    /// Does it for program `C` with its `kinds`, and says how the process ends.
    pub fn run<C: CommandFactory, K: Kinds>(
        &self,
        kinds: impl FnOnce() -> Result<K, OfflineError>,
    ) -> ExitCode {
        let mut out = io::stdout().lock();
        exit(match self {
            Self::Render { args, also } => {
                kinds().and_then(|kinds| render::run(&kinds, args, also.kinds(), &mut out))
            }
            Self::Validate { files, also } => {
                kinds().and_then(|kinds| validate::run(&kinds, files, also.kinds(), &mut out))
            }
            Self::Completion { shell } => completion::<C>(*shell, &mut out),
        })
    }
}
