//! What surrounds the job: variables, and files below one root.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Error;

/// Variables and the root of all files. Reading both through it is what lets a test give the exact
/// environment of a caller, with the paths that the caller uses.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Variables by name.
    pub variables: BTreeMap<String, String>,
    /// Where absolute paths begin: `/`.
    pub root: PathBuf,
}

impl Environment {
    /// That of this process. Variables that are no text are left out: no setting needs one.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        Self {
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((text(name)?, text(value)?)))
                .collect(),
            root: PathBuf::from("/"),
        }
    }

    /// A variable that is set and not empty.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Where a path is: below the root, with `~` for the home directory. A relative path stays.
    #[must_use]
    pub fn path(&self, given: &Path) -> PathBuf {
        let home = || Path::new(self.variable("HOME").unwrap_or("/"));
        let given = match given.strip_prefix("~") {
            Ok(below) => home().join(below),
            Err(_) => given.to_owned(),
        };
        match given.strip_prefix("/") {
            Ok(below) => self.root.join(below),
            Err(_) => given,
        }
    }

    /// The text of a file, trimmed; `None` if there is no such file. Mounted Secrets and files that
    /// people write end in a line break, which is never part of a value.
    pub(crate) fn read(&self, field: &str, file: &Path) -> Result<Option<String>, Error> {
        match std::fs::read(self.path(file)) {
            Ok(content) => String::from_utf8(content)
                .map(|text| Some(text.trim().to_owned()))
                .map_err(|_| {
                    let remedy = "Store the value as UTF-8.";
                    Error::wrong(field, file.display(), "the file is not text", remedy)
                }),
            Err(error) if absent(&error) => Ok(None),
            Err(error) => {
                let remedy = "Let the user of the pod read the file, for example with fsGroup.";
                let problem = format!("the file cannot be read: {error}");
                Err(Error::wrong(field, file.display(), problem, remedy))
            }
        }
    }
}

fn absent(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory)
}
