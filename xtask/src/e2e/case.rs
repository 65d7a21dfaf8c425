//! A test as files: the layout of kuttl.
//!
//! A suite is a folder with `kuttl-test.yaml` and a folder for each test. A test has files `NN-WORD…`
//! and one step for each number: `NN-assert.yaml` says what must come true, `NN-errors.yaml` what must
//! not be, and every other file what is applied.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use kube::api::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

/// How long a step may take where no file says it; as kuttl has it.
const TIMEOUT: Duration = Duration::from_secs(30);
const GROUP: &str = "kuttl.dev/v1beta1";

/// One test: its steps in their order.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) steps: BTreeMap<u32, Step>,
}

/// What happens in one step: first what is deleted goes, then what is applied comes, then all that is
/// asserted holds at once.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) delete: Vec<Document>,
    pub(super) apply: Vec<Document>,
    pub(super) assert: Vec<Document>,
    pub(super) errors: Vec<Document>,
    pub(super) timeout: Duration,
}

/// An object, or a part of one, and the file that it stands in.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) file: PathBuf,
    /// As written.
    pub(super) value: Value,
    /// The same as an object of its kind.
    pub(super) object: DynamicObject,
}

impl Document {
    fn new(file: &Path, value: Value) -> Result<Self> {
        let object: DynamicObject = serde_json::from_value(value.clone())?;
        ensure!(
            object.types.is_some(),
            "a document has no apiVersion or no kind"
        );
        Ok(Self {
            file: file.to_owned(),
            value,
            object,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TestSuite {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    timeout: Option<u64>,
    #[serde(rename = "testDirs", default)]
    _test_dirs: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TestStep {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(default)]
    delete: Vec<Reference>,
    timeout: Option<u64>,
}

/// What a step deletes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Reference {
    api_version: String,
    kind: String,
    name: String,
    namespace: Option<String>,
}

/// Reads a suite.
pub(super) fn read(folder: &Path) -> Result<Vec<Case>> {
    let file = folder.join("kuttl-test.yaml");
    let suite: TestSuite =
        serde_saphyr::from_str(&text(&file)?).with_context(|| file.display().to_string())?;
    let timeout = suite.timeout.map_or(TIMEOUT, Duration::from_secs);
    let folders = sorted(folder)?.into_iter().filter(|path| path.is_dir());
    let cases: Vec<Case> = folders
        .map(|path| Case::read(&path, timeout))
        .collect::<Result<_>>()?;
    ensure!(!cases.is_empty(), "{} has no test", folder.display());
    Ok(cases)
}

impl Case {
    fn read(folder: &Path, timeout: Duration) -> Result<Self> {
        let mut steps = BTreeMap::new();
        for file in sorted(folder)? {
            let name = file_name(&file);
            let Some((number, word)) = step_of(name) else {
                bail!(
                    "{}: a file of a test is called NN-WORD.yaml, as 00-install.yaml",
                    file.display()
                );
            };
            let step = steps.entry(number).or_insert_with(|| Step::new(timeout));
            step.add(word, &file)
                .with_context(|| file.display().to_string())?;
        }
        ensure!(!steps.is_empty(), "{} has no step", folder.display());
        Ok(Self {
            name: file_name(folder).to_owned(),
            steps,
        })
    }
}

impl Step {
    fn new(timeout: Duration) -> Self {
        Self {
            delete: Vec::new(),
            apply: Vec::new(),
            assert: Vec::new(),
            errors: Vec::new(),
            timeout,
        }
    }

    fn add(&mut self, word: &str, file: &Path) -> Result<()> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text(file)?)?;
        for value in documents.into_iter().filter(|value| !value.is_null()) {
            if value
                .get("apiVersion")
                .is_some_and(|version| version == GROUP)
            {
                // What this runner does not do is an error, not ignored.
                let step: TestStep = serde_json::from_value(value)?;
                if let Some(seconds) = step.timeout {
                    self.timeout = Duration::from_secs(seconds);
                }
                for gone in step.delete {
                    self.delete.push(Document::new(file, gone.to_object())?);
                }
                continue;
            }
            let document = Document::new(file, value)?;
            match word {
                "assert" => self.assert.push(document),
                "errors" => self.errors.push(document),
                _ => {
                    let is_named = document.object.metadata.name.is_some();
                    ensure!(is_named, "a document has no metadata.name");
                    self.apply.push(document);
                }
            }
        }
        Ok(())
    }
}

impl Reference {
    fn to_object(&self) -> Value {
        let metadata = json!({"name": self.name, "namespace": self.namespace});
        json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": metadata})
    }
}

/// The number of the step that a file belongs to, and the word that says what it is for.
fn step_of(name: &str) -> Option<(u32, &str)> {
    let (number, rest) = name.strip_suffix(".yaml")?.split_once('-')?;
    let word = rest.split('-').next().filter(|word| !word.is_empty())?;
    Some((number.parse().ok()?, word))
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| folder.display().to_string())?;
    paths.sort();
    Ok(paths)
}

fn text(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| file.display().to_string())
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    const SUITE: (&str, &str) = (
        "kuttl-test.yaml",
        "{apiVersion: kuttl.dev/v1beta1, kind: TestSuite, timeout: 7}",
    );
    const OBJECT: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}";

    #[test]
    fn files_are_steps_by_their_numbers() {
        let step = "{apiVersion: kuttl.dev/v1beta1, kind: TestStep, timeout: 3,
            delete: [{apiVersion: v1, kind: ConfigMap, name: a}]}";
        let folder = suite(&[
            SUITE,
            ("one/00-install.yaml", &format!("{OBJECT}\n---\n{OBJECT}")),
            ("one/00-assert.yaml", "{apiVersion: v1, kind: ConfigMap}"),
            ("one/10-errors.yaml", OBJECT),
            ("one/2-delete-it.yaml", step),
        ]);
        let cases = read(folder.path()).unwrap();
        let [one] = cases.as_slice() else {
            panic!("{cases:?}")
        };
        assert_eq!(one.name, "one");
        let told: Vec<_> = one
            .steps
            .iter()
            .map(|(number, step)| {
                let lengths = [&step.delete, &step.apply, &step.assert, &step.errors].map(Vec::len);
                (*number, lengths, step.timeout.as_secs())
            })
            .collect();
        assert_eq!(
            told,
            [
                (0, [0, 2, 1, 0], 7),
                (2, [1, 0, 0, 0], 3),
                (10, [0, 0, 0, 1], 7)
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_the_file() {
        for (name, text, said) in [
            ("one/install.yaml", OBJECT, "00-install.yaml"),
            ("one/00-install.yaml", "{kind: ConfigMap}", "apiVersion"),
            (
                "one/00-install.yaml",
                "{apiVersion: v1, kind: ConfigMap}",
                "metadata.name",
            ),
            (
                "one/00-install.yaml",
                "{apiVersion: kuttl.dev/v1beta1, kind: TestStep, commands: []}",
                "commands",
            ),
        ] {
            let folder = suite(&[SUITE, (name, text)]);
            let error = format!("{:#}", read(folder.path()).unwrap_err());
            assert!(error.contains(name) && error.contains(said), "{error}");
        }
        let empty = suite(&[SUITE]);
        let error = format!("{:#}", read(empty.path()).unwrap_err());
        assert!(error.contains("has no test"), "{error}");
    }
}
