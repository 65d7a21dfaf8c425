//! The status and the events of a registry whose objects all are as they should be.

use std::path::Path;

use operator_harness::recorded;
use serde_json::Value;

/// Where a status stands among the objects.
pub(crate) const OBJECT: &str = "ModelRegistry NAME";

/// What was recorded, in the form of [`comparable`].
pub(crate) fn theirs(folder: &Path) -> Value {
    let resource = recorded::read(&folder.join("status.yaml")).remove(0);
    let text = std::fs::read_to_string(folder.join("events.txt")).unwrap();
    comparable(&resource["status"], recorded::events(&text))
}

/// A status and the first event without times, conditions by type, and without what only ours has. An
/// edit of the spec by the operator itself makes a second event.
pub(crate) fn comparable(status: &Value, events: Vec<[String; 3]>) -> Value {
    let event = events.into_iter().take(1);
    let conditions = ["Available", "Progressing", "KubeRBACProxyAvailable"];
    let mut said = recorded::said(status, &conditions, &["hosts", "hostsStr"], event);
    if let Some(text) = status["specDefaults"].as_str() {
        said["status"]["specDefaults"] = serde_json::from_str(text).unwrap();
    }
    said
}
