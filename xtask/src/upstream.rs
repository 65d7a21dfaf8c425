//! The black-box cases of the Go operators' tests, and which tests of ours show the same.
//!
//! Each operator crate has a table, `tests/upstream.yaml`: files of the Go operator, the cases in
//! them, and for each case at least one test, as `PATH::FUNCTION` with the path from the crate's
//! `tests` folder. A case without a test is a failure, and so is a test that is not there, here or on
//! one of the pages that name tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::steps::root;

/// Name of a crate's table.
const TABLE: &str = "tests/upstream.yaml";
/// Pages that name tests: in each line of their tables, the last column.
const PAGES: [&str; 2] = ["docs/async-upload/tests.md", "docs/mlflow/tests.md"];

/// One file of the Go operator.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    /// Its path in the Go operator's repository.
    file: String,
    /// Why a case is shown in another way than the Go operator's test does.
    #[serde(default)]
    note: Option<String>,
    /// Its cases, and the tests that show each.
    cases: BTreeMap<String, Vec<String>>,
}

/// Checks the tables of all crates.
pub(crate) fn check() -> Result<()> {
    let mut tables = 0;
    let mut found = Vec::new();
    let mut count = 0;
    for entry in fs::read_dir(root().join("crates")).context("reading crates")? {
        let krate = entry.context("reading crates")?.path();
        let table = krate.join(TABLE);
        if !table.is_file() {
            continue;
        }
        tables += 1;
        let text = fs::read_to_string(&table).with_context(|| table.display().to_string())?;
        let (cases, wrong) =
            defects(&text, &krate.join("tests")).with_context(|| table.display().to_string())?;
        count += cases;
        let named = |defect| format!("{}: {defect}", krate.join(TABLE).display());
        found.extend(wrong.into_iter().map(named));
    }
    if tables == 0 {
        bail!("no crate has a {TABLE}");
    }
    let sources = sources(&root().join("crates"))?;
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).context(page)?;
        let wrong = strangers(&text, &sources).into_iter();
        found.extend(wrong.map(|defect| format!("{page}: {defect}")));
    }
    if !found.is_empty() {
        bail!("{}", found.join("\n"));
    }
    eprintln!("{count} cases of the Go operators are shown by tests");
    Ok(())
}

/// The number of cases, and what is wrong with the table.
fn defects(table: &str, tests: &Path) -> Result<(usize, Vec<String>)> {
    let files: Vec<Suite> = serde_saphyr::from_str(table)?;
    let mut sources: BTreeMap<PathBuf, Option<String>> = BTreeMap::new();
    let mut found = Vec::new();
    let mut count = 0;
    for Suite { file, note, cases } in files {
        if cases.is_empty() {
            found.push(format!("{file}: no case"));
        }
        if note.is_some_and(|note| note.trim().is_empty()) {
            found.push(format!("{file}: an empty note"));
        }
        for (case, shown_by) in cases {
            count += 1;
            if shown_by.is_empty() {
                found.push(format!("{file}: {case}: no test"));
            }
            for test in shown_by {
                let Some((path, function)) = test.split_once("::") else {
                    found.push(format!("{file}: {case}: {test} is not PATH::FUNCTION"));
                    continue;
                };
                let path = tests.join(path);
                let source = sources
                    .entry(path.clone())
                    .or_insert_with(|| fs::read_to_string(&path).ok());
                match source {
                    None => found.push(format!("{file}: {case}: {} is not there", path.display())),
                    Some(source) if !has_test(source, function) => {
                        found.push(format!("{file}: {case}: {test} is no test"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    Ok((count, found))
}

/// Every Rust source below a folder.
fn sources(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.context("reading crates")?.path();
        if path.is_dir() {
            found.append(&mut sources(&path)?);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            found.push(text);
        }
    }
    Ok(found)
}

/// What the tables of a page name in their last column that is no test. Their heads are lines, too.
fn strangers(page: &str, sources: &[String]) -> Vec<String> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let last = rows.filter_map(|row| row.trim_end_matches(" |").rsplit_once("| "));
    let last = last.map(|(_, last)| last);
    let lines: Vec<&str> = last
        .filter(|last| !["test", "here"].contains(last))
        .collect();
    if lines.is_empty() {
        return vec!["no line of a table".to_owned()];
    }
    let names = lines.into_iter().flat_map(|line| line.split(", "));
    names
        .filter(|name| {
            let is_test = |name| sources.iter().any(|source| has_test(source, name));
            !name
                .strip_prefix('`')
                .and_then(|name| name.strip_suffix('`'))
                .is_some_and(is_test)
        })
        .map(|name| format!("{name} is no test"))
        .collect()
}

/// Whether a source has a function of this name with an attribute that makes it a test.
fn has_test(source: &str, name: &str) -> bool {
    let head = format!("fn {name}(");
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let is_function = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .starts_with(&head);
        is_function
            && lines
                .iter()
                .take(at)
                .rev()
                .take_while(|line| !line.is_empty() && **line != "}")
                .any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/// What it shows.
#[tokio::test(flavor = \"multi_thread\")]
#[ignore = \"slow\"]
async fn shown() {
}

fn helper() {}

// fn commented() {}
#[test]
fn plain() {}
";

    #[test]
    fn only_functions_with_the_attribute_are_tests() {
        for (name, is_test) in [
            ("shown", true),
            ("plain", true),
            ("helper", false),
            ("commented", false),
            ("show", false),
            ("absent", false),
        ] {
            assert_eq!(has_test(SOURCE, name), is_test, "{name}");
        }
    }

    #[test]
    fn a_page_names_tests_alone() {
        let sources = [SOURCE.to_owned()];
        let page = "| | there | here |\n|---|---|---|\n| 1 | a | `shown`, `plain` |\n";
        assert_eq!(strangers(page, &sources), Vec::<String>::new());
        let wrong = format!("{page}| 2 | a | `helper`, shown |\n| 3 | b | |\n");
        assert_eq!(strangers(&wrong, &sources).len(), 3);
        assert_eq!(strangers("no table", &sources).len(), 1);
    }

    #[test]
    fn a_case_without_a_test_and_a_test_that_is_not_there_are_found() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("upstream-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("a.rs"), SOURCE)?;
        let table = "\
- file: x_test.go
  cases:
    fine: ['a.rs::shown', 'a.rs::plain']
    nothing: []
    helper: ['a.rs::helper']
    no file: ['b.rs::shown']
    no path: [shown]
- file: y_test.go
  note: ''
  cases: {}
";
        let (count, found) = defects(table, &folder)?;
        fs::remove_dir_all(&folder)?;
        assert_eq!(count, 5);
        assert_eq!(found.len(), 6, "{found:#?}");
        assert!(defects("- file: z", &folder).is_err(), "cases are required");
        Ok(())
    }
}
