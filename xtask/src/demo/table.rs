//! What came of each sample, as a table for people.

use std::time::Duration;

use serde::Serialize;

/// One resource at the end.
#[derive(Clone, Serialize, Debug, PartialEq)]
pub(super) struct Line {
    /// The sample that it is of.
    pub(super) sample: &'static str,
    pub(super) kind: String,
    /// Absent for a kind that is in none.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    pub(super) available: bool,
    pub(super) url: Option<String>,
    /// From its creation to its answer.
    pub(super) seconds: f64,
    /// What its condition said last.
    pub(super) message: String,
}

const TITLES: [&str; 7] = [
    "SAMPLE",
    "KIND",
    "NAME",
    "NAMESPACE",
    "AVAILABLE",
    "URL",
    "SECONDS",
];

impl Line {
    fn cells(&self) -> [String; TITLES.len()] {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            self.sample.to_owned(),
            self.kind.clone(),
            self.name.clone(),
            or_dash(&self.namespace),
            if self.available {
                "True".to_owned()
            } else {
                format!("False: {}", self.message)
            },
            or_dash(&self.url),
            format!("{:.1}", self.seconds),
        ]
    }
}

/// Seconds with one digit, which is as exact as the look at a resource.
pub(super) fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

/// A row for each resource.
pub(super) fn table(lines: &[Line]) -> String {
    let mut rows = vec![TITLES.map(str::to_owned)];
    rows.extend(lines.iter().map(Line::cells));
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(String::len)
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..TITLES.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lines_up() {
        let line = |name: &str, available: bool| Line {
            sample: "pvc",
            kind: "ModelRegistry".to_owned(),
            namespace: available.then(|| "demo".to_owned()),
            name: name.to_owned(),
            available,
            url: available.then(|| "https://a".to_owned()),
            seconds: 2.04,
            message: "no".to_owned(),
        };
        assert_eq!(
            table(&[line("a", true), line("longer", false)]),
            "SAMPLE  KIND           NAME    NAMESPACE  AVAILABLE  URL        SECONDS\n\
             pvc     ModelRegistry  a       demo       True       https://a  2.0\n\
             pvc     ModelRegistry  longer  -          False: no  -          2.0\n"
        );
    }

    #[test]
    fn seconds_have_one_digit() {
        assert_eq!(rounded(Duration::from_millis(2_040)).to_string(), "2");
        assert_eq!(rounded(Duration::from_millis(2_060)).to_string(), "2.1");
    }
}
