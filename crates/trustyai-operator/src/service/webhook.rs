//! Admission and conversion of TrustyAIService.
//!
//! What is refused here is refused by the reconcile too, in the same words; here the user reads
//! them at once.

use std::sync::Arc;

use api::trustyai::conversion;
use api::trustyai::v1::{StorageFormat, TrustyAIService};
use resources::kind::{DEFINITION, VALIDATING_WEBHOOKS};
use runtime::admission::{Admission, Around, Operation, Refusal, Request, Webhooks};
use runtime::webhook_certificates::Keeping;
use serde_json::Value;

use super::names::Names;
use super::validate;

/// Secret with the certificate, where the operator makes it.
pub const SECRET: &str = "trustyai-service-operator-webhook-certificate";
/// Service that the API server calls, as in the Go operator.
pub const SERVICE: &str = "trustyai-service-operator-webhook-service";
/// The configuration of validation.
pub const CONFIGURATION: &str = "trustyai-service-operator-validating-webhook-configuration";
/// The definition that is converted.
pub const DEFINITION_NAME: &str = "trustyaiservices.trustyai.opendatahub.io";

const KIND: &str = "TrustyAIService";
const REVIEWED: &str = "TrustyAIService.trustyai.opendatahub.io";

/// What is served; conversion under the path of the Go operator.
#[must_use]
pub fn webhooks() -> Webhooks {
    Webhooks {
        mutate: &[],
        validate: &["/validate-trustyai-opendatahub-io-v1-trustyaiservice"],
        convert: Some("/convert"),
        admission: Arc::new(ServiceAdmission),
        keeping: Keeping {
            secret: SECRET,
            service: SERVICE,
            targets: &[
                (VALIDATING_WEBHOOKS, CONFIGURATION),
                (DEFINITION, DEFINITION_NAME),
            ],
            field_manager: "trustyai-operator",
        },
    }
}

/// What is decided about a TrustyAIService.
#[derive(Clone, Copy, Debug)]
pub struct ServiceAdmission;

impl Admission for ServiceAdmission {
    fn check(&self, request: &Request, _: &Around) -> Result<Vec<String>, Refusal> {
        let kind = request.object.get("kind").and_then(Value::as_str);
        if kind != Some(KIND) {
            return Err(Refusal::unreadable(format!("{kind:?} is no {KIND}")));
        }
        let unreadable =
            |error: serde_json::Error| Refusal::unreadable(format!("this is no {KIND}: {error}"));
        let service: TrustyAIService =
            serde_json::from_value(request.object.clone()).map_err(unreadable)?;
        if request.operation == Operation::Create {
            let problems = problems(&service);
            if !problems.is_empty() {
                let name = service.metadata.name.unwrap_or_default();
                let text = problems.join(", ");
                return Err(Refusal::forbidden(format!(
                    "{REVIEWED} {name:?} is invalid: {text}"
                )));
            }
        }
        Ok(validate::metrics_warnings(&service.spec))
    }

    fn convert(&self, object: Value, api_version: &str) -> Result<Value, String> {
        conversion::convert(object, api_version).map_err(|error| error.to_string())
    }
}

/// What a new resource must have, beside what its schema asks for. One that is stored without goes
/// on as it is.
fn problems(service: &TrustyAIService) -> Vec<String> {
    let metadata = &service.metadata;
    let mut problems = Vec::new();
    // The API server may not have made the name yet.
    let name = match (&metadata.name, &metadata.generate_name) {
        (Some(name), _) => name.clone(),
        (None, begin) => format!("{}00000", begin.as_deref().unwrap_or_default()),
    };
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    if let Err(error) = Names::of(&name, namespace) {
        problems.push(format!("metadata.name: {error}"));
    }
    let spec = &service.spec;
    if spec.storage.format == StorageFormat::Pvc && spec.data.is_none() {
        problems.push(
            "spec.data: absent; with storage format PVC, set filename, the suffix of the files, \
             and format, as CSV"
                .to_owned(),
        );
    }
    problems
}

#[cfg(test)]
mod tests {
    use runtime::Capabilities;
    use serde_json::json;

    use super::*;

    fn check(operation: Operation, object: Value) -> Result<Vec<String>, Refusal> {
        let around = Around::new(Arc::new(Capabilities::default()), Arc::new(|_| Vec::new()));
        let request = Request {
            operation,
            object,
            old: None,
        };
        ServiceAdmission.check(&request, &around)
    }

    fn service(version: &str, name: &str, spec: &Value) -> Value {
        json!({"apiVersion": format!("trustyai.opendatahub.io/{version}"), "kind": KIND,
            "metadata": {"name": name, "namespace": "ns"}, "spec": spec})
    }

    #[test]
    fn what_is_new_says_how_its_files_are_called() {
        let storage = json!({"format": "PVC", "folder": "/inputs", "size": "1Gi"});
        let mut spec = json!({"storage": storage, "metrics": {"schedule": "5s"}});
        for version in ["v1", "v1alpha1"] {
            let refusal = check(Operation::Create, service(version, "a", &spec)).unwrap_err();
            assert_eq!(refusal.code, 403);
            assert!(refusal.message.contains("spec.data"), "{refusal:?}");
            let stored = check(Operation::Update, service(version, "a", &spec));
            assert_eq!(stored, Ok(Vec::new()));
        }
        spec["data"] = json!({"filename": "data.csv"});
        assert_eq!(
            check(Operation::Create, service("v1", "a", &spec)),
            Ok(Vec::new())
        );
        let database = json!({"storage": {"format": "DATABASE"}, "metrics": {"schedule": "5s"}});
        assert_eq!(
            check(Operation::Create, service("v1", "a", &database)),
            Ok(Vec::new())
        );
    }

    #[test]
    fn a_name_that_leaves_no_room_for_others_is_refused() {
        let spec = json!({"storage": {"format": "DATABASE"}, "metrics": {"schedule": "5s"}});
        let name = "n".repeat(58);
        let refusal = check(Operation::Create, service("v1", &name, &spec)).unwrap_err();
        assert!(refusal.message.contains("may have 57"), "{refusal:?}");
        assert_eq!(
            check(Operation::Update, service("v1", &name, &spec)),
            Ok(Vec::new())
        );
    }

    #[test]
    fn what_means_something_else_is_warned_of() {
        let spec = json!({"storage": {"format": "DATABASE"}, "metrics": {"schedule": "often"}});
        let warnings = check(Operation::Update, service("v1", "a", &spec)).unwrap();
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("spec.metrics.schedule"));
    }

    #[test]
    fn what_is_no_service_cannot_be_read() {
        let other = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}});
        assert_eq!(check(Operation::Create, other).unwrap_err().code, 400);
        let odd = service("v1", "a", &json!("text"));
        assert_eq!(check(Operation::Create, odd).unwrap_err().code, 400);
    }
}
