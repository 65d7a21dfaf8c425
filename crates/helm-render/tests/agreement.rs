//! `helm template` and this crate give the same objects, in the same order.
//!
//! Helm is built from its Go module. What it prints is read by `kubectl`, so that neither our
//! templates nor our reader of YAML take part in what ours are compared with.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use helm_render::{Capabilities, Chart, Error, Release, read_values};
use serde_json::{Deserializer, Value};

const KUBERNETES: &str = "v1.35.4";
const NAMESPACE: &str = "opendatahub";
const MONITORING: &str = "monitoring.coreos.com/v1";
const OPENSHIFT: &str = "security.openshift.io/v1";

/// One set of values.
struct Case {
    name: String,
    /// The release; `openshift` and `plain` stand for a cluster with other APIs.
    release: String,
    values: String,
}

impl Case {
    fn apis(&self) -> &'static [&'static str] {
        match self.release.as_str() {
            "openshift" => &[MONITORING, OPENSHIFT],
            "plain" => &[],
            _ => &[MONITORING],
        }
    }

    fn release(&self) -> &str {
        match self.release.as_str() {
            "openshift" | "plain" => "mlflow",
            other => other,
        }
    }
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Sets of values, each after a line `### NAME` and perhaps a line `#release NAME`.
fn cases(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(here("tests/values").join(file)).unwrap();
    let sections = text.split("### ").skip(1);
    sections
        .map(|section| {
            let (name, values) = section.split_once('\n').unwrap();
            let release = values
                .lines()
                .next()
                .and_then(|line| line.strip_prefix("#release "));
            Case {
                name: name.to_owned(),
                release: release.unwrap_or("mlflow").to_owned(),
                values: values.to_owned(),
            }
        })
        .collect()
}

fn helm_template(helm: &Path, chart: &Path, case: &Case, scratch: &Path) -> Output {
    let values = scratch.join("values.yaml");
    std::fs::write(&values, &case.values).unwrap();
    let mut command = Command::new(helm);
    command
        .args(["template", case.release()])
        .arg(chart)
        .args([
            "--namespace",
            NAMESPACE,
            "--kube-version",
            KUBERNETES,
            "--values",
        ])
        .arg(&values)
        .env("HOME", scratch);
    for api in case.apis() {
        command.args(["--api-versions", api]);
    }
    command.output().unwrap()
}

/// The objects of a YAML text as `kubectl` reads them. It adds a label to each, because it has no
/// command that does nothing.
fn kubectl_reads(kubectl: &Path, yaml: &str, scratch: &Path) -> Vec<Value> {
    let file = scratch.join("objects.yaml");
    std::fs::write(&file, yaml).unwrap();
    let output = Command::new(kubectl)
        .args([
            "label",
            "--local",
            "--output=json",
            "read-by=kubectl",
            "--filename",
        ])
        .arg(&file)
        .env("HOME", scratch)
        .env("KUBECONFIG", "/dev/null")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let objects = Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    objects.map(|object| normal(object.unwrap())).collect()
}

/// JSON has one kind of number: 5 and 5.0 are the same. `kubectl` reads what is over 63 bits as a
/// float.
fn normal(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 1e15 => {
                format!("{float:.0}").parse().unwrap()
            }
            Some(float) if !number.is_i64() => float.into(),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, normal(value)))
            .collect(),
        other => other,
    }
}

fn labelled(mut value: Value) -> Value {
    value["metadata"]["labels"]["read-by"] = "kubectl".into();
    normal(value)
}

/// Renders with this crate: first the objects in order, then hooks by name, as Helm prints them.
fn rendered(chart: &Chart, case: &Case) -> Result<Vec<Value>, Error> {
    let values = read_values("values.yaml", &case.values)?;
    let capabilities = Capabilities::new(KUBERNETES).with(case.apis().iter().copied());
    let release = Release::new(case.release(), NAMESPACE);
    let rendered = chart.render(&values, &release, &capabilities)?;
    let all = rendered.objects.into_iter().chain(rendered.hooks);
    Ok(all.map(|object| labelled(object.value)).collect())
}

/// Says where two objects differ first.
fn difference(path: &str, ours: &Value, helms: &Value) -> Option<String> {
    match (ours, helms) {
        (Value::Object(ours), Value::Object(helms)) => {
            let keys: std::collections::BTreeSet<_> = ours.keys().chain(helms.keys()).collect();
            keys.into_iter().find_map(|key| {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or("(absent)".into())
                };
                difference(&format!("{path}.{key}"), &of(ours), &of(helms))
            })
        }
        (Value::Array(ours), Value::Array(helms)) if ours.len() == helms.len() => (ours
            .iter()
            .zip(helms))
        .enumerate()
        .find_map(|(index, (ours, helms))| difference(&format!("{path}[{index}]"), ours, helms)),
        _ if ours == helms => None,
        _ => Some(format!("{path}: ours {ours}, Helm's {helms}")),
    }
}

/// Compares a chart with all sets of a file. Says how many objects were the same.
fn compare(chart: &Path, file: &str) -> (usize, usize) {
    let helm = cluster::tools::helm().unwrap();
    let kubectl = cluster::tools::ensure().unwrap().kubectl;
    let scratch = tempfile::tempdir().unwrap();
    let parsed = Chart::from_directory(chart).unwrap();
    let (mut objects, mut differences) = (0, String::new());
    let cases = cases(file);
    for case in &cases {
        let output = helm_template(&helm, chart, case, scratch.path());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", case.name);
        let helms = kubectl_reads(
            &kubectl,
            &String::from_utf8(output.stdout).unwrap(),
            scratch.path(),
        );
        let ours = rendered(&parsed, case).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let names = |objects: &[Value]| -> Vec<String> {
            objects
                .iter()
                .map(|object| format!("{} {}", object["kind"], object["metadata"]["name"]))
                .collect()
        };
        assert_eq!(names(&ours), names(&helms), "{}", case.name);
        assert!(!ours.is_empty(), "{}", case.name);
        for (ours, helms) in ours.iter().zip(&helms) {
            let kind = ours["kind"].as_str().unwrap();
            if let Some(difference) = difference(kind, ours, helms) {
                writeln!(differences, "{}: {difference}", case.name).unwrap();
            }
        }
        objects += ours.len();
    }
    assert!(differences.is_empty(), "\n{differences}");
    (cases.len(), objects)
}

#[test]
fn our_chart_is_rendered_as_by_helm() {
    let (sets, objects) = compare(&here("../../charts/mlflow"), "mlflow.values");
    println!("charts/mlflow: {sets} sets of values, {objects} objects, no difference");
    assert!(
        sets >= 40 && objects >= 400,
        "{sets} sets, {objects} objects"
    );
}

#[test]
fn a_chart_as_the_starter_of_helm_is_rendered_as_by_helm() {
    let (sets, objects) = compare(&here("tests/charts/shop"), "shop.values");
    println!("tests/charts/shop: {sets} sets of values, {objects} objects, no difference");
    assert!(
        sets >= 15 && objects >= 60,
        "{sets} sets, {objects} objects"
    );
}

#[test]
fn a_chart_with_odd_scalars_is_rendered_as_by_helm() {
    let (sets, objects) = compare(&here("tests/charts/collector"), "collector.values");
    println!("tests/charts/collector: {sets} sets of values, {objects} objects, no difference");
    assert!(sets >= 8 && objects >= 40, "{sets} sets, {objects} objects");
}

#[test]
fn what_helm_refuses_is_refused_with_the_same_words() {
    let helm = cluster::tools::helm().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let directory = here("../../charts/mlflow");
    let chart = Chart::from_directory(&directory).unwrap();
    let cases = cases("mlflow-refused.values");
    for case in &cases {
        let output = helm_template(&helm, &directory, case, scratch.path());
        let helms = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "Helm takes {}", case.name);
        match rendered(&chart, case).err() {
            Some(Error::Template { message, .. }) => {
                assert!(
                    helms.contains(&message),
                    "{}: ours {message}, Helm's {helms}",
                    case.name
                );
            }
            // The two libraries word violations differently; both name the field.
            Some(Error::Schema(_)) => assert!(helms.contains("schema"), "{}: {helms}", case.name),
            other => panic!("{}: ours {other:?}, Helm's {helms}", case.name),
        }
    }
    assert!(cases.len() >= 15);
}
