//! Admission of Catalog: what the reconcile would refuse is refused when it is created, in the same
//! words.

use std::sync::Arc;

use api::catalog::v1alpha1::Catalog as Resource;
use resources::kind::VALIDATING_WEBHOOKS;
use runtime::admission::{Admission, Around, Operation, Refusal, Request, Webhooks};
use runtime::webhook_certificates::Keeping;
use serde_json::Value;

use super::config::Config;
use super::plan::validate;

/// Secret with the certificate, where the operator makes it.
pub const SECRET: &str = "catalog-webhook-certificate";
/// Service that the API server calls.
pub const SERVICE: &str = "catalog-webhook-service";
/// The configuration of validation.
pub const CONFIGURATION: &str = "catalog-validating-webhook-configuration";

const KIND: &str = "Catalog";

/// What is served, with the path of the Go operator.
#[must_use]
pub fn webhooks(config: Config) -> Webhooks {
    Webhooks {
        mutate: &[],
        validate: &["/validate-aihub-opendatahub-io-catalog"],
        convert: None,
        admission: Arc::new(CatalogAdmission { config }),
        keeping: Keeping {
            secret: SECRET,
            service: SERVICE,
            targets: &[(VALIDATING_WEBHOOKS, CONFIGURATION)],
            field_manager: "model-registry-operator",
        },
    }
}

/// What is decided about a Catalog.
#[derive(Clone, Debug)]
pub struct CatalogAdmission {
    /// What the installation sets.
    pub config: Config,
}

impl Admission for CatalogAdmission {
    /// Only what is new is looked at: neither name nor namespace can change.
    fn check(&self, request: &Request, _: &Around) -> Result<Vec<String>, Refusal> {
        let kind = request.object.get("kind").and_then(Value::as_str);
        let unreadable = |what: String| Refusal::unreadable(format!("this is no {KIND}: {what}"));
        if kind != Some(KIND) {
            return Err(unreadable(format!("its kind is {kind:?}")));
        }
        if request.operation == Operation::Update {
            return Ok(Vec::new());
        }
        let mut catalog: Resource = serde_json::from_value(request.object.clone())
            .map_err(|error| unreadable(error.to_string()))?;
        // The API server may not have made the name yet.
        if let (None, Some(begin)) = (
            &catalog.metadata.name,
            catalog.metadata.generate_name.clone(),
        ) {
            catalog.metadata.name = Some(begin);
        }
        match validate(&catalog, &self.config) {
            Ok(()) => Ok(Vec::new()),
            Err(error) => Err(Refusal::forbidden(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use runtime::Capabilities;
    use serde_json::json;

    use super::*;

    fn check(operation: Operation, object: Value) -> Result<Vec<String>, Refusal> {
        let lookup = |name: &str| (name == "REGISTRIES_NAMESPACE").then(|| "here".to_owned());
        let config = Config::from_lookup(lookup).unwrap();
        let around = Around::new(Arc::new(Capabilities::default()), Arc::new(|_| Vec::new()));
        let request = Request {
            operation,
            object,
            old: None,
        };
        CatalogAdmission { config }.check(&request, &around)
    }

    fn catalog(metadata: &Value) -> Value {
        json!({"apiVersion": "aihub.opendatahub.io/v1alpha1", "kind": KIND, "metadata": metadata})
    }

    #[test]
    fn what_is_new_has_the_one_name_in_the_one_namespace() {
        let name = |given: &str| {
            format!(
                "metadata.name: Invalid value: {given:?}: catalog resource name must be 'catalog'"
            )
        };
        let namespace = "metadata.namespace: Invalid value: \"there\": namespace must be here";
        for (metadata, message) in [
            (json!({"name": "catalog", "namespace": "here"}), None),
            (
                json!({"name": "x", "namespace": "here"}),
                Some(("x", name("x"))),
            ),
            (
                json!({"generateName": "catalog-", "namespace": "here"}),
                Some(("catalog-", name("catalog-"))),
            ),
            (
                json!({"name": "catalog", "namespace": "there"}),
                Some(("catalog", namespace.to_owned())),
            ),
            (
                json!({"name": "x", "namespace": "there"}),
                Some(("x", format!("[{}, {namespace}]", name("x")))),
            ),
        ] {
            let created = check(Operation::Create, catalog(&metadata));
            let expected = message.map_or(Ok(Vec::new()), |(name, message)| {
                let text = format!("Catalog.aihub.opendatahub.io {name:?} is invalid: {message}");
                Err(Refusal::forbidden(text))
            });
            assert_eq!(created, expected, "{metadata}");
            assert_eq!(check(Operation::Update, catalog(&metadata)), Ok(Vec::new()));
        }
    }

    #[test]
    fn what_is_no_catalog_cannot_be_read() {
        let other = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "catalog"}});
        assert_eq!(check(Operation::Create, other).unwrap_err().code, 400);
        let mut odd = catalog(&json!({"name": "catalog"}));
        odd["spec"] = json!("text");
        assert_eq!(check(Operation::Update, odd.clone()), Ok(Vec::new()));
        assert_eq!(check(Operation::Create, odd).unwrap_err().code, 400);
    }
}
