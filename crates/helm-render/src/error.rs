use std::path::PathBuf;

/// Where an action of a template stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, as the chart names it: `templates/deployment.yaml`.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What that line says, without the spaces around it.
    pub source: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, source } = self;
        write!(out, "{file}:{line}: in `{source}`")
    }
}

/// Why a chart could not be loaded, or not be rendered with these values.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the chart could not be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The chart lacks a file or a field that every chart has, or has one that is not supported.
    #[error("{file}: {message}")]
    Chart {
        /// The file or directory, as the chart names it.
        file: String,
        /// What is wrong and what to do.
        message: String,
    },
    /// A file is not YAML: one of the chart's, a file of values, or what a template rendered.
    #[error("{file}:{line}: {message}")]
    Yaml {
        /// The file; for a rendered one with the word `rendered`.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the reader says.
        message: String,
    },
    /// A template is not in the template language.
    #[error("{file}:{line}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A template uses a function or a method that Helm has and this crate has not.
    #[error("{place}: {what} is not supported{hint}")]
    Unsupported {
        /// The action.
        place: Place,
        /// The function or method.
        what: String,
        /// What to use instead, with its punctuation; empty where there is nothing.
        hint: &'static str,
    },
    /// The values do not fit `values.schema.json`.
    #[error("the values do not fit values.schema.json: {}", .0.join("; "))]
    Schema(Vec<String>),
    /// A template failed with these values, or asked to fail.
    #[error("{place}: {message}")]
    Template {
        /// The action that failed.
        place: Place,
        /// The value's path and what is wrong with it, or the text that `fail` was given.
        message: String,
    },
    /// A template rendered something that is no Kubernetes object.
    #[error("{file}: {message}")]
    Object {
        /// The template.
        file: String,
        /// What is wrong with it.
        message: String,
    },
}
