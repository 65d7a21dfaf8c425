//! Command lines as Go reads them.

use std::ffi::{OsStr, OsString};

use clap::{Command, CommandFactory, FromArgMatches};

/// Reads the command line. Long flags may have one dash, as Go's have.
pub fn read<C: CommandFactory + FromArgMatches>(
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<C, clap::Error> {
    let command = C::command();
    let arguments = normalise(&command, arguments);
    C::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Arguments as clap reads them, from arguments as Go reads them: a long flag may have one dash
/// (`-leader-elect`). `command` says which long flags there are; anything else stays as it is, so
/// that short flags (`-f FILE`, `-oyaml`) work.
#[must_use]
pub fn normalise(
    command: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut options = true;
    arguments
        .into_iter()
        .map(|argument| {
            options = options && argument != "--";
            if options && is_go_flag(command, &argument) {
                let mut flag = OsString::from("-");
                flag.push(&argument);
                flag
            } else {
                argument
            }
        })
        .collect()
}

/// Whether this is a known long flag with one dash.
fn is_go_flag(command: &Command, argument: &OsStr) -> bool {
    let Some(name) = argument.to_str().and_then(|text| text.strip_prefix('-')) else {
        return false;
    };
    let name = name.split_once('=').map_or(name, |(name, _)| name);
    name.len() > 1 && has_long(command, name)
}

fn has_long(command: &Command, name: &str) -> bool {
    matches!(name, "help" | "version")
        || command.get_arguments().any(|argument| {
            let aliases = argument.get_all_aliases().unwrap_or_default();
            argument.get_long() == Some(name) || aliases.contains(&name)
        })
        || command
            .get_subcommands()
            .any(|command| has_long(command, name))
}
