//! `validate`: whether the API server and the operator would take resources as they are.

use std::io::Write;

use jiff::Timestamp;

use resources::Kind;

use super::work::{Files, Kinds, OfflineError, plans, read, say};

/// Prints one line for each resource that is valid, in a cluster that serves `more` beside what its
/// platform does. A field that the schema does not know is an
/// error, as it is for `kubectl apply`.
pub fn run(
    kinds: &impl Kinds,
    files: &Files,
    more: &[Kind],
    out: &mut impl Write,
) -> Result<(), OfflineError> {
    let all = plans(kinds, &read(&files.files)?, files, more, Timestamp::now())?;
    let mut unknown = Vec::new();
    for resource in &all {
        for warning in &resource.warnings {
            say("warning", format!("{}: {warning}", resource.title));
        }
        if resource.unknown.is_empty() {
            writeln!(out, "{}: valid", resource.title).map_err(OfflineError::Write)?;
        }
        unknown.extend(
            resource
                .unknown
                .iter()
                .map(|path| format!("{}: {path}: unknown field", resource.title)),
        );
    }
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(OfflineError::Resources(unknown.join("\n")))
    }
}
