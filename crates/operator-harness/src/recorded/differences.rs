//! A file of differences: what is meant to differ from the Go operator.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

/// What the file lists.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Differences {
    /// Lists of cases by name, for entries that hold for many.
    groups: BTreeMap<String, Vec<String>>,
    differences: Vec<Entry>,
}

/// One difference.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Cases, or names of groups.
    cases: Vec<String>,
    /// Kind and name of the objects, the resource's name as `NAME`.
    objects: Vec<String>,
    /// Where in the object. Empty: the object is there in one of the two only.
    path: String,
    reason: String,
}

/// A place in which a planned object differs from the recorded one.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The case.
    pub case: String,
    /// Kind and name of the object.
    pub object: String,
    /// Where in the object.
    pub path: String,
    /// What stands there on both sides, for the report.
    pub values: String,
}

impl Differences {
    /// Reads the file.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).expect("a file of differences");
        serde_saphyr::from_str(&text).expect("differences")
    }

    /// What is found and not listed, and what is listed and not found: empty when all is as listed.
    pub fn check(&self, found: &BTreeSet<Found>) -> String {
        let mut listed = BTreeSet::new();
        let mut report = String::new();
        for Entry {
            cases,
            objects,
            path,
            reason,
        } in &self.differences
        {
            let texts = cases.iter().chain(objects).chain([path]);
            if let Some(text) = texts.clone().find(|text| text.contains('*')) {
                let _ = writeln!(report, "a wildcard: {text}");
            }
            assert!(!reason.trim().is_empty(), "{path}: no reason");
            for case in self.expand(cases) {
                for object in objects {
                    if !listed.insert((case.clone(), object.clone(), path.clone())) {
                        let _ = writeln!(report, "listed twice: {case}: {object}: {path}");
                    }
                }
            }
        }
        let places: BTreeMap<_, _> = found
            .iter()
            .map(|f| {
                (
                    (f.case.clone(), f.object.clone(), f.path.clone()),
                    &f.values,
                )
            })
            .collect();
        for (place, values) in places.iter().filter(|(place, _)| !listed.contains(*place)) {
            let _ = writeln!(
                report,
                "not listed: {}: {}: {}{values}",
                place.0, place.1, place.2
            );
        }
        for place in listed.iter().filter(|place| !places.contains_key(*place)) {
            let _ = writeln!(
                report,
                "listed and not found: {}: {}: {}",
                place.0, place.1, place.2
            );
        }
        report
    }

    fn expand(&self, cases: &[String]) -> Vec<String> {
        cases
            .iter()
            .flat_map(|case| self.groups.get(case).cloned().unwrap_or(vec![case.clone()]))
            .collect()
    }
}
