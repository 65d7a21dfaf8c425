//! Resources in, objects out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

#[path = "support/mod.rs"]
mod support;

use model_registry_operator::registry::validate::{LeftData, ValidateError};
use resources::{Foreign, Precondition};
use runtime::offline::documents;
use serde_json::{Value, json};
use support::{Case, UID, args, env, find, merged, mysql, secret};

/// The plan as documents. What is random has a placeholder.
fn printed(case: &Case) -> String {
    let plan = case.plan();
    let bodies = plan
        .objects()
        .iter()
        .map(|object| object.body.clone())
        .map(|mut body| {
            let secret = body["kind"] == "Secret";
            let authority = body["metadata"]["name"].as_str().unwrap().ends_with("-ca");
            if secret || authority {
                for (key, value) in body["data"].as_object_mut().unwrap() {
                    if key != "username" {
                        *value = "<made>".into();
                    }
                }
            }
            // Follows from the password.
            for pointer in [
                "/spec/template/metadata/annotations/modelregistry.opendatahub.io~1inputs-hash",
                "/metadata/annotations/modelregistry.opendatahub.io~1credentials-baseline",
            ] {
                if let Some(hash) = body
                    .pointer_mut(pointer)
                    .filter(|_| case.spec["postgres"]["generateDeployment"] == true)
                {
                    *hash = "<hash>".into();
                }
            }
            documents::write(&body).unwrap()
        });
    bodies.collect::<Vec<_>>().join("---\n")
}

fn generated() -> Value {
    json!({"rest": {}, "kubeRBACProxy": {}, "postgres": {"generateDeployment": true}})
}

#[test]
fn snapshot_kubernetes_generated_postgres() {
    insta::assert_snapshot!(printed(&Case::kubernetes(generated())));
}

#[test]
fn snapshot_openshift_gateway() {
    let case = Case::openshift(mysql())
        .with(secret("db", &json!({"password": "p"})))
        .environment(&[
            ("GATEWAY_DOMAIN", "gw.example.test"),
            ("HTTPROUTE_NAMESPACE", "gateways"),
        ]);
    insta::assert_snapshot!(printed(&case));
}

#[test]
fn snapshot_operand_and_access_by_method() {
    let spec = json!({
        "rest": {},
        "postgres": {"host": "db", "username": "u", "database": "d", "sslMode": "verify-full",
            "passwordSecret": {"name": "db", "key": "password"},
            "sslCertificateSecret": {"name": "db", "key": "tls.crt"},
            "sslKeySecret": {"name": "db", "key": "tls.key"},
            "sslPasswordSecret": {"name": "db", "key": "passphrase"},
            "sslRootCertificateConfigMap": {"name": "ca", "key": "ca.crt"}},
        "kubeRBACProxy": {"authorization": "ByMethod", "resources": {"limits": {"memory": "64Mi"}},
            "tlsCertificateSecret": {"name": "own", "key": "a.crt"},
            "tlsKeySecret": {"name": "own", "key": "a.key"}},
        "operand": {"replicas": 3, "nodeSelector": {"disk": "ssd"}, "labels": {"team": "t", "app": "no"},
            "annotations": {"note": "n"}, "imagePullSecrets": [{"name": "pull"}],
            "tolerations": [{"operator": "Exists"}], "env": [{"name": "TZ", "value": "UTC"}],
            "podDisruptionBudget": {"minAvailable": 1}},
    });
    let case = Case::kubernetes(spec).with(secret(
        "db",
        &json!({"password": "p", "tls.crt": "c", "tls.key": "k", "passphrase": "x"}),
    ));
    insta::assert_snapshot!(printed(&case));
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let case = Case::kubernetes(generated());
    let observation = case.observe();
    let resource = case.resource();
    let plan = || runtime::Component::plan(&case.registry(), &resource, &observation).unwrap();
    assert_eq!(plan(), plan());
}

// Names.

#[test]
fn words_of_yaml_are_names() {
    for name in ["true", "y", "null", "no", "e1"] {
        let case = Case::openshift(mysql()).named(name);
        assert_eq!(case.object("Deployment", name)["metadata"]["name"], name);
        assert_eq!(case.pod()["serviceAccountName"], name);
    }
}

#[test]
fn a_name_that_no_service_can_have_is_refused_with_a_sentence() {
    assert_eq!(
        Case::kubernetes(mysql()).named("2024").refusal(),
        "metadata.name: \"2024\" is not a valid Service name: lower-case letters, digits and '-', \
         starting with a letter and ending with a letter or digit"
    );
}

#[test]
fn the_limit_of_a_name_is_that_of_what_is_derived_from_it() {
    const NAME: &str = "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz";
    let plain = |length: usize| Case::kubernetes(mysql()).named(&NAME[..length]);
    let proxied = |length: usize| Case::openshift(mysql()).named(&NAME[..length]);
    assert!(plain(49).validate().is_ok());
    assert!(proxied(48).validate().is_ok());
    assert!(plain(50).refusal().ends_with(
        "has 50 characters and may have 49: label of the Role \"registry-user-NAME\" is limited to 63"
    ));
    assert!(proxied(49).refusal().ends_with(
        "has 49 characters and may have 48: \
         label of the ClusterRoleBinding \"NAME-auth-delegator\" is limited to 63"
    ));
}

#[test]
fn the_oldest_namesake_keeps_the_name() {
    let other = |created: &str| {
        json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
               "metadata": {"name": "sample", "namespace": "elsewhere", "uid": "u",
                            "creationTimestamp": created}})
    };
    let older = Case::kubernetes(mysql()).with(other("2026-01-01T00:00:00Z"));
    assert_eq!(
        older.refusal(),
        "registry named sample already exists in namespace elsewhere; the older one keeps the name"
    );
    assert!(matches!(
        older.validate(),
        Err(ValidateError::NameConflict { .. })
    ));
    assert!(
        Case::kubernetes(mysql())
            .with(other("2026-01-03T00:00:00Z"))
            .validate()
            .is_ok()
    );
}

// What is refused.

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let case = Case::kubernetes(json!({"rest": {"image": "a b"}}))
        .environment(&[("REGISTRIES_NAMESPACE", "registries")]);
    assert_eq!(
        case.refusal(),
        "[metadata.namespace: Invalid value: \"ns\": namespace must be registries, \
         spec.rest.image: \"a b\" has the character ' ': an image name has no spaces, line breaks or \
         characters beyond ASCII, \
         spec.postgres: Required value: required one of `postgres` or `mysql` database, \
         spec.mysql: Required value: required one of `postgres` or `mysql` database]"
    );
}

#[test]
fn a_port_serves_one_listener() {
    let spec = merged(
        mysql(),
        &json!({"rest": {"port": 8443}, "kubeRBACProxy": {}}),
    );
    assert_eq!(
        Case::kubernetes(spec).refusal(),
        "spec.kubeRBACProxy.port: 8443 is also the port of spec.rest.port; choose another one"
    );
}

#[test]
fn half_a_certificate_is_refused() {
    for half in ["tlsCertificateSecret", "tlsKeySecret"] {
        let spec = merged(
            mysql(),
            &json!({"kubeRBACProxy": {half: {"name": "n", "key": "k"}}}),
        );
        assert_eq!(
            Case::kubernetes(spec).refusal(),
            "spec.kubeRBACProxy: tlsCertificateSecret and tlsKeySecret MUST be set together"
        );
    }
}

// The dashboard.

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

// The proxy.

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

// The database.

#[test]
fn no_password_is_in_an_argument_or_anywhere_but_in_its_secret() {
    let postgres = json!({"rest": {}, "postgres": {"host": "db", "username": "u", "database": "d",
                          "passwordSecret": {"name": "db", "key": "password"}}});
    for spec in [mysql(), postgres] {
        let case = Case::openshift(spec).with(secret("db", &json!({"password": "s3cr3t-value"})));
        let text = format!("{:?} {:?}", case.plan(), case.observe());
        assert!(!text.contains("s3cr3t-value"));
        assert!(
            !args(&case.pod(), 0)
                .iter()
                .any(|arg| arg.contains("dsn") || arg.contains("PASSWORD"))
        );
    }
}

#[test]
fn a_postgres_address_holds_any_user_and_database() {
    let spec = json!({"rest": {}, "postgres": {"host": "fd00::7", "username": "a@b:c/$(X)", "database": "d?x#é",
                      "passwordSecret": {"name": "db", "key": "password"}, "sslMode": "prefer"}});
    let pod = Case::kubernetes(spec).pod();
    assert_eq!(
        env(&pod, "MR_EMBEDMD_DATABASE_DSN")["value"],
        "postgresql://a%40b%3Ac%2F%24%28X%29@[fd00::7]:5432/d%3Fx%23%C3%A9?sslmode=prefer"
    );
    assert_eq!(
        env(&pod, "PGPASSWORD")["valueFrom"]["secretKeyRef"],
        json!({"name": "db", "key": "password"})
    );
}

#[test]
fn a_mysql_address_gets_the_password_from_the_kubelet_and_nothing_else() {
    let spec = merged(mysql(), &json!({"mysql": {"username": "u$(HOME)"}}));
    let pod = Case::kubernetes(spec).pod();
    assert_eq!(
        env(&pod, "MR_EMBEDMD_DATABASE_DSN")["value"],
        "u$$(HOME):$(MYSQL_PASSWORD)@tcp(db:3306)/registry?charset=utf8mb4"
    );
    let env = pod["containers"][0]["env"].as_array().unwrap();
    assert_eq!(
        env[0]["name"], "MYSQL_PASSWORD",
        "a variable is only expanded after its definition"
    );
}

#[test]
fn the_mode_of_tls_is_honoured_as_written() {
    let flag = "--embedmd-database-ssl-verify-server-cert=true";
    for (mode, authority, verifies) in [
        ("disable", false, false),
        ("prefer", false, false),
        ("require", false, false),
        ("verify-ca", false, false),
        ("verify-full", false, true),
        // The driver takes require with an authority for verify-ca, and so does the server.
        ("require", true, false),
        ("verify-ca", true, false),
        ("verify-full", true, true),
        // These would not look at the authority.
        ("disable", true, true),
        ("allow", true, true),
        ("prefer", true, true),
    ] {
        let mut spec = json!({"rest": {}, "postgres": {"host": "db", "sslMode": mode}});
        if authority {
            spec["postgres"]["sslRootCertificateSecret"] = json!({"name": "ca", "key": "ca.crt"});
        }
        let case = Case::kubernetes(spec);
        let pod = case.pod();
        let dsn = env(&pod, "MR_EMBEDMD_DATABASE_DSN")["value"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(dsn.ends_with(&format!("?sslmode={mode}")), "{dsn}");
        assert_eq!(
            args(&pod, 0).contains(&flag.to_owned()),
            verifies,
            "{mode} {authority}"
        );
        let raised = authority && verifies && mode != "verify-full";
        assert_eq!(
            case.validate().unwrap().warnings.len(),
            usize::from(raised),
            "{mode} {authority}"
        );
    }
}

#[test]
fn a_mysql_authority_verifies_unless_the_resource_says_no() {
    for (asked, expected) in [(None, "true"), (Some(true), "true"), (Some(false), "false")] {
        let spec = merged(
            mysql(),
            &json!({"mysql": {"sslRootCertificateConfigMap": {"name": "ca", "key": "ca.crt"},
                              "verifyServerCert": asked}}),
        );
        let flag = format!("--embedmd-database-ssl-verify-server-cert={expected}");
        assert!(
            args(&Case::kubernetes(spec).pod(), 0).contains(&flag),
            "{asked:?}"
        );
    }
}

#[test]
fn a_directory_of_authorities_becomes_one_file_without_keys() {
    let block =
        |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let key = "-----BEGIN PRIVATE KEY-----\nk\n-----END PRIVATE KEY-----\n";
    let spec = merged(
        mysql(),
        &json!({"mysql": {"sslRootCertificatesSecretName": "cas"}}),
    );
    let case = || Case::kubernetes(spec.clone());
    let filled = case().with(secret(
        "cas",
        &json!({"a": block("1") + key, "b": block("2")}),
    ));
    assert_eq!(
        filled.object("ConfigMap", "sample-database-ca")["data"]["ca-bundle.crt"],
        block("1") + &block("2")
    );
    assert!(
        args(&filled.pod(), 0)
            .contains(&"--embedmd-database-ssl-ca=/etc/mysql_ssl_rootcerts/ca-bundle.crt".into())
    );
    assert_eq!(
        case().object("ConfigMap", "sample-database-ca"),
        Value::Null,
        "the pod waits for it"
    );
    let troubles = case()
        .with(secret("cas", &json!({"a": "x"})))
        .validate()
        .unwrap()
        .troubles;
    assert_eq!(
        troubles.last().unwrap().to_string(),
        "spec.mysql.sslRootCertificatesSecretName: no key of Secret cas holds a PEM certificate; add one"
    );
}

#[test]
fn what_is_missing_is_named_and_stops_nothing() {
    let says = |case: Case| {
        assert_ne!(case.pod(), Value::Null);
        case.validate()
            .unwrap()
            .troubles
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        says(Case::kubernetes(mysql())),
        ["spec.mysql.passwordSecret: Secret db does not exist; create it"]
    );
    assert_eq!(
        says(Case::kubernetes(mysql()).with(secret("db", &json!({"other": "x"})))),
        ["spec.mysql.passwordSecret: Secret db has no key password; add it or name another key"]
    );
    assert_eq!(
        says(Case::kubernetes(mysql()).with(secret("db", &json!({"password": "a?b"})))),
        [
            "spec.mysql.passwordSecret: key password of Secret db has the character '?', \
          which the registry cannot pass on to MySQL; choose another value"
        ]
    );
    let postgres = json!({"rest": {}, "postgres": {"host": "db", "username": "u", "database": "d",
                          "passwordSecret": {"name": "db", "key": "password"}}});
    assert!(
        says(Case::kubernetes(postgres).with(secret("db", &json!({"password": "a?b/ü$(X)"}))))
            .is_empty()
    );
}

#[test]
fn pods_roll_with_the_values_in_use_and_with_no_others() {
    let hash = |data: Value| {
        Case::kubernetes(mysql()).with(secret("db", &data)).object("Deployment", "sample")["spec"]["template"]
            ["metadata"]["annotations"]["modelregistry.opendatahub.io/inputs-hash"]
            .take()
    };
    let one = hash(json!({"password": "1", "other": "x"}));
    assert_eq!(one, hash(json!({"password": "1", "other": "y"})));
    assert_ne!(one, hash(json!({"password": "2", "other": "x"})));
}

#[test]
fn a_database_that_is_away_restarts_nothing() {
    let container = Case::openshift(mysql()).pod()["containers"][0].take();
    for probe in ["livenessProbe", "startupProbe"] {
        assert_eq!(container[probe]["tcpSocket"]["port"], "http-api", "{probe}");
        assert_eq!(container[probe].get("httpGet"), None);
    }
    assert_eq!(
        container["readinessProbe"]["httpGet"]["path"],
        "/readyz/health"
    );
    let startup = &container["startupProbe"];
    let patience =
        startup["periodSeconds"].as_i64().unwrap() * startup["failureThreshold"].as_i64().unwrap();
    assert!(patience > 300, "the server tries for five minutes");
}

#[test]
fn what_the_user_sets_is_kept() {
    let spec = merged(
        mysql(),
        &json!({"rest": {"image": "quay.io/opendatahub/model-registry:v1",
                         "resources": {"requests": {"cpu": "1"}}}}),
    );
    let container = Case::kubernetes(spec).pod()["containers"][0].take();
    assert_eq!(container["image"], "quay.io/opendatahub/model-registry:v1");
    assert_eq!(container["resources"], json!({"requests": {"cpu": "1"}}));
}

#[test]
fn no_image_comes_from_elsewhere_than_the_environment() {
    let case = Case::kubernetes(generated()).environment(&[
        (
            "RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE",
            "registry@sha256:1",
        ),
        ("RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE", "proxy@sha256:2"),
        ("RELATED_IMAGE_POSTGRESQL_16_IMAGE", "postgres@sha256:3"),
    ]);
    let text = printed(&case);
    let images: Vec<_> = text
        .lines()
        .filter(|line| line.trim_start().contains("image:"))
        .collect();
    assert_eq!(images.len(), 3);
    assert!(
        images.iter().all(|line| line.contains("@sha256:")),
        "{images:?}"
    );
}

// The generated Postgres.

/// The Deployment, Secret and volume as the cluster has them, made by `case`.
fn live(case: &Case) -> Vec<Value> {
    let plan = case.plan();
    [
        ("Deployment", "sample-postgres"),
        ("Secret", "sample-postgres-credentials"),
        ("PersistentVolumeClaim", "sample-postgres-storage"),
    ]
    .map(|(kind, name)| find(&plan, kind, name))
    .into()
}

fn with_all(mut case: Case, documents: &[Value]) -> Case {
    case.documents.extend_from_slice(documents);
    case
}

#[test]
fn taking_over_a_postgres_changes_nothing_in_its_pods() {
    let mut found = live(&Case::kubernetes(generated()));
    // The Go operator sets neither.
    found[0]["spec"]["template"]["spec"]["securityContext"]
        .as_object_mut()
        .unwrap()
        .remove("fsGroup");
    found[0]["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    let taken =
        with_all(Case::kubernetes(generated()), &found).object("Deployment", "sample-postgres");
    assert_eq!(taken["spec"], found[0]["spec"]);
    let baseline = "modelregistry.opendatahub.io/credentials-baseline";
    assert!(taken["metadata"]["annotations"][baseline].is_string());
}

#[test]
fn a_new_password_restarts_postgres_and_the_registry_once() {
    let first = Case::kubernetes(generated());
    let mut found = live(&first);
    let same = with_all(Case::kubernetes(generated()), &found);
    let stable = same.object("Deployment", "sample-postgres");
    assert_eq!(stable, found[0]);
    assert_eq!(
        same.object("Secret", "sample-postgres-credentials")["data"],
        found[1]["data"]
    );

    found[1]["data"]["password"] = "bmV3".into();
    let changed = with_all(Case::kubernetes(generated()), &found);
    let rolled = changed.object("Deployment", "sample-postgres");
    let hash = "modelregistry.opendatahub.io/inputs-hash";
    assert!(rolled["spec"]["template"]["metadata"]["annotations"][hash].is_string());
    assert_eq!(rolled["metadata"], stable["metadata"], "the baseline stays");
    let template =
        |case: &Case| case.object("Deployment", "sample")["spec"]["template"]["metadata"].take();
    assert_ne!(template(&same), template(&changed));

    found[0] = rolled.clone();
    assert_eq!(
        with_all(Case::kubernetes(generated()), &found).object("Deployment", "sample-postgres"),
        rolled
    );
}

#[test]
fn the_class_of_a_volume_is_fixed_and_its_size_only_grows() {
    let asks = |size: &str, class: &str| {
        merged(
            generated(),
            &json!({"postgres": {"storage": {"size": size, "storageClassName": class}}}),
        )
    };
    let mut found = live(&Case::kubernetes(asks("2Gi", "fast")));
    assert_eq!(found[2]["spec"]["storageClassName"], "fast");
    found[2]["spec"]["storageClassName"] = "chosen-by-the-cluster".into();
    for (size, planned, warnings) in [("10Gi", "10Gi", 1), ("500Mi", "2Gi", 2)] {
        let case = with_all(Case::kubernetes(asks(size, "fast")), &found);
        let spec = case.object("PersistentVolumeClaim", "sample-postgres-storage")["spec"].take();
        assert_eq!(spec["resources"]["requests"]["storage"], planned);
        assert_eq!(spec["storageClassName"], "chosen-by-the-cluster");
        assert_eq!(case.validate().unwrap().warnings.len(), warnings);
    }
}

#[test]
fn data_outlives_its_use_as_the_resource_says() {
    let policy = |policy: &str| {
        merged(
            generated(),
            &json!({"postgres": {"deletionPolicy": policy}}),
        )
    };
    let owner = |case: &Case, kind: &str, name: &str| {
        let object = case.object(kind, name);
        object
            .pointer("/metadata/ownerReferences/0/uid")
            .cloned()
            .unwrap_or_default()
    };
    let data = [
        ("PersistentVolumeClaim", "sample-postgres-storage"),
        ("Secret", "sample-postgres-credentials"),
    ];
    for (kind, name) in data {
        assert_eq!(owner(&Case::kubernetes(generated()), kind, name), UID);
        assert_eq!(
            owner(&Case::kubernetes(policy("Retain")), kind, name),
            Value::Null
        );
    }

    let found = live(&Case::kubernetes(generated()));
    let off = |deletion_policy: Option<&str>| {
        let spec = json!({"rest": {}, "kubeRBACProxy": {}, "postgres": {"host": "db",
                          "generateDeployment": false, "deletionPolicy": deletion_policy}});
        with_all(Case::kubernetes(spec), &found)
    };
    for (deletion_policy, kept, fate) in [
        (None, true, LeftData::Kept),
        (Some("Retain"), true, LeftData::Retained),
        (Some("Delete"), false, LeftData::Deleted),
    ] {
        let case = off(deletion_policy);
        let plan = case.plan();
        assert_eq!(case.validate().unwrap().left_data, Some(fate));
        for (kind, name) in [
            (
                resources::kind::PERSISTENT_VOLUME_CLAIM,
                "sample-postgres-storage",
            ),
            (resources::kind::SECRET, "sample-postgres-credentials"),
        ] {
            assert_eq!(
                plan.has(kind, Some("ns"), name),
                kept,
                "{deletion_policy:?} {name}"
            );
        }
        assert!(!plan.has(resources::kind::DEPLOYMENT, Some("ns"), "sample-postgres"));
    }
    assert_eq!(
        owner(
            &off(Some("Retain")),
            "PersistentVolumeClaim",
            "sample-postgres-storage"
        ),
        Value::Null
    );
    // The other database is used now, and nobody said anything about the data.
    assert_eq!(
        with_all(Case::kubernetes(mysql()), &found)
            .validate()
            .unwrap()
            .left_data,
        Some(LeftData::Kept)
    );
}

// The gateway.

#[test]
fn registries_share_a_grant_and_leave_that_of_others_alone() {
    let gateway = [("GATEWAY_DOMAIN", "gw.example.test")];
    let grant = |owners: Value| {
        json!({"apiVersion": "gateway.networking.k8s.io/v1beta1", "kind": "ReferenceGrant",
               "metadata": {"name": "allow-gateway-httproutes", "namespace": "ns", "resourceVersion": "5",
                            "ownerReferences": owners}})
    };
    let other = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
                       "name": "other", "uid": "ffff"});
    let shared = Case::openshift(mysql())
        .environment(&gateway)
        .with(grant(json!([other])))
        .plan();
    let planned = shared
        .objects()
        .iter()
        .find(|o| o.kind.kind == "ReferenceGrant")
        .unwrap();
    assert_eq!(planned.precondition, Precondition::Version("5".into()));
    let owners = planned.body["metadata"]["ownerReferences"]
        .as_array()
        .unwrap();
    assert_eq!(
        owners
            .iter()
            .map(|owner| owner["uid"].as_str().unwrap())
            .collect::<Vec<_>>(),
        [UID, "ffff"]
    );
    assert!(owners.iter().all(|owner| owner.get("controller").is_none()));

    let given = Case::openshift(mysql())
        .environment(&gateway)
        .with(grant(json!([])))
        .plan();
    assert_eq!(
        find(&given, "ReferenceGrant", "allow-gateway-httproutes"),
        Value::Null
    );
    assert!(given.has(
        resources::kind::REFERENCE_GRANT,
        Some("ns"),
        "allow-gateway-httproutes"
    ));
}

#[test]
fn what_has_no_effect_is_said() {
    let spec = merged(
        mysql(),
        &json!({"grpc": {"port": 1}, "enable_database_upgrade": true, "downgrade_db_schema_version": 1,
                "oauthProxy": {"image": "x"},
                "postgres": {"host": "h", "hostAddress": "10.0.0.1", "skipDBCreation": true}}),
    );
    let warnings = Case::kubernetes(spec).validate().unwrap().warnings;
    let fields: Vec<_> = warnings
        .iter()
        .map(|w| w.to_string().split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(
        fields,
        [
            "spec.grpc",
            "spec.enable_database_upgrade",
            "spec.downgrade_db_schema_version",
            "spec.oauthProxy.image",
            "spec.mysql",
            "spec.postgres.skipDBCreation",
            "spec.postgres.hostAddress"
        ]
    );
}
