//! What is wrong with a configuration.

/// A setting that cannot be used: which, what it is, why not, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}{}: {problem}. {remedy}", .value.as_ref().map(|value| format!(" is `{value}`")).unwrap_or_default())]
pub struct Error {
    /// The flag, file or key.
    pub field: String,
    /// What it says; `None` where it says nothing or is a secret.
    pub value: Option<String>,
    /// Why that does not do.
    pub problem: String,
    /// What to do about it, as one sentence.
    pub remedy: String,
}

impl Error {
    /// Something that has to be there and is not.
    pub(crate) fn missing(field: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            value: None,
            problem: "not set".to_owned(),
            remedy: remedy.into(),
        }
    }

    /// Something that is there and wrong.
    pub(crate) fn wrong(
        field: impl Into<String>,
        value: impl std::fmt::Display,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            value: Some(value.to_string()),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}
