//! Our schemas beside those of the Go operator, as recorded.
//!
//! The recordings are no part of the project. Where they are not there, the test says so
//! and passes.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

use api::additions::{Differences, MLFLOW, MODEL_REGISTRY, TRUSTYAI};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Map, Value, json};

/// A recorded definition, and the versions of ours.
struct Case {
    recorded: &'static str,
    versions: Vec<(&'static str, CustomResourceDefinition)>,
    listed: Differences,
}

fn cases() -> Vec<Case> {
    vec![
        Case {
            recorded: "crds/modelregistry.opendatahub.io_modelregistries.yaml",
            versions: vec![
                ("v1beta1", api::model_registry()),
                ("v1alpha1", api::v1alpha1()),
            ],
            listed: MODEL_REGISTRY,
        },
        Case {
            recorded: "crds/trustyai.opendatahub.io_trustyaiservices.yaml",
            versions: vec![("v1", api::trustyai()), ("v1alpha1", api::trustyai())],
            listed: TRUSTYAI,
        },
        Case {
            recorded: "crds/mlflow.opendatahub.io_mlflows.yaml",
            versions: vec![("v1", api::mlflow())],
            listed: MLFLOW,
        },
        Case {
            recorded: "crds/mlflow.kubeflow.org_mlflowconfigs.yaml",
            versions: vec![("v1", api::mlflow_config())],
            listed: NONE,
        },
        Case {
            recorded: "crds/components.platform.opendatahub.io_mlflowoperators.yaml",
            versions: vec![("v1alpha1", api::mlflow_operator())],
            listed: NONE,
        },
    ]
}

/// Nothing differs.
const NONE: Differences = Differences {
    additions: &[],
    added_rules: &[],
    changed_rules: &[],
    loosened: &[],
};

static NOTICE: Once = Once::new();

/// `COMPAT_DIR`, or `../shared/compat` beside the workspace.
fn compat_dir() -> PathBuf {
    std::env::var_os("COMPAT_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/compat"),
        PathBuf::from,
    )
}

fn recorded(file: &str) -> Option<Value> {
    let folder = compat_dir();
    if !folder.is_dir() {
        // Written past the capture of the test harness, so that nothing is skipped silently.
        NOTICE.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "compat: folder not there, schema comparison not run"
            );
        });
        return None;
    }
    let text =
        std::fs::read_to_string(folder.join(file)).expect("the recorded definition can be read");
    Some(serde_saphyr::from_str(&text).expect("the recorded definition is YAML"))
}

fn ours(crd: &CustomResourceDefinition) -> Value {
    serde_json::to_value(crd).expect("a definition is JSON")
}

fn version<'a>(crd: &'a Value, name: &str) -> &'a Value {
    let versions = crd["spec"]["versions"]
        .as_array()
        .expect("a definition has versions");
    versions
        .iter()
        .find(|version| version["name"] == name)
        .expect("the version is there")
}

/// What a comparison found.
#[derive(Default)]
struct Findings {
    /// Recorded, and absent or different here.
    lost: Vec<String>,
    /// Here, and not recorded.
    added: BTreeSet<String>,
    /// Path and message of rules that are here and not recorded.
    added_rules: BTreeSet<(String, String)>,
    /// Path and message of rules whose expression differs.
    changed_rules: BTreeSet<(String, String)>,
}

impl Findings {
    fn schema(&mut self, path: &str, recorded: &Value, ours: &Value) {
        let (Some(theirs), Some(here)) = (recorded.as_object(), ours.as_object()) else {
            self.lost.push(format!("{path}: {recorded} became {ours}"));
            return;
        };
        let keys: BTreeSet<_> = theirs
            .keys()
            .chain(here.keys())
            .map(String::as_str)
            .collect();
        for key in keys {
            let (theirs, here) = (&recorded[key], &ours[key]);
            match key {
                "description" => {}
                "properties" => self.properties(path, theirs, here),
                "items" | "additionalProperties" => self.schema(&format!("{path}[]"), theirs, here),
                "x-kubernetes-validations" => self.rules(path, theirs, here),
                "required" => self.equal(path, key, &set(theirs), &set(here)),
                // What is not in the format cannot be stored either way: it can be read by nobody.
                "minimum" if theirs.is_null() && is_bound(here, i32::MIN) => {}
                "maximum" if theirs.is_null() && is_bound(here, i32::MAX) => {}
                "minimum" | "maximum" => {
                    self.equal(path, key, &json!(theirs.as_f64()), &json!(here.as_f64()));
                }
                // A list is atomic unless it says otherwise.
                "x-kubernetes-list-type" if *theirs == "atomic" && here.is_null() => {}
                _ => self.equal(path, key, theirs, here),
            }
        }
    }

    fn equal(&mut self, path: &str, key: &str, recorded: &Value, ours: &Value) {
        if recorded != ours {
            self.lost
                .push(format!("{path}: {key} was {recorded} and is {ours}"));
        }
    }

    fn properties(&mut self, path: &str, recorded: &Value, ours: &Value) {
        let none = Map::new();
        let recorded = recorded.as_object().unwrap_or(&none);
        let ours = ours.as_object().unwrap_or(&none);
        for (name, theirs) in recorded {
            let path = format!("{path}.{name}");
            match ours.get(name) {
                Some(here) => self.schema(&path, theirs, here),
                None => self.lost.push(format!("{path}: absent")),
            }
        }
        let added = ours.keys().filter(|name| !recorded.contains_key(*name));
        self.added
            .extend(added.map(|name| format!("{path}.{name}")));
    }

    /// Ours come after the recorded ones: people count columns.
    fn columns(&mut self, path: &str, recorded: &Value, ours: &Value) {
        let of = |version: &Value| {
            let columns = version["additionalPrinterColumns"].as_array().cloned();
            columns.unwrap_or_default()
        };
        let (theirs, here) = (of(recorded), of(ours));
        let (same, more) = here.split_at(theirs.len().min(here.len()));
        self.equal(path, "columns", &json!(theirs), &json!(same));
        let names = more.iter().filter_map(|column| column["name"].as_str());
        self.added
            .extend(names.map(|name| format!("{path} column {name}")));
    }

    fn rules(&mut self, path: &str, recorded: &Value, ours: &Value) {
        let (recorded, ours) = (by_message(recorded), by_message(ours));
        for (message, rule) in &recorded {
            match ours.get(message) {
                None => self.lost.push(format!("{path}: no rule says {message:?}")),
                Some(here) if here != rule => {
                    self.changed_rules.insert((path.into(), message.clone()));
                }
                Some(_) => {}
            }
        }
        let added = ours
            .keys()
            .filter(|message| !recorded.contains_key(*message));
        self.added_rules
            .extend(added.map(|message| (path.into(), message.clone())));
    }
}

fn is_bound(value: &Value, bound: i32) -> bool {
    json!(value.as_f64()) == json!(f64::from(bound))
}

fn set(value: &Value) -> Value {
    let mut names: Vec<_> = value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    names.sort_unstable();
    json!(names)
}

/// Rule by message, in which nothing else may be set.
fn by_message(rules: &Value) -> BTreeMap<String, String> {
    let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
    let rules = rules.as_array().into_iter().flatten();
    rules
        .map(|rule| {
            let keys: Vec<_> = rule
                .as_object()
                .into_iter()
                .flatten()
                .map(|(key, _)| key.as_str())
                .collect();
            assert_eq!(
                keys,
                ["message", "rule"],
                "a rule says more than is compared: {rule}"
            );
            (text(rule, "message"), text(rule, "rule"))
        })
        .collect()
}

fn compare(case: &Case) -> Option<Findings> {
    let recorded = recorded(case.recorded)?;
    let mut findings = Findings::default();
    for (name, crd) in &case.versions {
        let crd = ours(crd);
        let (theirs, here) = (version(&recorded, name), version(&crd, name));
        findings.schema(
            name,
            &theirs["schema"]["openAPIV3Schema"],
            &here["schema"]["openAPIV3Schema"],
        );
        findings.columns(name, theirs, here);
        for key in [
            "deprecated",
            "deprecationWarning",
            "served",
            "storage",
            "subresources",
        ] {
            findings.equal(name, key, &theirs[key], &here[key]);
        }
        for key in ["group", "names", "scope"] {
            findings.equal(name, key, &recorded["spec"][key], &crd["spec"][key]);
        }
        findings.equal(
            name,
            "metadata.name",
            &recorded["metadata"]["name"],
            &crd["metadata"]["name"],
        );
    }
    Some(findings)
}

#[test]
fn every_recorded_field_is_here_and_means_the_same() {
    for case in cases() {
        let Some(findings) = compare(&case) else {
            return;
        };
        let mut listed: BTreeSet<&str> = BTreeSet::new();
        let unlisted = findings.lost.iter().filter(|lost| {
            let mut loosened = case.listed.loosened.iter();
            let found = loosened.find(|loosened| {
                let rest = lost.strip_prefix(loosened.path);
                rest.is_some_and(|rest| rest.starts_with(' '))
            });
            listed.extend(found.map(|loosened| loosened.path));
            found.is_none()
        });
        let unlisted: Vec<&str> = unlisted.map(String::as_str).collect();
        assert!(
            unlisted.is_empty(),
            "lost or changed:\n{}",
            unlisted.join("\n")
        );
        assert_eq!(
            listed.len(),
            case.listed.loosened.len(),
            "of these one is not found: {:?}",
            case.listed.loosened
        );
    }
}

#[test]
fn every_addition_is_listed_and_every_entry_is_used() {
    for case in cases() {
        let Some(findings) = compare(&case) else {
            return;
        };
        let additions = case.listed.additions;
        let listed: BTreeSet<_> = additions
            .iter()
            .map(|addition| addition.path.to_owned())
            .collect();
        assert_eq!(findings.added, listed);
        assert_eq!(listed.len(), additions.len(), "an addition is listed twice");
        assert!(additions.iter().all(|addition| !addition.reason.is_empty()));
    }
}

#[test]
fn every_difference_of_a_rule_is_listed_and_every_entry_is_used() {
    for case in cases() {
        let Some(findings) = compare(&case) else {
            return;
        };
        for (found, listed) in [
            (findings.added_rules, case.listed.added_rules),
            (findings.changed_rules, case.listed.changed_rules),
        ] {
            let entries: BTreeSet<_> = listed
                .iter()
                .map(|rule| (rule.path.to_owned(), rule.message.to_owned()))
                .collect();
            assert_eq!(found, entries);
            assert!(listed.iter().all(|rule| !rule.reason.is_empty()));
        }
    }
}

/// The comparison itself can fail.
#[test]
fn a_difference_is_found() {
    let recorded = json!({"type": "object", "properties": {"port": {"type": "integer", "default": 1, "maximum": 5}}});
    let cases = [
        (json!({"type": "object"}), "v.port: absent"),
        (
            json!({"type": "object", "properties": {"port": {"type": "integer", "default": 2, "maximum": 5.0}}}),
            "v.port: default was 1 and is 2",
        ),
        (
            json!({"type": "object", "properties": {"port": {"type": "integer", "default": 1, "maximum": 6}}}),
            "v.port: maximum was 5.0 and is 6.0",
        ),
    ];
    for (ours, expected) in cases {
        let mut findings = Findings::default();
        findings.schema("v", &recorded, &ours);
        assert_eq!(findings.lost, [expected]);
    }
    let mut findings = Findings::default();
    findings.schema(
        "v",
        &json!({"properties": {}}),
        &json!({"properties": {"new": {}}}),
    );
    assert_eq!(findings.added, BTreeSet::from(["v.new".to_owned()]));
}
