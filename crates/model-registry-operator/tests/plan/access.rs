//! Whom the resource lets in.

use serde_json::{Value, json};

use crate::support::{Case, find, merged, mysql};

#[test]
fn nobody_is_let_in_by_a_resource_that_names_nobody() {
    for access in [json!([]), json!([{"role": "user"}])] {
        let plan = Case::openshift(merged(mysql(), &json!({"access": access}))).plan();
        let bindings: Vec<_> = plan
            .objects()
            .iter()
            .filter(|object| object.kind.kind == "RoleBinding")
            .map(|object| object.body["metadata"]["name"].clone())
            .collect();
        assert_eq!(bindings, ["sample-users"]);
    }
}

/// Where the API server does not evaluate the rule, the plan says the same.
#[test]
fn viewers_need_a_proxy_that_tells_reading_from_writing() {
    let viewers = json!([{"role": "viewer", "users": ["vera"]}]);
    for proxy in [Value::Null, json!({}), json!({"authorization": "Get"})] {
        let spec = json!({"access": viewers, "kubeRBACProxy": proxy});
        assert_eq!(
            Case::kubernetes(merged(mysql(), &spec)).refusal(),
            format!("spec.access: {}", api::rules::VIEWER_BY_METHOD)
        );
    }
}

#[test]
fn without_a_proxy_the_resource_is_told_that_nobody_is_kept_out() {
    let access = json!({"access": [{"users": ["ann"]}]});
    let open = Case::kubernetes(merged(mysql(), &access));
    let warnings = open.validate().unwrap().warnings;
    assert_eq!(
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "spec.access has no effect: no proxy asks who calls, and whoever reaches the Service may \
             read and write; set spec.kubeRBACProxy"
        ]
    );
    let guarded = Case::openshift(merged(mysql(), &access));
    assert_eq!(guarded.validate().unwrap().warnings, []);
}

/// Its own bindings are known by their owner: the plan, not what it wrote before, says who is in.
#[test]
fn the_mirror_follows_the_resource_and_the_bindings_of_people() {
    let binding = |name: &str, user: &str, owners: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": name, "namespace": "ns", "ownerReferences": owners},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "registry-user-sample"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]})
    };
    let own = json!([{"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry", "name": "sample",
        "uid": crate::support::UID, "controller": true}]);
    let spec = json!({"kubeRBACProxy": {"authorization": "ByMethod"},
        "access": [{"users": ["ann"]}, {"role": "viewer", "users": ["vera"]}]});
    let plan = Case::kubernetes(merged(mysql(), &spec))
        .with(binding("theirs", "zoe", json!([])))
        .with(binding("sample-user-0", "removed", own))
        .plan();
    let mirror = find(&plan, "RoleBinding", "registry-api-sample");
    let names: Vec<_> = mirror["subjects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subject| subject["name"].clone())
        .collect();
    assert_eq!(names, ["sample-users", "ann", "zoe"]);
}
