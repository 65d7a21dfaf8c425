//! Who gets access, among documents.

use api::mlflow::v1::MLflow;
use jiff::Timestamp;
use mlflow_operator::access::{self, Access, WORKSPACE_LABEL, error::Error};
use mlflow_operator::module::{self, MLFLOW_OPERATOR, gate::gate};
use operator_harness::{Pass, kinds_have_their_verbs};
use resources::Plan;
use resources::kind::AUTH;
use runtime::Capabilities;
use runtime::component::{Failure, Next};
use runtime::offline::OfflineInputs;
use runtime::rbac::READ;
use serde_json::{Value, json};

/// The component as it is installed.
pub(crate) fn installed() -> Access {
    Access {
        role_prefix: "mlflow-operator-".to_owned(),
    }
}

pub(crate) fn mlflow() -> MLflow {
    serde_json::from_value(
        json!({"apiVersion": "mlflow.opendatahub.io/v1", "kind": "MLflow",
        "metadata": {"name": "mlflow", "uid": "the-uid"}, "spec": {}}),
    )
    .expect("an MLflow")
}

pub(crate) fn namespace(name: &str, label: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": {WORKSPACE_LABEL: label}}})
}

pub(crate) fn auth(spec: &Value) -> Value {
    json!({"apiVersion": "services.platform.opendatahub.io/v1alpha1", "kind": "Auth",
        "metadata": {"name": "auth"}, "spec": spec})
}

pub(crate) fn plan(documents: &[Value]) -> Result<Plan, Error> {
    let (access, mlflow) = (installed(), mlflow());
    let cluster = Capabilities::of([AUTH]);
    let inputs = OfflineInputs::new(&access, &mlflow, documents, cluster, Timestamp::UNIX_EPOCH);
    Pass::over(&access, &mlflow, inputs)?.plan
}

#[test]
fn the_module_is_read_among_others() {
    let (access, mlflow) = (installed(), mlflow());
    let read = |documents: &[Value]| {
        let now = Timestamp::UNIX_EPOCH;
        let cluster = Capabilities::of([MLFLOW_OPERATOR]);
        let inputs = OfflineInputs::new(&access, &mlflow, documents, cluster, now);
        futures::executor::block_on(module::read(&inputs)).unwrap()
    };
    assert_eq!(read(&[]), None);
    let said = json!({"apiVersion": "components.platform.opendatahub.io/v1alpha1",
        "kind": "MLflowOperator", "metadata": {"name": "default-mlflowoperator"},
        "spec": {"gatewayName": "g"}});
    let found = read(&[said]).unwrap();
    assert_eq!(found.spec.gateway_name.as_deref(), Some("g"));
    assert!(!gate(Some(&found)).is_open());
}

fn names(plan: &Plan) -> Vec<String> {
    let objects = plan.objects().iter();
    objects
        .map(|o| format!("{}/{}", o.namespace.clone().unwrap_or_default(), o.name))
        .collect()
}

#[test]
fn bindings_are_in_namespaces_of_this_mlflow_that_stay() {
    let mut going = namespace("going", "mlflow");
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
    let mut documents = vec![
        namespace("a", "mlflow"),
        namespace("b", "another"),
        namespace("c", ""),
        going,
    ];
    assert!(
        names(&plan(&documents).unwrap()).is_empty(),
        "nobody is named"
    );
    documents.push(auth(&json!({"adminGroups": ["few"]})));
    let planned = plan(&documents).unwrap();
    assert_eq!(
        names(&planned),
        ["a/odh-group-mlflow-view", "a/odh-group-mlflow-edit"]
    );
}

#[test]
fn a_binding_for_another_role_is_left_out_until_it_is_gone() {
    let binding = |role: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "odh-group-mlflow-view", "namespace": "a", "ownerReferences": [
                {"apiVersion": "mlflow.opendatahub.io/v1", "kind": "MLflow", "name": "mlflow",
                 "uid": "the-uid", "controller": true}]},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})
    };
    let with = |role: &str| {
        let groups = auth(&json!({"adminGroups": ["few"]}));
        names(&plan(&[namespace("a", "mlflow"), groups, binding(role)]).unwrap())
    };
    assert_eq!(with("mlflow-operator-mlflow-view").len(), 2);
    assert_eq!(
        with("mlflow-operator-mlflow-edit"),
        ["a/odh-group-mlflow-edit"]
    );
}

#[test]
fn lists_that_are_none_change_nothing_and_are_told() {
    for spec in [
        json!({"adminGroups": "few"}),
        json!({"allowedGroups": [{"name": "all"}]}),
    ] {
        let error = plan(&[namespace("a", "mlflow"), auth(&spec)]).unwrap_err();
        assert_eq!(error.reason(), "GroupsInvalid");
        assert_eq!(error.next(), Next::Wait);
        let message = error.to_string();
        assert!(
            message.contains("until then access to namespaces stays as it is"),
            "{message}"
        );
    }
}

#[test]
fn the_rights_are_for_what_is_looked_for_by_name() {
    let rules = access::rights::RULES;
    kinds_have_their_verbs(&installed(), rules, &[(AUTH, READ)]);
}
