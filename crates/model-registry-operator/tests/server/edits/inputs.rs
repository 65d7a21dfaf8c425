//! What the spec refers to: another value of a key in use rolls the pods, anything else does not.

use std::time::Duration;

use cluster::Platform;
use resources::kind::DEPLOYMENT;
use serde_json::{Value, json};

use super::{mysql, running};
use crate::harness::{World, postgres};

/// Long enough for a pass that should not do anything.
const A_WHILE: Duration = Duration::from_millis(1500);

/// An object that the spec refers to, of its own kind and name.
struct Input {
    kind: &'static str,
    name: &'static str,
    /// The key in use; `None` for all keys that hold certificates.
    key: Option<&'static str>,
    /// Whether the pods read it once.
    rolls: bool,
}

const fn secret(name: &'static str) -> Input {
    Input {
        kind: "Secret",
        name,
        key: Some("used"),
        rolls: true,
    }
}

const fn config_map(name: &'static str) -> Input {
    Input {
        kind: "ConfigMap",
        name,
        key: Some("used"),
        rolls: true,
    }
}

fn certificate() -> String {
    rcgen::generate_simple_self_signed(["db.example.test".to_owned()])
        .expect("a certificate")
        .cert
        .pem()
}

impl Input {
    async fn write(&self, world: &World, used: &str, unrelated: &str, annotation: &str) {
        let data = if self.kind == "Secret" {
            "stringData"
        } else {
            "data"
        };
        world
            .apply(
                &json!({"apiVersion": "v1", "kind": self.kind, data: {"used": used, "unrelated": unrelated},
                    "metadata": {"name": self.name, "annotations": {"example.test/note": annotation}}})
                .to_string(),
            )
            .await;
    }

    fn key(&self) -> Value {
        json!({"name": self.name, "key": self.key.unwrap_or_default()})
    }
}

async fn generation(world: &World, name: &str) -> i64 {
    let deployment = world.until(DEPLOYMENT, name, |_| true).await;
    deployment.metadata.generation.unwrap_or_default()
}

async fn rotate(name: &str, spec: Value, inputs: &[Input]) {
    let world = crate::harness::world(Platform::Kubernetes, "rotate").await;
    for input in inputs {
        input.write(&world, &certificate(), "a", "a").await;
    }
    world.registry(name, spec).await;
    world.available(name).await;
    for input in inputs {
        let what = format!("{} {}", input.kind, input.name);
        let first = certificate();
        let before = generation(&world, name).await;
        input.write(&world, &first, "a", "a").await;
        if input.rolls {
            world
                .until(DEPLOYMENT, name, |d| d.metadata.generation > Some(before))
                .await;
        } else {
            tokio::time::sleep(A_WHILE).await;
        }
        let rolled = generation(&world, name).await;
        assert_eq!(
            rolled - before,
            i64::from(input.rolls),
            "{what}: one roll, or none"
        );
        world.available(name).await;
        input.write(&world, &first, "a", "b").await;
        input.write(&world, &first, "b", "b").await;
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(
            generation(&world, name).await,
            rolled,
            "{what}: a key that is not used, and an annotation"
        );
    }
}

#[tokio::test]
async fn what_a_postgres_refers_to() {
    const INPUTS: &[Input] = &[
        secret("password"),
        secret("certificate"),
        secret("key"),
        secret("phrase"),
        config_map("ca"),
    ];
    let [password, certificate, key, phrase, ca] = INPUTS else {
        unreachable!()
    };
    let mut spec = postgres();
    spec["postgres"]["passwordSecret"] = password.key();
    spec["postgres"]["sslCertificateSecret"] = certificate.key();
    spec["postgres"]["sslKeySecret"] = key.key();
    spec["postgres"]["sslPasswordSecret"] = phrase.key();
    spec["postgres"]["sslRootCertificateConfigMap"] = ca.key();
    rotate("rotate-postgres", spec, INPUTS).await;
}

#[tokio::test]
async fn a_postgres_authority_in_a_secret() {
    let input = secret("ca");
    let mut spec = postgres();
    spec["postgres"]["sslRootCertificateSecret"] = input.key();
    rotate("rotate-authority", spec, &[input]).await;
}

#[tokio::test]
async fn what_a_mysql_refers_to() {
    const INPUTS: &[Input] = &[
        secret("password"),
        secret("certificate"),
        secret("key"),
        config_map("ca"),
        Input {
            key: None,
            ..config_map("directory")
        },
    ];
    let [password, certificate, key, ca, directory] = INPUTS else {
        unreachable!()
    };
    let mut spec = mysql();
    spec["mysql"]["passwordSecret"] = password.key();
    spec["mysql"]["sslCertificateSecret"] = certificate.key();
    spec["mysql"]["sslKeySecret"] = key.key();
    spec["mysql"]["sslRootCertificateConfigMap"] = ca.key();
    spec["mysql"]["sslRootCertificatesConfigMapName"] = json!(directory.name);
    rotate("rotate-mysql", spec, INPUTS).await;
}

#[tokio::test]
async fn mysql_authorities_in_secrets() {
    let (ca, directory) = (
        secret("ca"),
        Input {
            key: None,
            ..secret("directory")
        },
    );
    let mut spec = mysql();
    spec["mysql"]["sslRootCertificateSecret"] = ca.key();
    spec["mysql"]["sslRootCertificatesSecretName"] = json!(directory.name);
    rotate("rotate-authorities", spec, &[ca, directory]).await;
}

/// It reads a changed one by itself.
#[tokio::test]
async fn a_certificate_of_the_proxy_rolls_nothing() {
    let (certificate, key) = (
        Input {
            rolls: false,
            ..secret("certificate")
        },
        Input {
            rolls: false,
            ..secret("key")
        },
    );
    let mut spec = postgres();
    spec["kubeRBACProxy"] =
        json!({"tlsCertificateSecret": certificate.key(), "tlsKeySecret": key.key()});
    rotate("rotate-proxy", spec, &[certificate, key]).await;
}

/// What does not exist is waited for, and noticed when it comes.
#[tokio::test]
async fn what_is_missing_is_named_and_noticed_when_it_comes() {
    let mut spec = postgres();
    spec["postgres"]["sslRootCertificateConfigMap"] = json!({"name": "later", "key": "used"});
    let world = crate::harness::world(Platform::Kubernetes, "later").await;
    world.registry("later-ca", spec).await;
    let condition = world
        .condition("later-ca", "DatabaseConfigValid", "False")
        .await;
    let message = condition["message"].as_str().unwrap_or_default();
    assert_eq!(
        message,
        "spec.postgres.sslRootCertificateConfigMap: ConfigMap later does not exist; create it"
    );
    world.condition("later-ca", "Available", "False").await;
    config_map("later")
        .write(&world, &certificate(), "a", "a")
        .await;
    world
        .condition("later-ca", "DatabaseConfigValid", "True")
        .await;
    world.available("later-ca").await;
}

/// The directory becomes one file, of certificates alone.
#[tokio::test]
async fn a_directory_of_authorities_becomes_one_file_of_certificates() {
    let mut spec = mysql();
    spec["mysql"]["sslRootCertificatesSecretName"] = json!("other");
    let world = running(Platform::Kubernetes, "bundle", spec).await;
    let bundle = world
        .until(resources::kind::CONFIG_MAP, "bundle-database-ca", |_| true)
        .await;
    let text = bundle.data["data"]["ca-bundle.crt"]
        .as_str()
        .expect("the file")
        .to_owned();
    assert_eq!(
        text.matches("BEGIN CERTIFICATE").count(),
        2,
        "tls.crt and ca.crt"
    );
    assert!(!text.contains("PRIVATE KEY"));
}
