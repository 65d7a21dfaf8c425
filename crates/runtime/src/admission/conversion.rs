//! ConversionReview: every object in the version asked for.

use serde::Deserialize;
use serde_json::{Value, json};

use super::head;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    #[serde(rename = "desiredAPIVersion")]
    desired: String,
    #[serde(default)]
    objects: Vec<Value>,
}

/// Answers a review: every object in the version asked for, in the order of the question, or a
/// sentence about the first that has none.
///
/// # Errors
/// The text is no ConversionReview: a sentence for the log of the API server.
pub(super) fn answer(
    review: &[u8],
    convert: impl Fn(Value, &str) -> Result<Value, String>,
) -> Result<Value, String> {
    let (version, asked) = head::read::<Asked>(review, "ConversionReview", "apiextensions.k8s.io")?;
    let Asked {
        uid,
        desired,
        objects,
    } = asked;
    let converted: Result<Vec<Value>, String> = objects
        .into_iter()
        .map(|object| convert(object, &desired))
        .collect();
    let response = match converted {
        Ok(objects) => {
            json!({"uid": uid, "convertedObjects": objects, "result": {"status": "Success"}})
        }
        Err(message) => json!({"uid": uid, "result": {"status": "Failure", "message": message}}),
    };
    Ok(json!({"apiVersion": version, "kind": "ConversionReview", "response": response}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(version: &str, objects: &Value) -> Vec<u8> {
        let request = json!({"uid": "u", "desiredAPIVersion": "g/v2", "objects": objects});
        json!({"apiVersion": version, "kind": "ConversionReview", "request": request})
            .to_string()
            .into_bytes()
    }

    fn relabel(mut object: Value, version: &str) -> Result<Value, String> {
        if object["bad"] == true {
            return Err("it is bad".into());
        }
        object["apiVersion"] = version.into();
        Ok(object)
    }

    #[test]
    fn all_objects_come_back_in_order_in_the_version_of_the_question() {
        for version in ["apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1"] {
            let asked = review(version, &json!([{"n": 1}, {"n": 2}]));
            assert_eq!(
                answer(&asked, relabel).unwrap(),
                json!({"apiVersion": version, "kind": "ConversionReview", "response": {
                    "uid": "u", "result": {"status": "Success"},
                    "convertedObjects": [{"n": 1, "apiVersion": "g/v2"}, {"n": 2, "apiVersion": "g/v2"}],
                }})
            );
        }
    }

    #[test]
    fn one_that_has_no_other_version_fails_all() {
        let asked = review("apiextensions.k8s.io/v1", &json!([{"n": 1}, {"bad": true}]));
        assert_eq!(
            answer(&asked, relabel).unwrap()["response"],
            json!({"uid": "u", "result": {"status": "Failure", "message": "it is bad"}})
        );
    }

    #[test]
    fn what_is_no_review_gets_a_sentence() {
        assert!(answer(b"[]", relabel).is_err());
        let other = json!({"apiVersion": "v1", "kind": "Pod"}).to_string();
        assert!(answer(other.as_bytes(), relabel).is_err());
    }
}
