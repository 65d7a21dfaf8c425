//! The database: its address, its authorities, and what is missing of it.

use serde_json::{Value, json};

use crate::support::{Case, args, env, merged, mysql, secret};

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
