//! YAML and JSON text to documents and back.

use serde::Serialize;
use serde_json::Value;

/// Text that is not the documents it should be.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It is not YAML.
    #[error("{source_name}: {message}")]
    Syntax {
        /// File, or `standard input`.
        source_name: String,
        /// What is wrong, and where.
        message: String,
    },
    /// A document is not an object of Kubernetes.
    #[error("{source_name}: document {number} has no {field}")]
    NoObject {
        /// File, or `standard input`.
        source_name: String,
        /// Counted from 1, without empty documents.
        number: usize,
        /// `apiVersion`, `kind` or `metadata.name`.
        field: &'static str,
    },
    /// A value cannot be written as YAML.
    #[error("a document cannot be written: {0}")]
    Write(String),
}

/// The objects in `text`: YAML or JSON, one or many documents, and what a `List` holds.
///
/// Scalars are read as `kubectl` reads them (YAML 1.1): `yes` is true and `0644` is octal.
pub fn read(text: &str, source_name: &str) -> Result<Vec<Value>, DocumentError> {
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        strict_booleans: false,
        // The error is one sentence with line and column, not a picture of several lines.
        with_snippet: false,
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            DocumentError::Syntax {
                source_name: source_name.to_owned(),
                message: error.to_string(),
            }
        })?;
    let mut objects = Vec::new();
    for (index, document) in documents.into_iter().filter(|d| !d.is_null()).enumerate() {
        let missing = |field| DocumentError::NoObject {
            source_name: source_name.to_owned(),
            number: index + 1,
            field,
        };
        let is_list = text_at(&document, "/kind").is_some_and(|kind| kind.ends_with("List"));
        let members = match document {
            Value::Object(mut list)
                if is_list && list.get("items").is_some_and(Value::is_array) =>
            {
                match list.remove("items") {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                }
            }
            document => vec![document],
        };
        for member in members {
            for (field, pointer) in [
                ("apiVersion", "/apiVersion"),
                ("kind", "/kind"),
                ("metadata.name", "/metadata/name"),
            ] {
                if text_at(&member, pointer).is_none_or(str::is_empty) {
                    return Err(missing(field));
                }
            }
            objects.push(member);
        }
    }
    Ok(objects)
}

/// One YAML document without a marker. Strings that a reader of YAML 1.1 would take for
/// something else (`yes`, `0755`, `1:30`, `2024-01-01`) are quoted.
pub fn write<T: Serialize>(value: &T) -> Result<String, DocumentError> {
    // Folding would put line breaks into long values.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| DocumentError::Write(error.to_string()))
}

fn text_at<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_documents_lists_comments_and_json() {
        let text = "# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a}\n---\n---\n\
            {\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\
            {\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"b\"}}]}\n";
        let names: Vec<_> = read(text, "f")
            .unwrap()
            .iter()
            .map(|d| d["metadata"]["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a", "b"]);
    }

    #[test]
    fn an_error_is_one_line_with_its_place() {
        for text in ["a: 1\nb: [1,\nc: {\n", "a: 1\n\tb: 2\n", "a: 'x\n"] {
            let error = read(text, "f.yaml").unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{error}");
            assert!(
                error.starts_with("f.yaml: ")
                    && error.contains("line ")
                    && error.contains("column "),
                "{error}"
            );
        }
    }

    #[test]
    fn scalars_are_read_as_kubectl_reads_them() {
        let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nmode: 0644\nflag: yes\nquoted: \"yes\"\n";
        let document = &read(text, "f").unwrap()[0];
        assert_eq!(
            (&document["mode"], &document["flag"], &document["quoted"]),
            (&json!(0o644), &json!(true), &json!("yes"))
        );
    }

    #[test]
    fn what_is_not_an_object_is_named() {
        let error = |text: &str| read(text, "f.yaml").unwrap_err().to_string();
        assert_eq!(
            error("kind: A\nmetadata: {name: a}"),
            "f.yaml: document 1 has no apiVersion"
        );
        assert_eq!(
            error("apiVersion: v1\nkind: A\nmetadata: {name: y}"),
            "f.yaml: document 1 has no metadata.name"
        );
        assert!(error("a: [").starts_with("f.yaml: "));
        assert!(
            error("a: 1\na: 2").starts_with("f.yaml: "),
            "a key given twice is a mistake"
        );
    }

    /// Plain scalars that YAML 1.1 or 1.2 takes for something other than the string.
    const TRICKY: &[&str] = &[
        "y",
        "Y",
        "n",
        "yes",
        "No",
        "on",
        "OFF",
        "true",
        "False",
        "null",
        "~",
        "",
        "2024",
        "0755",
        "0o17",
        "0x1F",
        "0b1",
        "1_000",
        "1e3",
        "1.",
        ".5",
        ".inf",
        ".NaN",
        "1:30",
        "190:20:30",
        "2024-01-01",
        "2001-12-14t21:59:43.10-05:00",
        "=",
        "<<",
        "- a",
        "a: b",
        "a #b",
        " a",
        "a ",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "a\nb",
        "a\n",
        "\n a",
        "\ta",
        "a\tb",
        "'",
        "\"",
        "\\",
        "|",
        ">",
        "{a}",
        "[a]",
        ",",
        "?",
        "? a",
        "---",
        "...",
        "\u{85}",
        "\u{2028}",
        "\u{feff}",
        "\u{7f}",
        "a\r\nb",
        "\u{1f600}",
        "+1",
        "-0",
        "0",
        "12e03",
        "0.1",
        "NULL",
    ];

    #[test]
    fn strings_survive_and_are_never_plain_where_yaml_1_1_reads_something_else() {
        for text in TRICKY {
            let written = write(&json!({ "k": text, *text: "v", "l": [text] })).unwrap();
            let read: Value = serde_saphyr::from_str(&written).unwrap();
            assert_eq!(
                read,
                json!({ "k": text, *text: "v", "l": [text] }),
                "{written}"
            );
            let plain = format!("k: {text}\n");
            // Characters like any other in a plain scalar.
            let harmless = ["\\", "\u{1f600}"];
            assert!(
                harmless.contains(text) || !written.contains(&plain),
                "{text:?} is plain in {written}"
            );
        }
    }

    #[test]
    fn long_values_stay_on_one_line() {
        let long = "word ".repeat(60);
        assert_eq!(
            write(&json!({ "k": long.trim() })).unwrap().lines().count(),
            1
        );
    }
}
