//! What is deployed: the overlays of the other two operators, as they were when this was built.

use std::sync::LazyLock;

use runtime::offline::documents::{self, DocumentError};
use serde_json::Value;

/// Where the rendered overlays belong, from the root of the workspace.
pub const FILE: &str = "crates/model-registry-operator/src/aihub/deployed.yaml";
/// The overlays, from the root of the workspace.
pub const OVERLAY: &str = "config/model-registry-operator/deployed-by-aihub";

const TEXT: &str = include_str!("deployed.yaml");

static DOCUMENTS: LazyLock<Result<Vec<Value>, DocumentError>> =
    LazyLock::new(|| documents::read(TEXT, "what is deployed"));

/// The objects.
pub(super) fn documents() -> Result<&'static [Value], &'static DocumentError> {
    DOCUMENTS.as_deref()
}

/// Whether this is the name of one of the definitions.
pub(super) fn defines(name: &str) -> bool {
    let documents = documents().unwrap_or_default();
    documents.iter().any(|document| {
        text(document, "/kind") == "CustomResourceDefinition"
            && text(document, "/metadata/name") == name
    })
}

pub(super) fn text<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let found = document.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}
