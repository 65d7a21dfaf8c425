//! What runs: the objects that the operator makes of a resource, and those that Helm makes of a sample.

use std::path::Path;

use helm_render::{Capabilities, Chart, Release, read_values};
use operator_harness::bodies;
use resources::kind::SERVICE_MONITOR;
use runtime::offline::Platform;
use serde_json::Value;

#[path = "../offline/world.rs"]
#[allow(dead_code, reason = "it is of other tests, too")]
mod world;

/// Where the objects are, and where they can be called.
pub(crate) const NAMESPACE: &str = world::NAMESPACE;
pub(crate) const HOST: &str = "mlflow.opendatahub.svc";

/// What the operator makes of an MLflow with these fields over a sound spec, where `documents` are
/// there already and the cluster has ServiceMonitors.
pub(crate) fn operators(fields: &Value, documents: &[Value]) -> Vec<Value> {
    let (operator, resource) = (world::operator(&[]), world::mlflow(fields));
    let served = [SERVICE_MONITOR];
    let worked = world::work(
        &operator,
        Platform::Kubernetes,
        &served,
        &resource,
        documents,
    );
    let plan = worked.expect("a sound resource").plan;
    bodies(&plan.expect("a plan"))
}

/// The objects with a file of `charts/mlflow/samples`, as Helm installs them.
pub(crate) fn sample(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/mlflow");
    let text = std::fs::read_to_string(folder.join("samples").join(name)).expect("a sample");
    let values = read_values(name, &text).expect("values");
    let chart = Chart::from_directory(&folder).expect("the chart");
    let release = Release::new("mlflow", NAMESPACE);
    let rendered = chart.render(&values, &release, &Capabilities::new("v1.35.4"));
    let objects = rendered.expect("objects").objects.into_iter();
    objects.map(|object| object.value).collect()
}

/// The object of a kind and name.
pub(crate) fn object<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let found = objects
        .iter()
        .find(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The pod of the object of a kind.
pub(crate) fn pod(objects: &[Value], kind: &str, name: &str) -> Value {
    let object = object(objects, kind, name);
    let template = ["/spec/template", "/spec/jobTemplate/spec/template"]
        .iter()
        .find_map(|path| object.pointer(path));
    template.expect("a pod")["spec"].clone()
}
