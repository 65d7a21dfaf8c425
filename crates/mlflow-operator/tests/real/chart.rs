//! `charts/mlflow`, rendered with the values that the operator gives it.

use std::path::Path;

use helm_render::{Capabilities, Chart, Object, Release, Rendered, overlay, read_values};
use serde_json::Value;

/// Where the objects are, and where they can be called.
pub(crate) const NAMESPACE: &str = "opendatahub";
pub(crate) const HOST: &str = "mlflow.opendatahub.svc";

/// What the operator sets for every resource called `mlflow`.
const OPERATOR: &str = r#"
resourceSuffix: ""
rbac: {name: mlflow}
tls: {source: secret}
storage: {keep: false}
mlflow: {serveArtifacts: true, allowedHosts: ["*"], staticPrefix: /mlflow}
env: []
"#;

/// The objects with the operator's values and `more` over them.
pub(crate) fn operators(more: &str) -> Rendered {
    let read = |text| read_values("values", text).expect("values");
    render(&overlay(&read(OPERATOR), &read(more)))
}

/// The objects with a file of `charts/mlflow/samples`, as Helm installs them.
pub(crate) fn sample(name: &str) -> Rendered {
    let path = folder().join("samples").join(name);
    let text = std::fs::read_to_string(&path).expect("a sample");
    render(&read_values(name, &text).expect("values"))
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/mlflow")
}

fn render(values: &serde_json::Map<String, Value>) -> Rendered {
    let chart = Chart::from_directory(&folder()).expect("the chart");
    let release = Release::new("mlflow", NAMESPACE);
    chart
        .render(values, &release, &Capabilities::new("v1.35.4"))
        .expect("objects")
}

/// The object of a kind and name.
pub(crate) fn object<'a>(rendered: &'a Rendered, kind: &str, name: &str) -> &'a Object {
    let found = rendered
        .objects
        .iter()
        .find(|object| object.kind() == kind && object.name() == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The pod of the object of a kind.
pub(crate) fn pod(rendered: &Rendered, kind: &str, name: &str) -> Value {
    let object = &object(rendered, kind, name).value;
    let template = ["/spec/template", "/spec/jobTemplate/spec/template"]
        .iter()
        .find_map(|path| object.pointer(path));
    template.expect("a pod")["spec"].clone()
}
