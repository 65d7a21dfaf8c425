//! What the dashboard sends, reads and hands out.

use resources::Foreign;
use serde_json::{Value, json};

use crate::generated;
use crate::support::{Case, find, merged, mysql};

#[test]
fn what_the_dashboard_sends_works() {
    let spec = json!({"kubeRBACProxy": {}, "grpc": {}, "rest": {}, "mysql": null,
                      "postgres": {"generateDeployment": true}});
    let mut case = Case::openshift(spec);
    case.annotations =
        json!({"openshift.io/display-name": "Shown", "openshift.io/description": ""});
    let service = case.object("Service", "sample");
    let annotations = &service["metadata"]["annotations"];
    for (key, value) in [
        ("openshift.io/display-name", "Shown"),
        ("displayName", "Shown"),
        ("openshift.io/description", ""),
        ("description", ""),
        (
            "routing.opendatahub.io/external-address-rest",
            "sample-rest.apps.example.test:443",
        ),
    ] {
        assert_eq!(annotations[key], value, "{key}");
    }
    assert_eq!(service["spec"]["ports"][0]["name"], "https-api");
    assert_eq!(service["metadata"]["labels"]["component"], "model-registry");
    assert_eq!(case.validate().unwrap().warnings, []);
}

#[test]
fn no_other_service_of_ours_looks_like_a_registry() {
    let plan = Case::kubernetes(generated()).plan();
    let labels =
        |name: &str| find(&plan, "Service", name)["metadata"]["labels"]["component"].take();
    assert_eq!(labels("sample"), "model-registry");
    assert_eq!(labels("sample-postgres"), "model-registry-postgres");
}

#[test]
fn the_users_role_has_exactly_two_rules() {
    for authorization in ["Get", "ByMethod"] {
        let spec = merged(
            mysql(),
            &json!({"kubeRBACProxy": {"authorization": authorization}}),
        );
        let users = Case::kubernetes(spec).object("Role", "registry-user-sample");
        let rule = |resource: &str| json!({"apiGroups": [""], "resources": [resource], "resourceNames": ["sample"], "verbs": ["get"]});
        assert_eq!(users["rules"], json!([rule("services"), rule("endpoints")]));
    }
}

#[test]
fn permissions_can_be_managed_on_every_platform() {
    for case in [Case::kubernetes(mysql()), Case::openshift(mysql())] {
        let binding = case.object("RoleBinding", "sample-users");
        assert_eq!(
            binding["metadata"]["labels"]["app.kubernetes.io/name"],
            "sample"
        );
        assert_eq!(binding["metadata"]["labels"]["component"], "model-registry");
        assert_eq!(binding["subjects"][0]["name"], "sample-users");
    }
}

#[test]
fn a_group_is_made_without_members_and_one_that_is_there_serves() {
    let plan = Case::openshift(mysql()).plan();
    let group = plan
        .objects()
        .iter()
        .find(|object| object.kind.kind == "Group")
        .unwrap();
    assert_eq!(group.foreign, Foreign::Use);
    assert_eq!(group.body.get("users"), None);
    assert!(!group.identity.is_empty());
    assert_eq!(
        find(&Case::kubernetes(mysql()).plan(), "Group", "sample-users"),
        Value::Null
    );
}
