//! The tables of values in the READMEs of charts, made of the comments in their `values.yaml`.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context as _, Result, bail};
use helm_render::Chart;
use serde_json::{Map, Value};

use crate::steps::root;

const CHARTS: [&str; 1] = ["charts/mlflow"];
const START: &str = "<!-- values: made by `cargo xtask codegen` from values.yaml -->\n";
const END: &str = "<!-- end of values -->\n";

/// The README of each chart with its table as it should be.
pub(crate) fn readmes() -> Result<Vec<(String, String)>> {
    CHARTS.into_iter().map(readme).collect()
}

fn readme(chart: &str) -> Result<(String, String)> {
    let directory = root().join(chart);
    let defaults = Chart::from_directory(&directory)?.defaults().clone();
    let read = |file: &str| {
        let path = directory.join(file);
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    let table = table(&read("values.yaml")?, &defaults).with_context(|| chart.to_owned())?;
    let text = read("README.md")?;
    let (before, rest) = text
        .split_once(START)
        .context("README.md has no mark of values")?;
    let (_, after) = rest
        .split_once(END)
        .context("README.md has no mark of their end")?;
    Ok((
        format!("{chart}/README.md"),
        format!("{before}{START}{table}{END}{after}"),
    ))
}

/// A row for each field with a comment above it. What is below such a field belongs to it.
fn table(values: &str, defaults: &Map<String, Value>) -> Result<String> {
    let mut table = String::from("\n| value | default | what it is |\n|---|---|---|\n");
    let mut comment = Vec::new();
    // Fields above the line at hand, with their indents.
    let mut path: Vec<(usize, &str)> = Vec::new();
    let mut described: Option<usize> = None;
    for line in values.lines() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if described.is_some_and(|field| indent > field) && !line.is_empty() {
            continue;
        }
        if let Some(words) = line.strip_prefix("# ") {
            comment.push(words);
            continue;
        }
        let Some((key, _)) = line.split_once(':').filter(|_| !line.starts_with('-')) else {
            comment.clear();
            continue;
        };
        path.retain(|(above, _)| *above < indent);
        path.push((indent, key));
        described = None;
        let name = path
            .iter()
            .map(|(_, key)| *key)
            .collect::<Vec<_>>()
            .join(".");
        let keys = path.iter().map(|(_, key)| *key).collect::<Vec<_>>();
        let default = lookup(defaults, &keys).with_context(|| name.clone())?;
        if comment.is_empty() {
            if !default.is_object() {
                bail!("{name} has no comment in values.yaml");
            }
            continue;
        }
        described = Some(indent);
        let words = comment.join(" ").replace('|', "\\|");
        let _ = writeln!(table, "| `{name}` | {} | {words} |", shown(default));
        comment.clear();
    }
    table.push('\n');
    Ok(table)
}

fn lookup<'a>(defaults: &'a Map<String, Value>, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(defaults.get(*first)?, |value, key| value.get(key))
}

fn shown(default: &Value) -> String {
    match default {
        Value::Null => "unset".to_owned(),
        Value::String(text) if text.is_empty() => "empty".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_comment() {
        let values = "# About the file.\n\n# How many,\n# at least\nreplicas: 1\nimage:\n  # Where\n  name: x\n  # Tag | none\n  tag: \"\"\n# All of it\nresources:\n  limits:\n    cpu: 1\nlast: {}\n";
        let defaults = json!({
            "replicas": 1, "image": {"name": "x", "tag": ""}, "resources": {"limits": {"cpu": 1}},
            "last": {},
        });
        let defaults = defaults.as_object().unwrap();
        assert_eq!(
            table(values, defaults).unwrap(),
            "\n| value | default | what it is |\n|---|---|---|\n\
             | `replicas` | `1` | How many, at least |\n\
             | `image.name` | `x` | Where |\n\
             | `image.tag` | empty | Tag \\| none |\n\
             | `resources` | `{\"limits\":{\"cpu\":1}}` | All of it |\n\n"
        );
        let error = table("a: 1\n", json!({"a": 1}).as_object().unwrap()).unwrap_err();
        assert!(error.to_string().contains("a has no comment"), "{error}");
    }
}
