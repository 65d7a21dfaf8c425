//! Ways out: proxies and certificate authorities that the environment names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod fakes;
mod place;
mod servers;

use std::path::{Path, PathBuf};
use std::process::Command;

use async_upload::settings::Source;
use fakes::proxy::{PASSWORD, Proxy};
use place::{Ended, Place};
use servers::bucket::{KEY_ID, SECRET, as_at_aws, bucket, put};
use servers::{Access, content, files, image, registry, run, to_image};

const REGISTRY: &str = "registry.example.test";
const IMAGE: &str = "registry.example.test/org/llama:v1";

/// A registry that nobody can reach under its name, except through the proxy, and the file with
/// its authority.
async fn behind_a_proxy() -> (Place, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate(dir.path(), REGISTRY);
    let images = registry(&Access {
        tls: Some((certificate.clone(), key)),
        ..Access::default()
    });
    let place = Place::with(images).await;
    let kept = place.dir.path().join("ca.crt");
    std::fs::copy(certificate, &kept).unwrap();
    (place, kept)
}

/// The files of a certificate for `host`, which is its own authority, and of its key.
fn certificate(dir: &Path, host: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
    let (certificate, key) = (dir.join("ca.crt"), dir.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (certificate, key)
}

/// The program as it would run in a cluster with a proxy.
fn command(place: &Place, proxy: &str) -> Command {
    let mut command = place.create();
    command
        .env("MODEL_SYNC_DESTINATION_OCI_URI", IMAGE)
        .env_remove("MODEL_SYNC_DESTINATION_OCI_ENABLE_TLS_VERIFY")
        .env("HTTPS_PROXY", proxy)
        .env("HTTP_PROXY", proxy)
        .env("NO_PROXY", "localhost,127.0.0.1");
    command
}

fn succeeded(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_the_proxy_except_what_it_is_not_for() {
    let (place, authority) = behind_a_proxy().await;
    let bucket = bucket().await;
    let weights = content(5, 3 << 20);
    put(&bucket.address, "m/w.bin", weights.clone()).await;
    let proxy = Proxy::start(vec![
        ("registry.example.test:443", place.images.address.clone()),
        ("s3.example.test:80", bucket.address.clone()),
    ])
    .await;
    let ended = place.run(
        command(&place, &proxy.url(PASSWORD))
            .env("SSL_CERT_FILE", &authority)
            .env_remove("MODEL_SYNC_SOURCE_PATH")
            .env("MODEL_SYNC_SOURCE_AWS_ENDPOINT", "http://s3.example.test")
            .env("MODEL_SYNC_SOURCE_AWS_BUCKET", "models")
            .env("MODEL_SYNC_SOURCE_AWS_KEY", "m")
            .env("MODEL_SYNC_SOURCE_AWS_ACCESS_KEY_ID", KEY_ID)
            .env("MODEL_SYNC_SOURCE_AWS_SECRET_ACCESS_KEY", SECRET),
    );
    succeeded(&ended);
    // The model registry was asked directly.
    assert_eq!(
        proxy.asked(),
        [
            "CONNECT registry.example.test:443",
            "GET s3.example.test:80"
        ]
    );
    assert_eq!(place.models.artifacts()[0]["state"], "LIVE");
    assert_eq!(place.models.artifacts()[0]["uri"], format!("oci://{IMAGE}"));

    assert!(sent(&place).await == ("models/w.bin".to_owned(), weights));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_an_endpoint_is_at_aws_in_its_region() {
    const HOST: &str = "models.s3.eu-west-1.amazonaws.com:443";
    let (place, authority) = behind_a_proxy().await;
    let bucket = bucket().await;
    let weights = content(6, 9 << 20);
    put(&bucket.address, "m/a b+c.bin", weights.clone()).await;
    let dir = tempfile::tempdir().unwrap();
    let (own, key) = certificate(dir.path(), HOST.trim_end_matches(":443"));
    let aws = as_at_aws(&bucket, &own, &key, "eu-west-1");
    let proxy = Proxy::start(vec![
        ("registry.example.test:443", place.images.address.clone()),
        (HOST, aws.address.clone()),
    ])
    .await;
    succeeded(
        &place.run(
            command(&place, &proxy.url(PASSWORD))
                .env("SSL_CERT_FILE", &authority)
                .env("AWS_CA_BUNDLE", &own)
                .env_remove("MODEL_SYNC_SOURCE_PATH")
                .env("MODEL_SYNC_SOURCE_AWS_BUCKET", "models")
                .env("MODEL_SYNC_SOURCE_AWS_REGION", "eu-west-1")
                .env("MODEL_SYNC_SOURCE_AWS_KEY", "m")
                .env("MODEL_SYNC_SOURCE_AWS_ACCESS_KEY_ID", KEY_ID)
                .env("MODEL_SYNC_SOURCE_AWS_SECRET_ACCESS_KEY", SECRET),
        ),
    );
    assert!(
        proxy.asked().contains(&format!("CONNECT {HOST}")),
        "{:?}",
        proxy.asked()
    );
    assert!(sent(&place).await == ("models/a b+c.bin".to_owned(), weights));
}

/// The one file of the image that was sent, read by another program.
async fn sent(place: &Place) -> (String, Vec<u8>) {
    let open = registry(&Access::default());
    let copy = format!("{}/copy:v1", open.address);
    let there = image(&format!("{}/org/llama:v1", place.images.address));
    run(&to_image(Source::Oci(there), &copy, None))
        .await
        .unwrap();
    let (path, .., content) = files(&copy).remove(0);
    (path, content)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_variable_for_authorities_is_honoured() {
    let (place, authority) = behind_a_proxy().await;
    let proxy = Proxy::start(vec![(
        "registry.example.test:443",
        place.images.address.clone(),
    )])
    .await;
    let url = proxy.url(PASSWORD);
    let ended = place.run(&mut command(&place, &url));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    for word in [REGISTRY, "certificate", "authority"] {
        assert!(ended.last_words.contains(word), "{}", ended.last_words);
    }
    for variable in [
        "SSL_CERT_FILE",
        "AWS_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
    ] {
        succeeded(&place.run(command(&place, &url).env(variable, &authority)));
    }
    let ended = place.run(command(&place, &url).env("AWS_CA_BUNDLE", "/no/such/ca.crt"));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.last_words.contains("/no/such/ca.crt"),
        "{}",
        ended.last_words
    );
}

/// The server of this test speaks TLS and is no model registry: whoever is told so has got through.
#[tokio::test(flavor = "multi_thread")]
async fn the_certificate_of_the_model_registry_is_looked_at_if_it_is_secure() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, key) = certificate(dir.path(), "127.0.0.1");
    let server = registry(&Access {
        tls: Some((authority.clone(), key)),
        ..Access::default()
    });
    let place = Place::new().await;
    let asked = |secure: &str, variables: &[(&str, &Path)]| {
        let mut command = place.create();
        let address = format!("https://{}", server.address);
        command
            .env("MODEL_SYNC_REGISTRY_SERVER_ADDRESS", address)
            .env("MODEL_SYNC_REGISTRY_IS_SECURE", secure)
            .envs(variables.iter().copied());
        let ended = place.run(&mut command);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        ended.last_words
    };
    let refused = asked("true", &[]);
    assert!(refused.contains("certificate"), "{refused}");
    let named: [&[(&str, &Path)]; 2] = [
        &[("MODEL_SYNC_REGISTRY_CUSTOM_CA", &authority)],
        &[
            ("MODEL_SYNC_REGISTRY_CUSTOM_CA_ENVVAR", Path::new("MY_CA")),
            ("MY_CA", &authority),
        ],
    ];
    for variables in named {
        let words = asked("true", variables);
        assert!(words.contains("is no model registry"), "{words}");
    }
    let words = asked("false", &[]);
    assert!(words.contains("is no model registry"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_wants_another_password_says_so() {
    let (place, authority) = behind_a_proxy().await;
    let proxy = Proxy::start(Vec::new()).await;
    let source = "http://web.example.test/w.bin";
    for source in [None, Some(source)] {
        let mut command = command(&place, &proxy.url("wr0ng"));
        command.env("SSL_CERT_FILE", &authority);
        if let Some(source) = source {
            command
                .env_remove("MODEL_SYNC_SOURCE_PATH")
                .env("MODEL_SYNC_SOURCE_URI", source);
        }
        let ended = place.run(&mut command);
        assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
        let host = if source.is_some() {
            "web.example.test"
        } else {
            REGISTRY
        };
        for word in [host, "HTTPS_PROXY"] {
            assert!(ended.last_words.contains(word), "{}", ended.last_words);
        }
        assert!(!ended.log.contains("wr0ng"), "{}", ended.log);
    }
}
