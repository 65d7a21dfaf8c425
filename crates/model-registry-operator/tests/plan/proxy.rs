//! The proxy, its certificate and its policy.

use resources::Precondition;
use serde_json::{Value, json};

use crate::support::{Case, args, find, merged, mysql, secret};

#[test]
fn the_proxy_is_the_default_on_openshift_and_opting_out_is_explicit() {
    let containers = |case: Case| case.pod()["containers"].as_array().unwrap().len();
    assert_eq!(containers(Case::kubernetes(mysql())), 1);
    assert_eq!(containers(Case::openshift(mysql())), 2);
    let out = merged(
        mysql(),
        &json!({"authentication": "None", "rest": {"serviceRoute": "enabled"}}),
    );
    let case = Case::openshift(out);
    assert_eq!(
        case.object("Route", "sample-http")["spec"]["port"]["targetPort"],
        "http-api"
    );
    assert_eq!(containers(case), 1);
    let asked = merged(mysql(), &json!({"authentication": "KubeRBACProxy"}));
    assert_eq!(containers(Case::kubernetes(asked)), 2);
}

#[test]
fn beside_a_proxy_there_is_no_dead_route() {
    let case = Case::openshift(merged(
        mysql(),
        &json!({"rest": {"serviceRoute": "enabled"}}),
    ));
    assert_eq!(case.object("Route", "sample-http"), Value::Null);
    assert_eq!(
        case.validate().unwrap().warnings[0].to_string(),
        "spec.rest.serviceRoute has no effect: the proxy has a Route of its own; \
         use spec.kubeRBACProxy.serviceRoute"
    );
}

#[test]
fn with_a_proxy_no_policy_admits_the_server_and_one_is_always_there() {
    let off = merged(
        mysql(),
        &json!({"kubeRBACProxy": {"serviceRoute": "disabled"}}),
    );
    let on = merged(mysql(), &json!({"kubeRBACProxy": {}}));
    for (case, name) in [
        (Case::kubernetes(on.clone()), "sample-proxy"),
        (Case::openshift(off), "sample-proxy"),
        (Case::openshift(on), "sample-https-route"),
    ] {
        let plan = case.plan();
        let policies: Vec<_> = plan
            .objects()
            .iter()
            .filter(|o| o.kind.kind == "NetworkPolicy")
            .collect();
        assert_eq!(policies.len(), 1);
        let policy = &policies[0].body;
        assert_eq!(policies[0].name, name);
        let pods = &find(&plan, "Deployment", "sample")["spec"]["selector"]["matchLabels"];
        assert_eq!(&policy["spec"]["podSelector"]["matchLabels"], pods);
        assert_eq!(policy["spec"]["ingress"].as_array().unwrap().len(), 1);
        assert_eq!(
            policy["spec"]["ingress"][0]["ports"],
            json!([{"port": 8443, "protocol": "TCP"}])
        );
    }
}

#[test]
fn a_certificate_is_made_only_where_nobody_else_has_one() {
    let spec = merged(mysql(), &json!({"kubeRBACProxy": {}}));
    let case = || Case::kubernetes(spec.clone());
    let volume = |case: &Case| case.pod()["volumes"][0]["secret"]["secretName"].take();
    let made = |case: &Case| case.object("Secret", "sample-kube-rbac-proxy") != Value::Null;

    let own = case();
    assert!(made(&own) && own.object("ConfigMap", "sample-ca") != Value::Null);
    assert_eq!(volume(&own), "sample-kube-rbac-proxy");

    let given = case().with(secret(
        "sample-kube-rbac-proxy",
        &json!({"tls.crt": "c", "tls.key": "k"}),
    ));
    assert!(!made(&given) && given.object("ConfigMap", "sample-ca") == Value::Null);

    let old = case().with(secret(
        "sample-oauth-proxy",
        &json!({"tls.crt": "c", "tls.key": "k"}),
    ));
    assert!(!made(&old));
    assert_eq!(volume(&old), "sample-oauth-proxy");

    let named = merged(
        spec.clone(),
        &json!({"kubeRBACProxy": {"tlsCertificateSecret": {"name": "n", "key": "c"},
                                  "tlsKeySecret": {"name": "n", "key": "k"}}}),
    );
    assert!(!made(&Case::kubernetes(named.clone())));
    assert!(
        args(&Case::kubernetes(named).pod(), 1)
            .contains(&"--tls-cert-file=/etc/tls/private-cert/c".into())
    );
}

#[test]
fn a_certificate_of_ours_is_kept_and_written_over_its_own_version() {
    let spec = merged(mysql(), &json!({"kubeRBACProxy": {}}));
    let first = Case::kubernetes(spec.clone());
    let plan = first.plan();
    let planned = plan
        .objects()
        .iter()
        .find(|o| o.name == "sample-kube-rbac-proxy")
        .unwrap();
    assert_eq!(planned.precondition, Precondition::Absent);
    let mut live = planned.body.clone();
    live["metadata"]["resourceVersion"] = "7".into();
    let second = Case::kubernetes(spec).with(live).plan();
    let again = second
        .objects()
        .iter()
        .find(|o| o.name == "sample-kube-rbac-proxy")
        .unwrap();
    assert_eq!(again.precondition, Precondition::Version("7".into()));
    assert_eq!(again.body, planned.body);
}

#[test]
fn openshift_makes_the_certificate_and_renews_an_old_one_of_its_own() {
    let service_ca = |case: Case| {
        case.object("Service", "sample")["metadata"]["annotations"]
            ["service.beta.openshift.io/serving-cert-secret-name"]
            .take()
    };
    assert_eq!(
        service_ca(Case::openshift(mysql())),
        "sample-kube-rbac-proxy"
    );
    let mut old = secret(
        "sample-oauth-proxy",
        &json!({"tls.crt": "c", "tls.key": "k"}),
    );
    assert_eq!(
        service_ca(Case::openshift(mysql()).with(old.clone())),
        Value::Null
    );
    old["metadata"]["annotations"] =
        json!({"service.beta.openshift.io/originating-service-name": "sample"});
    assert_eq!(
        service_ca(Case::openshift(mysql()).with(old)),
        "sample-kube-rbac-proxy"
    );
}

#[test]
fn access_by_method_mirrors_every_binding_of_users() {
    let user = json!({"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = |role: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
               "metadata": {"name": format!("for-{role}"), "namespace": "ns"},
               "roleRef": {"kind": "Role", "name": role, "apiGroup": "rbac.authorization.k8s.io"},
               "subjects": [user]})
    };
    let case = |role: &str| {
        let spec = merged(
            mysql(),
            &json!({"kubeRBACProxy": {"authorization": "ByMethod"}}),
        );
        Case::kubernetes(spec).with(binding(role))
    };
    let subjects =
        |case: Case| case.object("RoleBinding", "registry-api-sample")["subjects"].take();
    let users =
        json!({"kind": "Group", "name": "sample-users", "apiGroup": "rbac.authorization.k8s.io"});
    assert_eq!(subjects(case("registry-user-sample")), json!([users, user]));
    assert_eq!(subjects(case("registry-user-other")), json!([users]));
    let config = case("any").object("ConfigMap", "sample-kube-rbac-proxy-config");
    let file = config["data"]["config-file.yaml"].as_str().unwrap();
    assert!(
        file.contains("subresource: api") && !file.contains("verb"),
        "{file}"
    );
}
