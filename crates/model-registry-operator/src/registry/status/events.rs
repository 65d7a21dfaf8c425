//! Events, in the words of the Go operator where it has some.

use api::modelregistry::v1beta1::ModelRegistry;
use kube::ResourceExt;
use runtime::component::{Attempt, Failure, Note};

use super::super::Registry;

/// Events about `attempt`, in the words of the Go operator where it has some.
#[must_use]
pub fn events(resource: &ModelRegistry, attempt: &Attempt<'_, Registry>) -> Vec<Note> {
    let whose = format!(
        "for custom resource {} in namespace {}",
        resource.name_any(),
        resource.namespace().unwrap_or_default()
    );
    let normal = |reason, action, message| Note {
        warning: false,
        reason,
        action,
        message,
    };
    let warning = |reason, message| Note {
        warning: true,
        reason,
        action: "Reconcile",
        message,
    };
    let outcome = attempt.outcome;
    let mut notes = Vec::new();
    if !outcome.created.is_empty() {
        notes.push(normal(
            "ServiceCreated",
            "Create",
            format!("Created service {whose}"),
        ));
    } else if !outcome.updated.is_empty() {
        notes.push(normal(
            "ServiceUpdated",
            "Update",
            format!("Updated service {whose}"),
        ));
    }
    if let Some(failure) = attempt.failure {
        notes.push(warning(failure.reason(), failure.to_string()));
    }
    for failed in &outcome.failed {
        notes.push(warning(
            "WriteFailed",
            format!("{} could not be written: {}", failed.target, failed.message),
        ));
    }
    for foreign in &outcome.foreign {
        notes.push(warning(
            "ObjectConflict",
            format!("{foreign} belongs to somebody else and is left alone"),
        ));
    }
    notes
}

/// The last event of a registry.
#[must_use]
pub fn farewell(resource: &ModelRegistry) -> Note {
    Note {
        warning: true,
        reason: "Deleting",
        action: "Delete",
        message: format!(
            "Custom Resource {} is being deleted from the namespace {}",
            resource.name_any(),
            resource.namespace().unwrap_or_default()
        ),
    }
}
