//! Admission and conversion of ModelRegistry.
//!
//! Everything is decided in v1beta1: what comes in v1alpha1 is converted there and back, which
//! loses nothing. What is refused here is refused by the reconcile too, in the same words; here the
//! user reads them at once.

use std::sync::Arc;

use api::modelregistry::conversion;
use api::modelregistry::v1beta1::{Authentication, ModelRegistry};
use kube::ResourceExt;
use resources::kind::{DEFINITION, MUTATING_WEBHOOKS, VALIDATING_WEBHOOKS};
use runtime::admission::{Admission, Around, Operation, Refusal, Request, Webhooks};
use runtime::webhook_certificates::Keeping;
use serde_json::{Map, Value, json};

use super::config::Config;
use super::observe::{Observation, Platform};
use super::validate::{self, Problem, ValidateError};

/// Secret with the certificate, where the operator makes it.
pub const SECRET: &str = "model-registry-operator-webhook-certificate";
/// Service that the API server calls.
pub const SERVICE: &str = "model-registry-operator-webhook-service";
/// The configuration of defaulting.
pub const MUTATING_CONFIGURATION: &str = "model-registry-operator-mutating-webhook-configuration";
/// The configuration of validation.
pub const VALIDATING_CONFIGURATION: &str =
    "model-registry-operator-validating-webhook-configuration";
/// The definition that is converted.
pub const DEFINITION_NAME: &str = "modelregistries.modelregistry.opendatahub.io";

const HUB: &str = "modelregistry.opendatahub.io/v1beta1";
const KIND: &str = "ModelRegistry";
const REVIEWED: &str = "ModelRegistry.modelregistry.opendatahub.io";

/// What is served, with the paths of the Go operator, today's and those of v0.2.
#[must_use]
pub fn webhooks(config: Config) -> Webhooks {
    Webhooks {
        mutate: &[
            "/mutate-modelregistry-opendatahub-io-modelregistry",
            "/mutate-modelregistry-opendatahub-io-v1alpha1-modelregistry",
        ],
        validate: &[
            "/validate-modelregistry-opendatahub-io-modelregistry",
            "/validate-modelregistry-opendatahub-io-v1alpha1-modelregistry",
        ],
        convert: Some("/convert"),
        admission: Arc::new(RegistryAdmission { config }),
        keeping: Keeping {
            secret: SECRET,
            service: SERVICE,
            targets: &[
                (MUTATING_WEBHOOKS, MUTATING_CONFIGURATION),
                (VALIDATING_WEBHOOKS, VALIDATING_CONFIGURATION),
                (DEFINITION, DEFINITION_NAME),
            ],
            field_manager: "model-registry-operator",
        },
    }
}

/// What is decided about a ModelRegistry.
#[derive(Clone, Debug)]
pub struct RegistryAdmission {
    /// What the installation sets.
    pub config: Config,
}

impl Admission for RegistryAdmission {
    fn defaulted(&self, request: &Request, around: &Around) -> Result<Value, Refusal> {
        let version = version_of(&request.object)?.to_owned();
        let hub = in_hub(request.object.clone())?;
        let mut new = hub.clone();
        if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
            complete(spec, Platform::of(&around.capabilities).openshift);
        }
        if new == hub {
            return Ok(request.object.clone());
        }
        converted(new, &version)
    }

    fn check(&self, request: &Request, around: &Around) -> Result<Vec<String>, Refusal> {
        if let Some(old) = &request.old
            && request.operation == Operation::Update
            && old.get("apiVersion") == request.object.get("apiVersion")
            && old.get("spec") == request.object.get("spec")
        {
            return Ok(Vec::new());
        }
        let resource = read(request.object.clone())?;
        let refused = |text: String| {
            let name = resource.name_any();
            Refusal::forbidden(format!("{REVIEWED} {name:?} is invalid: {text}"))
        };
        let name = resource.name_any();
        if request.operation == Operation::Create
            // One in the same namespace is the API server's to refuse.
            && let Some(taken) = around
                .namespaces_with(&name)
                .iter()
                .find(|namespace| Some(*namespace) != resource.metadata.namespace.as_ref())
        {
            return Err(refused(format!(
                "metadata.name: Duplicate value: \"registry named {name} already exists in namespace {taken}\""
            )));
        }
        let seen = Observation::of_platform(Platform::of(&around.capabilities));
        let problems = match validate::validate(&resource, &seen, &self.config) {
            Ok(validated) => {
                return Ok(validated.warnings.iter().map(ToString::to_string).collect());
            }
            Err(ValidateError::Invalid(problems)) => problems,
            // Only what was observed can be in conflict, and nothing was.
            Err(ValidateError::NameConflict { .. }) => return Ok(Vec::new()),
        };
        // What was wrong before stays, so that what is right beside it can be edited.
        let old = request.old.clone().and_then(|old| read(old).ok());
        let before = old.map_or_else(Vec::new, |old| self.problems(&old, &seen));
        let new: Vec<Problem> = problems
            .into_iter()
            .filter(|p| !before.contains(p))
            .collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        Err(refused(ValidateError::Invalid(new).to_string()))
    }

    fn convert(&self, object: Value, api_version: &str) -> Result<Value, String> {
        conversion::convert(object, api_version).map_err(|error| error.to_string())
    }
}

impl RegistryAdmission {
    fn problems(&self, resource: &ModelRegistry, seen: &Observation) -> Vec<Problem> {
        match validate::validate(resource, seen, &self.config) {
            Err(ValidateError::Invalid(problems)) => problems,
            _ => Vec::new(),
        }
    }
}

fn version_of(object: &Value) -> Result<&str, Refusal> {
    let text = |key| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    if kind == KIND {
        return Ok(version);
    }
    let sentence = format!("{kind:?} of {version:?} is no {KIND}");
    Err(Refusal::unreadable(sentence))
}

fn converted(object: Value, version: &str) -> Result<Value, Refusal> {
    conversion::convert(object, version).map_err(|error| Refusal::unreadable(error.to_string()))
}

fn in_hub(object: Value) -> Result<Value, Refusal> {
    version_of(&object)?;
    converted(object, HUB)
}

fn read(object: Value) -> Result<ModelRegistry, Refusal> {
    let mut resource: ModelRegistry = serde_json::from_value(in_hub(object)?)
        .map_err(|error| Refusal::unreadable(format!("this is no {KIND}: {error}")))?;
    // The API server may not have made the name yet.
    if let (None, Some(begin)) = (&resource.metadata.name, &resource.metadata.generate_name) {
        resource.metadata.name = Some(format!("{begin}00000"));
    }
    Ok(resource)
}

/// What the Go operator stores in place of what the user left out. The image and the resources of
/// the server are left alone: it erases those of users.
fn complete(spec: &mut Map<String, Value>, openshift: bool) {
    if let Some(rest) = spec.get_mut("rest").and_then(Value::as_object_mut) {
        fill(rest, "serviceRoute", &json!("disabled"));
    }
    let unused = |block: &Value, addresses: &[&str]| {
        block.get("generateDeployment") != Some(&Value::Bool(true))
            && addresses.iter().all(|field| is_empty(block.get(*field)))
    };
    for (block, addresses) in [
        ("postgres", &["host", "hostAddress"][..]),
        ("mysql", &["host"][..]),
    ] {
        if spec
            .get(block)
            .is_some_and(|block| unused(block, addresses))
        {
            spec.remove(block);
        }
    }
    let given = |spec: &Map<String, Value>, field| spec.get(field).is_some_and(|v| !v.is_null());
    if !given(spec, "kubeRBACProxy") {
        if given(spec, "oauthProxy") {
            // An image is that of another program: then the field stays as it is written.
            if spec
                .get("oauthProxy")
                .is_some_and(|proxy| is_empty(proxy.get("image")))
            {
                let proxy = spec.remove("oauthProxy").unwrap_or_default();
                spec.insert("kubeRBACProxy".to_owned(), proxy);
            }
        } else if openshift
            && !given(spec, "istio")
            && spec.get("authentication") != Some(&json!(Authentication::None))
        {
            spec.insert("kubeRBACProxy".to_owned(), json!({}));
        }
    }
    if let Some(proxy) = spec.get_mut("kubeRBACProxy").and_then(Value::as_object_mut)
        && !proxy.is_empty()
    {
        fill(proxy, "serviceRoute", &json!("enabled"));
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value == "")
}

/// What is absent is put in by the schema, so only an empty text is replaced.
fn fill(fields: &mut Map<String, Value>, field: &str, value: &Value) {
    if fields.get(field).is_some_and(|there| there == "") {
        fields.insert(field.to_owned(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use resources::kind::ROUTE;
    use runtime::Capabilities;

    use super::*;

    const OLD: &str = "modelregistry.opendatahub.io/v1alpha1";

    fn admission(environment: &[(&str, &str)]) -> RegistryAdmission {
        let lookup = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let config = Config::from_lookup(lookup).unwrap();
        RegistryAdmission { config }
    }

    fn around(openshift: bool, known: &'static [&'static str]) -> Around {
        let kinds = openshift.then_some(ROUTE);
        Around::new(
            Arc::new(Capabilities::of(kinds)),
            Arc::new(|_| known.iter().map(|&name| name.to_owned()).collect()),
        )
    }

    fn object(version: &str, spec: &Value) -> Value {
        json!({"apiVersion": version, "kind": KIND, "metadata": {"name": "a", "namespace": "ns"}, "spec": spec})
    }

    fn create(spec: &Value) -> Request {
        Request {
            operation: Operation::Create,
            object: object(HUB, spec),
            old: None,
        }
    }

    fn update(old: &Value, new: &Value) -> Request {
        Request {
            operation: Operation::Update,
            object: object(HUB, new),
            old: Some(object(HUB, old)),
        }
    }

    fn database() -> Value {
        json!({"host": "db", "port": 3306, "username": "u", "database": "d", "skipDBCreation": false})
    }

    #[test]
    fn an_update_that_fills_gaps_gives_the_stored_spec_of_the_go_operator() {
        let proxy = json!({"port": 9443, "domain": "d", "serviceRoute": "", "routePort": 443});
        let mut open = proxy.clone();
        open["serviceRoute"] = "enabled".into();
        for (openshift, spec, stored) in [
            // OpenShift has the proxy, plain Kubernetes has what is asked for.
            (
                true,
                json!({"rest": {}}),
                json!({"rest": {}, "kubeRBACProxy": {}}),
            ),
            (false, json!({"rest": {}}), json!({"rest": {}})),
            (
                true,
                json!({"authentication": "None"}),
                json!({"authentication": "None"}),
            ),
            (true, json!({"istio": {}}), json!({"istio": {}})),
            // Blocks without an address.
            (
                false,
                json!({"postgres": {"port": 5432}, "mysql": database()}),
                json!({"mysql": database()}),
            ),
            (
                false,
                json!({"postgres": {"host": "h"}, "mysql": {"host": ""}}),
                json!({"postgres": {"host": "h"}}),
            ),
            (
                false,
                json!({"postgres": {"generateDeployment": true}}),
                json!({"postgres": {"generateDeployment": true}}),
            ),
            (
                false,
                json!({"postgres": {"hostAddress": "1.2.3.4"}}),
                json!({"postgres": {"hostAddress": "1.2.3.4"}}),
            ),
            // The old proxy.
            (
                false,
                json!({"oauthProxy": proxy}),
                json!({"kubeRBACProxy": open}),
            ),
            (
                true,
                json!({"oauthProxy": {"image": "i"}}),
                json!({"oauthProxy": {"image": "i"}}),
            ),
            (
                false,
                json!({"oauthProxy": {}, "kubeRBACProxy": {}}),
                json!({"oauthProxy": {}, "kubeRBACProxy": {}}),
            ),
            // Texts that stand for absence, and what users keep.
            (
                false,
                json!({"rest": {"serviceRoute": "", "image": "quay.io/opendatahub/model-registry:v1"}}),
                json!({"rest": {"serviceRoute": "disabled", "image": "quay.io/opendatahub/model-registry:v1"}}),
            ),
            (false, Value::Null, Value::Null),
        ] {
            let defaulted = admission(&[]).defaulted(&create(&spec), &around(openshift, &[]));
            assert_eq!(defaulted.unwrap(), object(HUB, &stored), "{spec}");
        }
    }

    #[test]
    fn the_old_version_is_completed_without_touching_what_it_cannot_say() {
        let new = object(
            HUB,
            &json!({"rest": {}, "grpc": {}, "postgres": {"generateDeployment": true, "database": "d"}}),
        );
        let old = conversion::convert(new.clone(), OLD).unwrap();
        let request = Request {
            operation: Operation::Create,
            object: old.clone(),
            old: None,
        };
        let plain = admission(&[])
            .defaulted(&request, &around(false, &[]))
            .unwrap();
        assert_eq!(plain, old);
        let openshift = admission(&[])
            .defaulted(&request, &around(true, &[]))
            .unwrap();
        assert_eq!(openshift["spec"], old["spec"]);
        let mut stored = new;
        stored["spec"]["kubeRBACProxy"] = json!({});
        assert_eq!(conversion::convert(openshift, HUB).unwrap(), stored);
    }

    #[test]
    fn refusals_are_those_of_the_go_operator_word_for_word() {
        let elsewhere: &[_] = &[("REGISTRIES_NAMESPACE", "opendatahub")];
        let no_database = "spec.postgres: Required value: required one of `postgres` or `mysql` database, \
                           spec.mysql: Required value: required one of `postgres` or `mysql` database]";
        let namespace = "metadata.namespace: Invalid value: \"ns\": namespace must be opendatahub";
        for (environment, spec, message) in [
            (&[][..], json!({"rest": {}}), format!("[{no_database}")),
            (elsewhere, json!({"rest": {}}), format!("[{namespace}, {no_database}")),
            (elsewhere, json!({"rest": {}, "mysql": database()}), namespace.to_owned()),
            (&[], json!({"rest": {}, "postgres": {"generateDeployment": true, "host": "h"}}),
                "spec.postgres.host: Invalid value: \"h\": host should not be set when auto-provisioning is enabled".to_owned()),
        ] {
            let refusal = admission(environment).check(&create(&spec), &around(false, &[])).unwrap_err();
            let begin = "ModelRegistry.modelregistry.opendatahub.io \"a\" is invalid: ";
            assert_eq!(refusal, Refusal::forbidden(format!("{begin}{message}")));
        }
    }

    #[test]
    fn a_name_is_taken_by_another_namespace_and_only_when_it_is_new() {
        let spec = json!({"rest": {}, "mysql": database()});
        let check = |request: &Request, known| admission(&[]).check(request, &around(false, known));
        assert_eq!(
            check(&create(&spec), &["ns", "other"]).unwrap_err().message,
            "ModelRegistry.modelregistry.opendatahub.io \"a\" is invalid: metadata.name: Duplicate value: \
             \"registry named a already exists in namespace other\""
        );
        assert_eq!(check(&create(&spec), &["ns"]), Ok(Vec::new()));
        let mut edited = spec.clone();
        edited["rest"]["port"] = 1.into();
        assert_eq!(
            check(&update(&spec, &edited), &["ns", "other"]),
            Ok(Vec::new())
        );
    }

    #[test]
    fn what_was_wrong_before_can_be_edited_and_new_wrongs_are_refused() {
        let bare = json!({"rest": {}});
        let check =
            |old: &Value, new: &Value| admission(&[]).check(&update(old, new), &around(false, &[]));
        assert_eq!(check(&bare, &bare), Ok(Vec::new()));
        assert_eq!(check(&bare, &json!({"rest": {"port": 1}})), Ok(Vec::new()));
        assert!(check(&json!({"rest": {}, "mysql": database()}), &bare).is_err());
        assert!(
            check(&bare, &json!({"rest": {"image": "a b"}}))
                .unwrap_err()
                .message
                .contains("spec.rest.image")
        );
    }

    #[test]
    fn fields_without_effect_are_warned_of() {
        let spec = json!({"rest": {}, "mysql": database(), "enable_database_upgrade": true});
        let warnings = admission(&[])
            .check(&create(&spec), &around(false, &[]))
            .unwrap();
        assert_eq!(
            warnings,
            [
                "spec.enable_database_upgrade has no effect: the registry migrates its schema by itself; remove it"
            ]
        );
    }

    #[test]
    fn another_kind_is_a_bad_request() {
        let mut request = create(&json!({}));
        request.object["kind"] = "Catalog".into();
        let refusal = admission(&[])
            .check(&request, &around(false, &[]))
            .unwrap_err();
        assert_eq!(
            (refusal.code, refusal.message.as_str()),
            (
                400,
                "\"Catalog\" of \"modelregistry.opendatahub.io/v1beta1\" is no ModelRegistry"
            )
        );
        let mut request = create(&json!({}));
        request.object["apiVersion"] = "modelregistry.opendatahub.io/v9".into();
        assert_eq!(
            admission(&[])
                .defaulted(&request, &around(false, &[]))
                .unwrap_err()
                .code,
            400
        );
    }
}
