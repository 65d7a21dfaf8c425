//! Resources in, objects out.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first surprise"
)]

mod access;
mod authorities;
mod dashboard;
mod database;
mod gateway;
mod mesh;
mod names;
mod pods;
mod postgres;
mod proxy;
mod spec;
#[path = "../support/mod.rs"]
mod support;
mod ways;

use operator_harness::bodies;
use resources::kind::{BACKEND_TLS_POLICY, CERTIFICATE, HTTP_ROUTE};
use runtime::offline::documents;
use serde_json::{Value, json};

use support::{Case, mysql, secret};

/// The plan as documents. What is random has a placeholder.
fn printed(case: &Case) -> String {
    let plan = case.plan();
    let bodies = bodies(&plan).into_iter().map(|mut body| {
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
        "access": [{"users": ["ann"], "serviceAccounts": [{"namespace": "ds1", "name": "pipeline"}]},
            {"role": "viewer", "groups": ["system:authenticated"], "namespaces": ["ds2"]}],
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
fn snapshot_kubernetes_exposed() {
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let case = Case::kubernetes(ways::by_gateway_and_ingress())
        .with(secret("db", &json!({"password": "p"})))
        .with(secret(
            "sample-kube-rbac-proxy-cert",
            &json!({"ca.crt": pem}),
        ))
        .serving(&[HTTP_ROUTE, BACKEND_TLS_POLICY, CERTIFICATE]);
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
