//! The documentation says what the program says: every condition, reason and message of the
//! status of registry, catalog and hub is on the page about troubles, and every resource on the pages and among the samples is valid.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use runtime::offline::{admission::admit, documents};
use serde_json::Value;

/// Where messages for people are written, from the folder of crates.
const MESSAGES: &[&str] = &[
    "model-registry-operator/src/aihub/config.rs",
    "model-registry-operator/src/aihub/error.rs",
    "model-registry-operator/src/aihub/status.rs",
    "model-registry-operator/src/catalog/error.rs",
    "model-registry-operator/src/catalog/observe.rs",
    "model-registry-operator/src/catalog/status.rs",
    "model-registry-operator/src/registry/error.rs",
    "model-registry-operator/src/registry/status/istio.rs",
    "model-registry-operator/src/registry/status/proxy.rs",
    "model-registry-operator/src/registry/status/told.rs",
    "model-registry-operator/src/registry/status/ways.rs",
    "model-registry-operator/src/registry/trouble.rs",
    "model-registry-operator/src/registry/validate/problem.rs",
    "model-registry-operator/src/registry/values.rs",
    "model-registry-operator/src/registry/warning.rs",
    "runtime/src/inputs.rs",
    "runtime/src/told.rs",
    "runtime/src/workload.rs",
    "runtime/src/workload/pods.rs",
    "runtime/src/workload/told.rs",
];

/// Words of other programs' statuses, which ours reads or hands on.
const NOT_OURS: &[&str] = &["deleted by the system"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The texts in a source, without its comments and tests, each as it is printed.
fn texts(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let mut found = Vec::new();
    let mut rest = source.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '/' if rest.peek() == Some(&'/') => {
                for skipped in rest.by_ref() {
                    if skipped == '\n' {
                        break;
                    }
                }
            }
            // A quote as a character.
            '\'' if rest.peek() == Some(&'"') => {
                rest.next();
            }
            '"' => {
                let mut text = String::new();
                while let Some(next) = rest.next() {
                    match next {
                        '"' => break,
                        '\\' => match rest.next() {
                            Some('\n') => while rest.next_if(|c| c.is_whitespace()).is_some() {},
                            Some(escaped) => text.push(escaped),
                            None => break,
                        },
                        other => text.push(other),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

/// What a page has between backticks, in parts where it leaves something out with `…`.
fn spans(page: &str) -> Vec<Vec<String>> {
    let outside = page.split("```").step_by(2);
    let spans = outside.flat_map(|text| text.split('`').skip(1).step_by(2));
    spans
        .map(|span| {
            let parts = span.split('…').map(|part| part.trim().to_owned());
            parts.filter(|part| !part.is_empty()).collect()
        })
        .collect()
}

/// Whether the parts are in the text, one after the other, and say enough to be found by.
fn covers(span: &[String], text: &str) -> bool {
    let mut rest = text;
    for part in span {
        let Some((_, after)) = rest.split_once(part.as_str()) else {
            return false;
        };
        rest = after;
    }
    span.iter().map(String::len).sum::<usize>() >= 10
}

#[test]
fn every_message_is_on_the_page_about_troubles() {
    let page = read("docs/model-registry/troubleshooting.md");
    let spans = spans(&page);
    let mut missing = Vec::new();
    let mut count = 0;
    for source in MESSAGES {
        for text in texts(&read(&format!("crates/{source}"))) {
            // Fewer words are names and parts of sentences.
            if text.split(' ').count() < 4 || NOT_OURS.contains(&text.as_str()) {
                continue;
            }
            count += 1;
            // As it is printed: two braces are one.
            let text = text.replace("{{", "{").replace("}}", "}");
            if !spans.iter().any(|span| covers(span, &text)) {
                missing.push(format!("{source}: {text}"));
            }
        }
    }
    assert!(count > 40, "{count} messages are too few to be all");
    assert!(missing.is_empty(), "not explained:\n{}", missing.join("\n"));
}

#[test]
fn every_condition_and_reason_is_on_the_page_about_troubles() {
    let page = read("docs/model-registry/troubleshooting.md");
    let mut words = BTreeSet::new();
    let own = files(&root().join("crates/model-registry-operator/src"), ".rs");
    let of_all = ["inputs.rs", "told.rs", "workload/told.rs"];
    let of_all = of_all.map(|file| root().join("crates/runtime/src").join(file));
    for path in own.into_iter().chain(of_all) {
        if path.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for begin in ["reason!(\"", "condition_type!(\""] {
            let found = source.split(begin).skip(1);
            words.extend(found.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
        // Reasons of errors are the arms of one function.
        if let Some((_, body)) = source.split_once("fn reason(&self)") {
            let body = body.split("\n    }\n").next().unwrap();
            let arms = body.split("=> \"").skip(1);
            words.extend(arms.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    assert!(words.len() > 40, "{words:?}");
    let missing: Vec<_> = words
        .iter()
        .filter(|word| !page.contains(&format!("`{word}`")) && !page.contains(&format!("`{word}=")))
        .collect();
    assert!(missing.is_empty(), "not explained: {missing:?}");
}

/// Files below a folder, by the end of their names.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, end));
        } else if path.to_str().is_some_and(|name| name.ends_with(end)) {
            found.push(path);
        }
    }
    found
}

/// Checks the document, if it is one of ours, by the schema and its rules. Whether it was.
fn is_valid(document: &Value, place: &str) -> bool {
    let version = document["apiVersion"].as_str().unwrap_or_default();
    let known = api::definitions().map(|definition| definition.crd);
    let mut definitions = known.into_iter().chain([api::v1alpha1()]).filter(|crd| {
        crd.spec.names.kind == document["kind"]
            && crd
                .spec
                .versions
                .iter()
                .any(|known| format!("{}/{}", crd.spec.group, known.name) == version)
    });
    let Some(definition) = definitions.next() else {
        return false;
    };
    let admitted = admit(&definition, document).unwrap_or_else(|error| panic!("{place}: {error}"));
    assert!(
        admitted.unknown.is_empty(),
        "{place}: {:?}",
        admitted.unknown
    );
    true
}

#[test]
fn every_resource_on_a_page_is_valid() {
    let mut whole = 0;
    let mut parts = 0;
    let pages = files(&root().join("docs"), ".md");
    for page in pages
        .into_iter()
        .chain(files(&root().join("samples"), ".md"))
    {
        let text = fs::read_to_string(&page).unwrap();
        let place = page.display().to_string();
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            for document in block.split("\n---\n") {
                let document: Value = serde_saphyr::from_str(document).unwrap();
                if document.get("kind").is_some() {
                    whole += u32::from(is_valid(&document, &place));
                } else if place.contains("docs/model-registry") && document.get("spec").is_some() {
                    // A part of a registry: what it leaves out is filled in.
                    let mut spec = document["spec"].clone();
                    let fields = spec.as_object_mut().unwrap();
                    fields
                        .entry("rest")
                        .or_insert_with(|| serde_json::json!({}));
                    let registry = serde_json::json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1",
                        "kind": "ModelRegistry", "metadata": {"name": "part", "namespace": "models"}, "spec": spec});
                    assert!(is_valid(&registry, &place));
                    parts += 1;
                }
            }
        }
    }
    assert!(whole >= 2 && parts >= 4, "{whole} resources, {parts} parts");
}

#[test]
fn every_resource_among_the_samples_is_valid() {
    let mut count = 0;
    for file in files(&root().join("samples"), ".yaml") {
        let text = fs::read_to_string(&file).unwrap();
        let place = file.display().to_string();
        // Patches are parts of resources, which the tests of samples apply as a whole.
        let folder = file.parent().unwrap();
        let kustomization =
            fs::read_to_string(folder.join("kustomization.yaml")).unwrap_or_default();
        let name = file.file_name().unwrap().to_str().unwrap();
        if kustomization.contains(&format!("path: {name}")) {
            continue;
        }
        for document in documents::read(&text, &place).unwrap_or_default() {
            count += u32::from(is_valid(&document, &place));
        }
    }
    assert!(count >= 3, "{count} resources");
}
