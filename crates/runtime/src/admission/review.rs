//! AdmissionReview: whether an object may be stored, and in which form.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Operation, Refusal, Request, head};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    uid: String,
    operation: String,
    #[serde(default)]
    object: Value,
    #[serde(default)]
    old_object: Value,
}

/// What is decided about a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// The object as it should be stored, where defaulting was asked for.
    pub(super) object: Option<Value>,
    /// Sentences for whoever sent it.
    pub(super) warnings: Vec<String>,
}

/// Answers a review. `decide` is asked about objects that are created or changed and not being
/// deleted; everything else passes.
///
/// # Errors
/// The text is no AdmissionReview: a sentence for the log of the API server.
pub(super) fn answer(
    review: &[u8],
    decide: impl FnOnce(&Request) -> Result<Verdict, Refusal>,
) -> Result<Value, String> {
    let (version, asked) = head::read::<Asked>(review, "AdmissionReview", "admission.k8s.io")?;
    let operation = match asked.operation.as_str() {
        "CREATE" => Some(Operation::Create),
        "UPDATE" => Some(Operation::Update),
        _ => None,
    };
    let deleted = asked.object.pointer("/metadata/deletionTimestamp");
    let response = match operation.filter(|_| deleted.is_none_or(Value::is_null)) {
        None => json!({"uid": asked.uid, "allowed": true}),
        Some(operation) => {
            let request = Request {
                operation,
                object: asked.object,
                old: Some(asked.old_object).filter(|old| !old.is_null()),
            };
            let decided = decide(&request);
            response(&asked.uid, &request.object, decided)
        }
    };
    Ok(json!({"apiVersion": version, "kind": "AdmissionReview", "response": response}))
}

fn response(uid: &str, object: &Value, decided: Result<Verdict, Refusal>) -> Value {
    let verdict = match decided {
        Ok(verdict) => verdict,
        Err(Refusal { code, message }) => {
            let reason = if code == 403 {
                "Forbidden"
            } else {
                "BadRequest"
            };
            return json!({"uid": uid, "allowed": false, "status": {
                "status": "Failure", "message": message, "reason": reason, "code": code,
            }});
        }
    };
    let mut response = json!({"uid": uid, "allowed": true});
    if let Some(fields) = response.as_object_mut() {
        if !verdict.warnings.is_empty() {
            fields.insert("warnings".to_owned(), verdict.warnings.into());
        }
        let patch = verdict.object.map(|new| json_patch::diff(object, &new));
        if let Some(patch) = patch.filter(|patch| !patch.0.is_empty()) {
            // A patch is text and always has a form.
            let text = serde_json::to_vec(&patch).unwrap_or_default();
            fields.insert("patchType".to_owned(), "JSONPatch".into());
            fields.insert("patch".to_owned(), BASE64_STANDARD.encode(text).into());
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn review(version: &str, request: &Value) -> Vec<u8> {
        json!({"apiVersion": version, "kind": "AdmissionReview", "request": request})
            .to_string()
            .into_bytes()
    }

    fn refuse(_: &Request) -> Result<Verdict, Refusal> {
        Err(Refusal::forbidden("no".into()))
    }

    #[test]
    fn the_answer_has_the_version_and_uid_of_the_question() {
        for version in ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"] {
            let asked = json!({"uid": "u", "operation": "CREATE", "object": {"a": 1}});
            let refused = answer(&review(version, &asked), refuse).unwrap();
            assert_eq!(
                refused,
                json!({"apiVersion": version, "kind": "AdmissionReview", "response": {
                    "uid": "u", "allowed": false,
                    "status": {"status": "Failure", "message": "no", "reason": "Forbidden", "code": 403},
                }})
            );
        }
    }

    #[test]
    fn a_patch_holds_what_changes_and_nothing_else() {
        let asked = json!({"uid": "u", "operation": "UPDATE", "oldObject": {}, "object": {"a": 1, "b": {"c": 2}}});
        let changed = |request: &Request| {
            assert_eq!(request.old, Some(json!({})));
            let mut object = request.object.clone();
            object["b"]["d"] = 3.into();
            Ok(Verdict {
                object: Some(object),
                warnings: vec!["w".into()],
            })
        };
        let answered = answer(&review("admission.k8s.io/v1", &asked), changed).unwrap();
        let response = &answered["response"];
        assert_eq!(response["warnings"], json!(["w"]));
        let patch = BASE64_STANDARD
            .decode(response["patch"].as_str().unwrap())
            .unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert_eq!(patch, json!([{"op": "add", "path": "/b/d", "value": 3}]));
        let same = answer(&review("admission.k8s.io/v1", &asked), |request| {
            Ok(Verdict {
                object: Some(request.object.clone()),
                ..Verdict::default()
            })
        });
        assert_eq!(
            same.unwrap()["response"],
            json!({"uid": "u", "allowed": true})
        );
    }

    #[test]
    fn a_deletion_and_what_is_being_deleted_pass_unseen() {
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}});
        for asked in [
            json!({"uid": "u", "operation": "DELETE", "object": null, "oldObject": {}}),
            json!({"uid": "u", "operation": "CONNECT"}),
            json!({"uid": "u", "operation": "UPDATE", "object": deleted, "oldObject": deleted}),
        ] {
            let passed = answer(&review("admission.k8s.io/v1", &asked), refuse).unwrap();
            assert_eq!(passed["response"], json!({"uid": "u", "allowed": true}));
        }
    }

    #[test]
    fn what_is_no_review_gets_a_sentence() {
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap"}).to_string();
        let empty = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"});
        for (text, part) in [
            ("{", "this is no AdmissionReview"),
            (&config, "ConfigMap of v1 is no AdmissionReview"),
            (&empty.to_string(), "has no request"),
        ] {
            let error = answer(text.as_bytes(), refuse).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
