//! `values.schema.json`: what values may be.

use jsonschema::Validator;
use serde_json::Value;

use crate::error::Error;

/// How many violations are told: one wrong indent can break them all.
const TOLD: usize = 10;

/// A schema of values, compiled.
pub(crate) struct Schema(Validator);

impl Schema {
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let wrong = |message: String| Error::Chart {
            file: file.to_owned(),
            message,
        };
        let schema: Value = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let validator = jsonschema::validator_for(&schema);
        validator
            .map(Self)
            .map_err(|error| wrong(error.to_string()))
    }

    /// Checks values that have been coalesced. A violation names the path and what the schema asks
    /// for, and not the value, which may be a password.
    pub(crate) fn check(&self, values: &Value) -> Result<(), Error> {
        let violations: Vec<_> = self
            .0
            .iter_errors(values)
            .take(TOLD)
            .map(|error| {
                let path = error
                    .instance_path()
                    .as_str()
                    .trim_start_matches('/')
                    .replace('/', ".");
                let path = if path.is_empty() {
                    "the values".to_owned()
                } else {
                    path
                };
                format!("{path}: {}", error.masked_with("the value"))
            })
            .collect();
        if violations.is_empty() {
            return Ok(());
        }
        Err(Error::Schema(violations))
    }
}
