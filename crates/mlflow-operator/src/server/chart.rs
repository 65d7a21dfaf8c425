//! The chart that `helm install` takes, embedded and rendered in process.

use std::sync::LazyLock;

use helm_render::{Capabilities, Chart, Object, Release};
use resources::kind::{CERTIFICATE, SERVICE_MONITOR};
use serde_json::{Map, Value};

use super::error::Error;
use crate::platform::Platform;

/// What is read of the chart's directory: names from its root, and contents.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../charts/mlflow/", $name)))),*]
    };
}

/// Without the schema of values: these are made here, and tests check them.
const FILES: &[(&str, &str)] = files![
    "Chart.yaml",
    "values.yaml",
    "templates/_ca-bundle.tpl",
    "templates/_checks.tpl",
    "templates/_environment.tpl",
    "templates/_names.tpl",
    "templates/_pods.tpl",
    "templates/_python.tpl",
    "templates/_stores.tpl",
    "templates/_tls.tpl",
    "templates/_trace-archival.tpl",
    "templates/certificate.yaml",
    "templates/deployment.yaml",
    "templates/gc-cronjob.yaml",
    "templates/networkpolicy.yaml",
    "templates/poddisruptionbudget.yaml",
    "templates/pvc.yaml",
    "templates/rbac.yaml",
    "templates/service.yaml",
    "templates/serviceaccount.yaml",
    "templates/servicemonitor.yaml",
    "templates/trace-archival-configmap.yaml",
    "templates/trace-archival-cronjob.yaml",
];

/// Oldest Kubernetes that the operator works with. The chart asks for nothing newer.
const KUBERNETES: &str = "v1.29.0";

/// Parsed once.
static CHART: LazyLock<Result<Chart, String>> =
    LazyLock::new(|| Chart::from_files(FILES.iter().copied()).map_err(|error| error.to_string()));

fn chart() -> Result<&'static Chart, Error> {
    CHART.as_ref().map_err(|error| Error::Render(error.clone()))
}

/// What a value is where nobody sets it; null for none.
pub(super) fn default(path: &str) -> Result<Value, Error> {
    let chart = chart()?;
    let mut keys = path.split('.');
    let first = keys.next().and_then(|key| chart.defaults().get(key));
    let found = keys.try_fold(first.unwrap_or(&Value::Null), |value, key| value.get(key));
    Ok(found.cloned().unwrap_or_default())
}

/// The objects that the chart renders with these values.
pub(super) fn render(
    values: &Map<String, Value>,
    namespace: &str,
    platform: Platform,
) -> Result<Vec<Object>, Error> {
    let served = [
        (platform.service_monitors, SERVICE_MONITOR),
        (true, CERTIFICATE),
    ];
    let served = served.iter().filter(|(there, _)| *there);
    let capabilities =
        Capabilities::new(KUBERNETES).with(served.map(|(_, kind)| kind.api_version()));
    let rendered = chart()?
        .render(values, &Release::new("mlflow", namespace), &capabilities)
        .map_err(|error| Error::Render(error.to_string()))?;
    Ok(rendered.objects)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_whole_chart_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/mlflow");
        let templates = std::fs::read_dir(root.join("templates")).unwrap();
        let files = templates.map(|entry| entry.unwrap().path());
        let found: BTreeSet<String> = files
            .filter(|path| path.is_file() && path.file_name().unwrap() != "NOTES.txt")
            .map(|path| format!("templates/{}", path.file_name().unwrap().display()))
            .collect();
        let embedded = FILES.iter().map(|(name, _)| (*name).to_owned());
        let embedded: BTreeSet<String> = embedded
            .filter(|name| name.starts_with("templates/"))
            .collect();
        assert_eq!(embedded, found);
        assert_eq!(default("resources.limits.memory").unwrap(), "3Gi");
        assert_eq!(default("nothing.here").unwrap(), Value::Null);
    }
}
