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

use std::path::PathBuf;
use std::process::Command;

use async_upload::settings::Source;
use fakes::proxy::{PASSWORD, Proxy};
use place::{Ended, Place};
use servers::bucket::{KEY_ID, SECRET, bucket, put};
use servers::{Access, content, files, image, registry, run, to_image};

const REGISTRY: &str = "registry.example.test";
const IMAGE: &str = "registry.example.test/org/llama:v1";

/// A registry that nobody can reach under its name, except through the proxy, and the file with
/// its authority.
async fn behind_a_proxy() -> (Place, PathBuf) {
    let made = rcgen::generate_simple_self_signed(vec![REGISTRY.to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = (dir.path().join("ca.crt"), dir.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let images = registry(&Access {
        tls: Some((certificate.clone(), key)),
        ..Access::default()
    });
    let place = Place::with(images).await;
    let kept = place.dir.path().join("ca.crt");
    std::fs::copy(certificate, &kept).unwrap();
    (place, kept)
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

    let open = registry(&Access::default());
    let copy = format!("{}/copy:v1", open.address);
    let there = image(&format!("{}/org/llama:v1", place.images.address));
    run(&to_image(Source::Oci(there), &copy, None))
        .await
        .unwrap();
    let found = files(&copy);
    assert!((&*found[0].0, &found[0].3) == ("models/w.bin", &weights));
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
