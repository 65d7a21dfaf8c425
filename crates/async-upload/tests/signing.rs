//! Signatures, against services with keys of their own and a real registry.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod fakes;
mod servers;

use std::path::{Path, PathBuf};
use std::process::Command;

use async_upload::cli::SignatureForm;
use async_upload::config::Signing;
use async_upload::failure::Patience;
use async_upload::oci::{self, Repository, media};
use async_upload::settings::{OciAuth, OciImage, Secret, Tls};
use async_upload::sign::Signer;
use async_upload::transfer::FileDigest;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use fakes::sigstore::{ISSUER, Sigstore};

const IDENTITY: &str = "https://kubernetes.io/namespaces/models/serviceaccounts/uploader";
const PATIENCE: Patience = Patience { retries: 1 };

/// Services, a token and somewhere for files.
struct Place {
    sigstore: Sigstore,
    dir: TempDir,
}

impl Place {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let token = Sigstore::token("models", "uploader");
        std::fs::write(dir.path().join("token"), token + "\n").unwrap();
        Self {
            sigstore: Sigstore::start().await,
            dir,
        }
    }

    fn signing(&self, form: SignatureForm) -> Signing {
        let url = self.sigstore.url().parse().unwrap();
        Signing {
            tuf: self.sigstore.tuf().parse().unwrap(),
            tuf_root: None,
            fulcio: url,
            rekor: self.sigstore.url().parse().unwrap(),
            tsa: None,
            token: self.dir.path().join("token"),
            form,
        }
    }

    fn trusted_root(&self) -> PathBuf {
        let path = self.dir.path().join("trusted_root.json");
        std::fs::write(&path, self.sigstore.trusted_root().to_string()).unwrap();
        path
    }
}

/// Writes a model and says what is in it.
fn model(dir: &Path) -> Vec<FileDigest> {
    let mut files = Vec::new();
    for (path, content) in [
        ("config.json", "{}"),
        ("weights/config.json", "{\"a\": 1}"),
        ("weights/model-00001.safetensors", "weights"),
        (".gitattributes", "* text"),
    ] {
        let file = dir.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
        files.push(FileDigest {
            path: path.to_owned(),
            size: content.len() as u64,
            sha256: Some(oci::hex(&Sha256::digest(content))),
        });
    }
    files
}

/// An image of one layer.
async fn push(address: &str) -> (OciImage, String) {
    push_as(address, OciAuth::Anonymous).await
}

async fn push_as(address: &str, auth: OciAuth) -> (OciImage, String) {
    let image = OciImage {
        reference: format!("{address}/org/model:v1").parse().unwrap(),
        auth,
        tls: Tls {
            verify: false,
            ca_files: Vec::new(),
        },
    };
    let repository = Repository::new(&image, PATIENCE).unwrap();
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = repository
        .put_blob(media::CONFIG, Bytes::from(config.to_string()))
        .await
        .unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::MANIFEST, "config": config, "layers": [],
    });
    let content = Bytes::from(manifest.to_string());
    let (digest, _) = repository
        .put_manifest("v1", media::MANIFEST, &content)
        .await
        .unwrap();
    (image, digest)
}

#[tokio::test]
async fn a_model_is_signed_and_its_signature_verified() {
    let place = Place::new().await;
    let files = model(place.dir.path());
    let signer = Signer::new(&place.signing(SignatureForm::Cosign3))
        .await
        .unwrap();
    let signature = signer.sign_model(&files).await.unwrap();
    let bundle: Value = serde_json::from_slice(&signature).unwrap();
    assert_eq!(
        bundle["mediaType"],
        "application/vnd.dev.sigstore.bundle.v0.3+json"
    );
    assert_eq!(
        bundle["dsseEnvelope"]["payloadType"],
        "application/vnd.in-toto+json"
    );
}

#[tokio::test]
async fn a_known_root_is_used_and_another_refused() {
    let place = Place::new().await;
    let root = place.dir.path().join("root.json");
    let mut signing = place.signing(SignatureForm::Cosign3);
    signing.tuf_root = Some(root.clone());
    std::fs::write(&root, place.sigstore.tuf_root()).unwrap();
    Signer::new(&signing).await.unwrap();
    std::fs::write(&root, Sigstore::start().await.tuf_root()).unwrap();
    let failure = Signer::new(&signing).await.unwrap_err();
    assert!(failure.cause.contains("TUF"), "{}", failure.cause);
}

#[tokio::test]
async fn a_service_that_the_repository_does_not_know_is_refused() {
    let place = Place::new().await;
    let mut signing = place.signing(SignatureForm::Cosign3);
    signing.fulcio = Sigstore::start().await.url().parse().unwrap();
    let signer = Signer::new(&signing).await.unwrap();
    let failure = signer
        .sign_model(&model(place.dir.path()))
        .await
        .unwrap_err();
    assert!(
        failure.cause.contains("verifying the model's signature"),
        "{}",
        failure.cause
    );
    assert!(!failure.retriable);
}

#[tokio::test]
async fn a_timestamp_authority_is_asked_and_its_refusal_is_told() {
    use std::sync::{Arc, Mutex};
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let handler = move |request: axum::extract::Request| {
        let kind = request.headers()["content-type"].to_str().unwrap();
        log.lock()
            .unwrap()
            .push((request.uri().path().to_owned(), kind.to_owned()));
        std::future::ready(axum::http::StatusCode::FORBIDDEN)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(handler);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let place = Place::new().await;
    let mut signing = place.signing(SignatureForm::Cosign3);
    signing.tsa = Some(format!("http://{address}").parse().unwrap());
    let signer = Signer::new(&signing).await.unwrap();
    let failure = signer.sign_model(&model(place.dir.path())).await;
    // A signature that should have a time and has none is no signature.
    let failure = failure.unwrap_err();
    assert!(failure.cause.contains("403"), "{}", failure.cause);
    let asked = asked.lock().unwrap();
    let expected = (
        "/api/v1/timestamp".to_owned(),
        "application/timestamp-query".to_owned(),
    );
    assert!(
        !asked.is_empty() && asked.iter().all(|one| *one == expected),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_missing_or_strange_token_is_told_before_anything_moves() {
    let place = Place::new().await;
    let signing = place.signing(SignatureForm::Cosign3);
    std::fs::write(&signing.token, "no token").unwrap();
    let failure = Signer::new(&signing).await.unwrap_err();
    assert!(failure.cause.contains("no JWT"), "{}", failure.cause);
    std::fs::remove_file(&signing.token).unwrap();
    let failure = Signer::new(&signing).await.unwrap_err();
    assert!(failure.remedy.contains("--signing-identity-token-path"));
}

#[tokio::test]
async fn an_image_is_signed_where_cosign_looks() {
    let place = Place::new().await;
    let registry = servers::registry(&servers::Access::default());
    let (image, digest) = push(&registry.address).await;
    let repository = Repository::new(&image, PATIENCE).unwrap();

    let signer = Signer::new(&place.signing(SignatureForm::Cosign3))
        .await
        .unwrap();
    signer.sign_image(&image, &digest).await.unwrap();
    let tag = digest.replace(':', "-");
    let index = repository.manifest(&tag).await.unwrap().unwrap();
    let index: Value = serde_json::from_slice(&index.content).unwrap();
    let kind = "application/vnd.dev.sigstore.bundle.v0.3+json";
    assert_eq!(index["manifests"][0]["artifactType"], kind);
    let listed = index["manifests"][0]["digest"].as_str().unwrap();
    let signature = repository.manifest(listed).await.unwrap().unwrap();
    let signature: Value = serde_json::from_slice(&signature.content).unwrap();
    assert_eq!(signature["subject"]["digest"], digest.as_str());
    assert_eq!(signature["layers"][0]["mediaType"], kind);

    let signer = Signer::new(&place.signing(SignatureForm::Cosign2))
        .await
        .unwrap();
    for count in 1..=2 {
        signer.sign_image(&image, &digest).await.unwrap();
        let signatures = repository
            .manifest(&format!("{tag}.sig"))
            .await
            .unwrap()
            .unwrap();
        let signatures: Value = serde_json::from_slice(&signatures.content).unwrap();
        assert_eq!(
            signatures["layers"].as_array().unwrap().len(),
            count,
            "others stay"
        );
    }
}

#[tokio::test]
async fn a_registry_with_a_password_takes_the_signature() {
    let place = Place::new().await;
    let registry = servers::registry(&servers::Access {
        // up:s3cret
        htpasswd: Some("up:$2b$04$xEPRRo2mY2MPBDgXeKKleevTSsKL/7Nu0nezM8xbXaZxH9j5AUBcC"),
        ..servers::Access::default()
    });
    let auth = OciAuth::Basic {
        username: "up".to_owned(),
        password: Secret::new("s3cret"),
    };
    let (mut image, digest) = push_as(&registry.address, auth).await;
    let signer = Signer::new(&place.signing(SignatureForm::Cosign3))
        .await
        .unwrap();
    signer.sign_image(&image, &digest).await.unwrap();
    image.auth = OciAuth::Anonymous;
    let failure = signer.sign_image(&image, &digest).await.unwrap_err();
    assert!(failure.cause.contains("401"), "{}", failure.cause);
}

#[tokio::test]
async fn an_image_that_is_gone_is_named() {
    let place = Place::new().await;
    let registry = servers::registry(&servers::Access::default());
    let (image, _) = push(&registry.address).await;
    let signer = Signer::new(&place.signing(SignatureForm::Cosign3))
        .await
        .unwrap();
    let other = format!("sha256:{}", "0".repeat(64));
    let failure = signer.sign_image(&image, &other).await.unwrap_err();
    assert!(failure.cause.contains(&other), "{}", failure.cause);
}

/// Runs a program of somebody else and gives what it says.
fn witness(command: &mut Command) -> Result<String, String> {
    let output = command.output().unwrap();
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        Ok(said)
    } else {
        Err(said)
    }
}

/// The Python programs verify a directory as it is in the image.
#[tokio::test]
#[ignore = "installs Python programs"]
async fn python_verifies_the_models_signature() {
    let python = cluster::tools::python(
        "model-signing",
        &["model-signing==1.1.1", "sigstore==4.2.0"],
    )
    .unwrap();
    let place = Place::new().await;
    let dir = place.dir.path().join("models");
    let files = model(&dir);
    let signer = Signer::new(&place.signing(SignatureForm::Cosign3))
        .await
        .unwrap();
    std::fs::write(
        dir.join("model.sig"),
        signer.sign_model(&files).await.unwrap(),
    )
    .unwrap();
    let verify = || {
        witness(
            Command::new(python.join("python"))
                .arg("-c")
                .arg(include_str!("verify_model.py"))
                .args([&dir, &place.trusted_root()])
                .args([IDENTITY, ISSUER]),
        )
    };
    verify().unwrap_or_else(|said| panic!("{said}"));
    std::fs::write(dir.join("extra.bin"), "x").unwrap();
    assert!(verify().is_err(), "a file more is noticed");
    std::fs::remove_file(dir.join("extra.bin")).unwrap();
    std::fs::write(dir.join("config.json"), "{ }").unwrap();
    assert!(verify().is_err(), "another content is noticed");
}

/// cosign 3 verifies both forms.
#[tokio::test]
#[ignore = "builds cosign"]
async fn cosign_verifies_the_images_signature() {
    let cosign = cluster::tools::cosign().unwrap();
    let place = Place::new().await;
    let registry = servers::registry(&servers::Access::default());
    for (form, flag) in [
        (SignatureForm::Cosign3, "--new-bundle-format=true"),
        (SignatureForm::Cosign2, "--new-bundle-format=false"),
    ] {
        let (image, digest) = push(&registry.address).await;
        let signer = Signer::new(&place.signing(form)).await.unwrap();
        signer.sign_image(&image, &digest).await.unwrap();
        let verify = |identity: &str| {
            witness(
                Command::new(&cosign)
                    .args(["verify", flag, "--allow-http-registry", "--trusted-root"])
                    .arg(place.trusted_root())
                    .args(["--certificate-identity", identity])
                    .args(["--certificate-oidc-issuer", ISSUER])
                    .arg(format!("{}/org/model@{digest}", registry.address))
                    .env("HOME", place.dir.path()),
            )
        };
        verify(IDENTITY).unwrap_or_else(|said| panic!("{form:?}: {said}"));
        assert!(verify("https://example.com/somebody").is_err(), "{form:?}");
    }
}
