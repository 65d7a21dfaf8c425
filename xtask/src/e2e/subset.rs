//! Whether an object is as a file of a test says, which says a part of it: as kuttl decides it.

use std::fmt;

use serde_json::Value;

/// The first place where an object is not as wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// A JSON pointer into the object; empty for the object itself.
    path: String,
    wanted: String,
    found: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "/"
        } else {
            &self.path
        };
        write!(f, "{path}: {} is wanted, found {}", self.wanted, self.found)
    }
}

/// Compares what is wanted with what is found, in the order of the wanted text. A map may have more
/// members than wanted; a list has the same length, and is compared item by item.
pub(super) fn difference(wanted: &Value, found: &Value) -> Option<Difference> {
    at("", wanted, found)
}

fn at(path: &str, wanted: &Value, found: &Value) -> Option<Difference> {
    let differs = |wanted: String, found: String| {
        Some(Difference {
            path: path.to_owned(),
            wanted,
            found,
        })
    };
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(key, value)| {
            let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
            match found.get(key) {
                Some(found) => at(&path, value, found),
                None => Some(Difference {
                    path,
                    wanted: value.to_string(),
                    found: "nothing".to_owned(),
                }),
            }
        }),
        (Value::Array(wanted), Value::Array(found)) if wanted.len() != found.len() => differs(
            format!("a list of {}", wanted.len()),
            format!("{}: {}", found.len(), Value::from(found.clone())),
        ),
        (Value::Array(wanted), Value::Array(found)) => {
            let mut pairs = wanted.iter().zip(found).enumerate();
            pairs.find_map(|(index, (wanted, found))| at(&format!("{path}/{index}"), wanted, found))
        }
        (wanted, found) if wanted == found => None,
        (wanted, found) => differs(wanted.to_string(), found.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(wanted: &Value, found: &Value) -> String {
        difference(wanted, found).map_or_else(String::new, |difference| difference.to_string())
    }

    #[test]
    fn an_object_may_have_more() {
        let found = json!({"status": {"phase": "Ready", "replicas": 1}, "spec": {"a": [1, 2]}});
        for wanted in [
            json!({}),
            json!({"status": {}}),
            json!({"status": {"phase": "Ready"}}),
            json!({"spec": {"a": [1, 2]}}),
            found.clone(),
        ] {
            assert_eq!(difference(&wanted, &found), None, "{wanted}");
        }
    }

    #[test]
    fn the_first_difference_is_named_with_its_path() {
        let found = json!({"metadata": {"labels": {"a/b": "c"}}, "status": {"phase": "Pending"},
            "list": [{"a": 1, "b": 2}, {"a": 3}]});
        for (wanted, said) in [
            (
                json!({"status": {"phase": "Ready"}}),
                r#"/status/phase: "Ready" is wanted, found "Pending""#,
            ),
            (
                json!({"status": {"ready": true}}),
                "/status/ready: true is wanted, found nothing",
            ),
            (
                json!({"metadata": {"labels": {"a/b": "d"}}}),
                r#"/metadata/labels/a~1b: "d" is wanted, found "c""#,
            ),
            (
                json!({"list": [{"a": 1}, {"a": 4}]}),
                "/list/1/a: 4 is wanted, found 3",
            ),
            (
                json!({"status": ["Ready"]}),
                r#"/status: ["Ready"] is wanted, found {"phase":"Pending"}"#,
            ),
            (
                json!({"list": [{"a": 1}]}),
                r#"/list: a list of 1 is wanted, found 2: [{"a":1,"b":2},{"a":3}]"#,
            ),
            (json!("x"), &format!(r#"/: "x" is wanted, found {found}"#)),
        ] {
            assert_eq!(text(&wanted, &found), said);
        }
    }

    #[test]
    fn what_is_wanted_as_null_is_not_just_missing() {
        assert_eq!(
            text(&json!({"a": null}), &json!({})),
            "/a: null is wanted, found nothing"
        );
        assert_eq!(difference(&json!({"a": null}), &json!({"a": null})), None);
        assert_eq!(
            text(&json!([]), &json!([1])),
            "/: a list of 0 is wanted, found 1: [1]"
        );
    }

    #[test]
    fn a_number_is_no_text() {
        assert_eq!(
            text(&json!({"port": "8080"}), &json!({"port": 8080})),
            r#"/port: "8080" is wanted, found 8080"#
        );
    }
}
