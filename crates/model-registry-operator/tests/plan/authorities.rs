//! The authorities that a dashboard lets an administrator choose for the database's certificate.

use std::fmt::Write as _;

use resources::merge;
use runtime::offline::documents;
use serde_json::{Value, json};

use crate::support::{Case, merged, mysql, secret};

/// What is chosen, in the words of the guide; the field without `sslRootCertificate`, the object
/// and its key.
const CHOICES: [(&str, &str, &str, &str); 5] = [
    (
        "cluster-wide CA bundle",
        "ConfigMap",
        "odh-trusted-ca-bundle",
        "ca-bundle.crt",
    ),
    (
        "platform's CA bundle",
        "ConfigMap",
        "odh-trusted-ca-bundle",
        "odh-ca-bundle.crt",
    ),
    ("key of any ConfigMap", "ConfigMap", "mine", "any.pem"),
    ("key of any Secret", "Secret", "mine", "any.pem"),
    ("uploaded", "ConfigMap", "db-credential", "ca.crt"),
];

fn postgres() -> Value {
    json!({"rest": {}, "postgres": {"host": "db", "username": "u", "database": "d", "sslMode": "verify-full",
        "passwordSecret": {"name": "db", "key": "password"}}})
}

/// What a choice changes in the Deployment, as a merge patch of it.
fn printed(block: &str, base: &Value) -> String {
    let with = |spec: Value, objects: Vec<Value>| {
        let mut case = Case::kubernetes(spec).with(secret("db", &json!({"password": "p"})));
        for object in objects {
            case = case.with(object);
        }
        let mut deployment = case.object("Deployment", "sample");
        // By flag and by name, so that only what differs is printed.
        let pod = &mut deployment["spec"]["template"]["spec"];
        let server = pod["containers"][0].clone();
        let flags = server["args"].as_array().unwrap().iter().map(|arg| {
            let (flag, value) = arg.as_str().unwrap().split_once('=').unwrap();
            (flag.to_owned(), json!(value))
        });
        let named = |list: &Value, value: &str| -> Value {
            let list = list.as_array().cloned().unwrap_or_default();
            let one = |item: Value| {
                (
                    item["name"].as_str().unwrap().to_owned(),
                    item[value].clone(),
                )
            };
            list.into_iter()
                .map(one)
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let whole = |list: &Value| -> Value {
            let list = list.as_array().cloned().unwrap_or_default();
            let one = |item: Value| (item["name"].as_str().unwrap().to_owned(), item);
            list.into_iter()
                .map(one)
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        json!({
            "args": flags.collect::<serde_json::Map<_, _>>(),
            "mounts": named(&server["volumeMounts"], "mountPath"),
            "volumes": whole(&pod["volumes"]),
            "annotations": deployment["spec"]["template"]["metadata"]["annotations"],
        })
    };
    let before = with(base.clone(), Vec::new());
    let mut text = String::new();
    for (words, kind, name, key) in CHOICES {
        let field = match kind {
            "ConfigMap" => "sslRootCertificateConfigMap",
            _ => "sslRootCertificateSecret",
        };
        let spec = merged(
            base.clone(),
            &json!({block: {field: {"name": name, "key": key}}}),
        );
        let data = if kind == "ConfigMap" {
            "data"
        } else {
            "stringData"
        };
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "ns"},
            data: {key: "pem", "other": "x"}});
        let change = merge::diff(&before, &with(spec, vec![object])).unwrap();
        writeln!(text, "# {words}").unwrap();
        text += &documents::write(&change).unwrap();
    }
    text
}

#[test]
fn snapshot_authorities_of_a_mysql() {
    insta::assert_snapshot!(printed("mysql", &mysql()));
}

#[test]
fn snapshot_authorities_of_a_postgres() {
    insta::assert_snapshot!(printed("postgres", &postgres()));
}
