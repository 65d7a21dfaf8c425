//! A model as an image, in a real registry, read by another program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod servers;

use std::path::Path;

use async_upload::oci::digest;
use async_upload::settings::{Destination, OciAuth, OciImage, Secret, Source, Tls, Transfer};
use async_upload::transfer::Phase;
use serde_json::json;
use servers::bucket::{bucket, put};
use servers::{Access, base, content, crane, crane_json, files, registry, run, s3, to_image};

#[tokio::test]
async fn objects_of_a_bucket_become_an_image() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    let (small, large) = (content(1, 5), content(2, 9_500_001));
    put(&bucket.address, "m/config.json", small.clone()).await;
    put(&bucket.address, "m/sub/config.json", b"{}".to_vec()).await;
    put(&bucket.address, "m/weights.bin", large.clone()).await;
    put(&bucket.address, "m/empty", Vec::new()).await;
    // A directory, as consoles of buckets make it.
    put(&bucket.address, "m/sub/", Vec::new()).await;
    put(&bucket.address, "m-2/evil.txt", b"evil".to_vec()).await;
    let base = base(&registry.address, &["linux/amd64", "linux/arm64"]);
    let name = format!("{}/org/model:v1", registry.address);

    let transfer = to_image(Source::S3(s3(&bucket.address, "m")), &name, Some(&base));
    let outcome = run(&transfer).await.unwrap();

    assert_eq!(outcome.uri, format!("oci://{name}"));
    assert_eq!(outcome.bytes, (small.len() + 2 + large.len()) as u64);
    assert_eq!((outcome.layers, outcome.sent), (4, outcome.bytes));
    let expected = [
        ("bin/sh", 0o755, 0, b"amd64".to_vec()),
        ("models/config.json", 0o664, 0, small),
        ("models/empty", 0o664, 0, Vec::new()),
        ("models/sub/config.json", 0o664, 0, b"{}".to_vec()),
        ("models/weights.bin", 0o664, 0, large),
    ]
    .map(|(path, mode, owner, content)| (path.to_owned(), mode, owner, content));
    assert_eq!(files(&name), expected);

    let index = crane_json(&["manifest", &name]);
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    assert_eq!(outcome.manifests.len(), 2);
    let arm = format!("{}/org/model@{}", registry.address, outcome.manifests[1]);
    let manifest = crane_json(&["manifest", &arm]);
    assert_eq!(manifest["annotations"]["io.opendatahub.author"], "olot");
    let weights = outcome.files.iter().find(|file| file.path == "weights.bin");
    let digest = format!("sha256:{}", weights.unwrap().sha256.as_ref().unwrap());
    for (note, expected) in [
        ("org.opencontainers.image.title", "weights.bin"),
        ("olot.layer.content.digest", &digest),
        ("olot.layer.content.inlayerpath", "/models/weights.bin"),
        ("olot.layer.content.name", "weights.bin"),
        ("olot.layer.content.type", "file"),
    ] {
        assert_eq!(manifest["layers"][4]["annotations"][note], expected);
    }
    // The notes of the run are gone.
    let repository = format!("{}/org/model", registry.address);
    assert_eq!(
        String::from_utf8(crane(&["ls", &repository])).unwrap(),
        "v1\n"
    );
}

#[tokio::test]
async fn nothing_to_move_is_an_error() {
    let (registry, bucket) = (registry(&Access::default()), bucket().await);
    put(&bucket.address, "m-2/evil.txt", b"evil".to_vec()).await;
    let name = format!("{}/org/model:v1", registry.address);
    let transfer = to_image(Source::S3(s3(&bucket.address, "m")), &name, None);
    let error = run(&transfer).await.unwrap_err();
    assert_eq!(error.phase, Phase::List);
    assert!(error.cause.contains("no object \"m\""), "{error}");
}

fn model_in(dir: &Path, files: &[(&str, Vec<u8>)]) -> Source {
    for (path, content) in files {
        let place = dir.join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, content).unwrap();
    }
    Source::Dir(dir.to_owned())
}

fn destination(transfer: &mut Transfer) -> &mut async_upload::settings::OciDestination {
    match &mut transfer.destination {
        Destination::Oci(destination) => destination,
        Destination::S3(_) => panic!("no image"),
    }
}

#[tokio::test]
async fn a_new_version_sends_what_is_new() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let (same, old, new) = (
        content(1, 3_000_000),
        content(2, 1_000_000),
        content(3, 1_000_001),
    );
    let source = model_in(
        dir.path(),
        &[("same.bin", same.clone()), ("other.bin", old)],
    );
    let name = |path: &str| format!("{}/{path}", registry.address);
    let first = run(&to_image(source.clone(), &name("model:v1"), None))
        .await
        .unwrap();
    assert_eq!(first.sent, 4_000_000);

    // The same once more, by another Job: nothing is sent, and the image is the same.
    let again = run(&to_image(source.clone(), &name("model:again"), None))
        .await
        .unwrap();
    assert_eq!((again.sent, &again.digest), (0, &first.digest));
    assert_eq!(again.layers, first.layers);

    model_in(dir.path(), &[("other.bin", new.clone())]);
    let second = run(&to_image(source.clone(), &name("model:v2"), None))
        .await
        .unwrap();
    assert_eq!(second.sent, 1_000_001);
    let expected = [("models/other.bin", new), ("models/same.bin", same)];
    let found = files(&name("model:v2"));
    let found: Vec<_> = found
        .iter()
        .map(|(path, .., content)| (&**path, content))
        .collect();
    assert!(
        found
            == [
                (expected[0].0, &expected[0].1),
                (expected[1].0, &expected[1].1)
            ]
    );

    // Another repository mounts it.
    let mut transfer = to_image(source, &name("mounted:v2"), None);
    destination(&mut transfer).mount_from = Some("model".to_owned());
    let mounted = run(&transfer).await.unwrap();
    assert_eq!((mounted.sent, mounted.digest), (0, second.digest));
    files(&name("mounted:v2"));
}

#[tokio::test]
async fn many_files_share_layers_and_one_base_stays_one_manifest() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = (0..150).map(|number| format!("{number:03}.txt")).collect();
    let all: Vec<(&str, Vec<u8>)> = names
        .iter()
        .map(|name| (name.as_str(), name.clone().into_bytes()))
        .collect();
    let source = model_in(dir.path(), &all);
    let name = format!("{}/many:v1", registry.address);
    let base = base(&registry.address, &["linux/amd64"]);
    let outcome = run(&to_image(source.clone(), &name, Some(&base)))
        .await
        .unwrap();
    assert!(outcome.layers < 100, "{}", outcome.layers);
    assert_eq!(files(&name).len(), 151);
    let manifest = crane_json(&["manifest", &name]);
    assert!(
        manifest["manifests"].is_null() && manifest["layers"].is_array(),
        "{manifest}"
    );
    assert_eq!(outcome.manifests, outcome.digest.as_slice());
    let mut transfer = to_image(source, &name, Some(&base));
    let again = run(&transfer).await.unwrap();
    assert_eq!((again.sent, &again.digest), (0, &outcome.digest));
    // For a signature each file has its digest, also in a layer of many and where nothing is sent.
    transfer.signed = true;
    let signed = run(&transfer).await.unwrap();
    assert_eq!((signed.sent, signed.digest), (0, outcome.digest));
    assert_eq!(signed.files.len(), 150);
    for file in signed.files {
        let sha256 = digest(file.path.as_bytes()).replace("sha256:", "");
        assert_eq!(file.sha256, Some(sha256));
    }
}

#[tokio::test]
async fn credentials_and_certificates_of_a_registry() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let (certificate, key) = (dir.path().join("ca.crt"), dir.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let locked = registry(&Access {
        tls: Some((certificate.clone(), key)),
        // up:s3cret
        htpasswd: Some("up:$2b$04$xEPRRo2mY2MPBDgXeKKleevTSsKL/7Nu0nezM8xbXaZxH9j5AUBcC"),
        tokens: None,
    });
    let open = registry(&Access::default());
    let weights = content(4, 2_000_000);
    let source = model_in(&dir.path().join("m"), &[("w.bin", weights.clone())]);
    let name = format!("{}/m:v1", locked.address);
    let image = |password: &str, ca_files| OciImage {
        reference: name.parse().unwrap(),
        auth: OciAuth::Basic {
            username: "up".to_owned(),
            password: Secret::new(password),
        },
        tls: Tls {
            verify: true,
            ca_files,
        },
    };
    let mut transfer = to_image(source, &name, None);
    transfer.retries = 1;
    for (place, word) in [
        (image("wr0ng", vec![certificate.clone()]), "401"),
        (image("s3cret", Vec::new()), "certificate"),
    ] {
        destination(&mut transfer).image = place;
        let error = run(&transfer).await.unwrap_err();
        assert!(error.cause.contains(word), "{error}");
        assert!(!error.retriable, "{error}");
        assert!(!format!("{error:?}").contains("wr0ng"));
    }
    let place = image("s3cret", vec![certificate]);
    destination(&mut transfer).image = place.clone();
    run(&transfer).await.unwrap();
    // Read back with the same credentials, and shown by a reader that needs none.
    let copy = format!("{}/copy:v1", open.address);
    run(&to_image(Source::Oci(place), &copy, None))
        .await
        .unwrap();
    assert!(files(&copy)[0].3 == weights);
}

#[tokio::test]
async fn a_base_behind_a_password_is_brought_from_another_registry() {
    let locked = registry(&Access {
        // up:s3cret
        htpasswd: Some("up:$2b$04$xEPRRo2mY2MPBDgXeKKleevTSsKL/7Nu0nezM8xbXaZxH9j5AUBcC"),
        ..Access::default()
    });
    let open = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let source =
        |name: &str, content: Vec<u8>| model_in(&dir.path().join(name), &[(name, content)]);
    let credentials = OciAuth::Basic {
        username: "up".to_owned(),
        password: Secret::new("s3cret"),
    };
    let (tool, weights) = (content(5, 3_000_000), content(6, 1_000_000));
    let base = format!("{}/base:v1", locked.address);
    let mut transfer = to_image(source("tool", tool.clone()), &base, None);
    destination(&mut transfer).image.auth = credentials.clone();
    run(&transfer).await.unwrap();

    let name = format!("{}/model:v1", open.address);
    let mut transfer = to_image(source("weights", weights.clone()), &name, Some(&base));
    let error = run(&transfer).await.unwrap_err();
    assert_eq!(error.phase, Phase::Base);
    assert!(error.cause.contains("401"), "{error}");
    let image = destination(&mut transfer).base.as_mut().unwrap();
    image.auth = credentials;
    run(&transfer).await.unwrap();
    let found = files(&name);
    let found: Vec<_> = found.iter().map(|(path, .., it)| (&**path, it)).collect();
    assert!(found == [("models/tool", &tool), ("models/weights", &weights)]);
}

#[tokio::test]
async fn attestations_are_not_taken_along() {
    let registry = registry(&Access::default());
    let base = base(&registry.address, &["linux/amd64", "linux/arm64"]);
    // As builders write it: an entry about another one, of no platform.
    let mut index = crane_json(&["manifest", &base]);
    let entries = index["manifests"].as_array_mut().unwrap();
    let mut about = entries[0].clone();
    about["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    about["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": entries[0]["digest"],
    });
    entries.push(about);
    let answer = servers::client()
        .put(format!(
            "http://{}/v2/base/manifests/latest",
            registry.address
        ))
        .header("content-type", "application/vnd.oci.image.index.v1+json")
        .body(index.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    let dir = tempfile::tempdir().unwrap();
    let source = model_in(dir.path(), &[("w.bin", b"w".to_vec())]);
    let name = format!("{}/model:v1", registry.address);
    run(&to_image(source, &name, Some(&base))).await.unwrap();
    let index = crane_json(&["manifest", &name]);
    let platforms = index["manifests"].as_array().unwrap().iter();
    let platforms: Vec<_> = platforms
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
}
