//! Registries that do not take everything, and repositories in which somebody else has written.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

mod servers;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_upload::settings::Source;
use servers::front::{Trouble, front};
use servers::limits::length;
use servers::{Access, Server, content, crane_json, files, registry, run, to_image};

/// Larger than what is read before it is sent.
const LARGE: usize = 20 << 20;
const SMALL: usize = 300_000;

/// What came through: method and length of each request with a body.
type Seen = Arc<Mutex<Vec<(String, u64)>>>;

/// A proxy before a registry, which refuses what `refuse` says by method and length.
async fn proxy(
    server: &Server,
    refuse: impl Fn(&str, u64) -> Option<u16> + Send + Sync + 'static,
) -> (String, Seen) {
    let seen = Seen::default();
    let log = seen.clone();
    let front = front(&server.address, None, move |_, head| {
        let (method, _) = head.split_once(' ').unwrap();
        let length = length(head);
        let refused = refuse(method, length);
        if refused.is_none() && length > 0 {
            log.lock().unwrap().push((method.to_owned(), length));
        }
        refused.map_or(Trouble::None, Trouble::Refuse)
    })
    .await;
    (front.address, seen)
}

fn count(seen: &Seen, method: &str) -> usize {
    let seen = seen.lock().unwrap();
    seen.iter().filter(|(one, _)| one == method).count()
}

fn model(dir: &Path) -> (Source, Vec<(String, Vec<u8>)>) {
    let files = [
        ("large.bin", content(1, LARGE)),
        ("small.bin", content(2, SMALL)),
    ];
    for (name, content) in &files {
        std::fs::write(dir.join(name), content).unwrap();
    }
    let expected = files
        .into_iter()
        .map(|(name, content)| (format!("models/{name}"), content));
    (Source::Dir(dir.to_owned()), expected.collect())
}

fn contents(reference: &str) -> Vec<(String, Vec<u8>)> {
    files(reference)
        .into_iter()
        .map(|(path, .., content)| (path, content))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_patch_each_blob_is_one_put() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let (source, expected) = model(dir.path());
    for status in [404, 405, 416, 501] {
        let refuse = move |method: &str, _| (method == "PATCH").then_some(status);
        let (proxy, seen) = proxy(&registry, refuse).await;
        let path = format!("put{status}/model:v1");
        let transfer = to_image(source.clone(), &format!("{proxy}/{path}"), None);
        let outcome = run(&transfer).await.unwrap();
        assert_eq!(outcome.sent, (LARGE + SMALL) as u64);
        assert!(
            contents(&format!("{}/{path}", registry.address)) == expected,
            "{status}"
        );
        assert_eq!(count(&seen, "PATCH"), 0);
        let seen = seen.lock().unwrap();
        assert!(seen.iter().any(|(_, length)| *length > LARGE as u64));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_as_short_as_a_proxy_wants_them() {
    const LIMIT: u64 = 2 << 20;
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let (source, expected) = model(dir.path());
    let (proxy, seen) = proxy(&registry, |_, length| (length > LIMIT).then_some(413)).await;
    let transfer = to_image(source, &format!("{proxy}/short/model:v1"), None);
    run(&transfer).await.unwrap();
    assert!(contents(&format!("{}/short/model:v1", registry.address)) == expected);
    assert!(count(&seen, "PATCH") > LARGE / (2 << 20));
    // What is short enough still goes in one request.
    let small = |(method, length): &(String, u64)| method == "PUT" && *length > SMALL as u64;
    assert!(seen.lock().unwrap().iter().any(small));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_takes_neither_is_told_so() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let (source, _) = model(dir.path());
    let (proxy, _) = proxy(&registry, |_, length| (length > 1000).then_some(413)).await;
    let transfer = to_image(source, &format!("{proxy}/none/model:v1"), None);
    let error = run(&transfer).await.unwrap_err();
    assert!(error.cause.contains("413"), "{error}");
    assert!(!error.retriable);
}

/// Writes an image whose layer has the notes of the one in `tag`, and other content.
async fn forge(registry: &str, repository: &str, tag: &str) {
    let name = |tag: &str| format!("{registry}/{repository}:{tag}");
    let good = crane_json(&[
        "manifest",
        &format!("{registry}/{repository}@{}", first(&name(tag))),
    ]);
    let evil_name = name("evil");
    let evil = format!("{registry}/{repository}@{}", first(&evil_name));
    let mut evil = crane_json(&["manifest", &evil]);
    let notes = good["layers"][0]["annotations"].clone();
    assert!(notes["modelops.upload.key"].is_string());
    evil["layers"][0]["annotations"] = notes;
    let url = format!("http://{registry}/v2/{repository}/manifests/{tag}");
    let answer = servers::client()
        .put(url)
        .header("content-type", "application/vnd.oci.image.manifest.v1+json")
        .body(evil.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
}

/// The first manifest of an index.
fn first(reference: &str) -> String {
    let index = crane_json(&["manifest", reference]);
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_is_not_what_a_note_says() {
    let registry = registry(&Access::default());
    let (good, evil) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for size in [SMALL, LARGE] {
        let repository = format!("forged{size}/model");
        let name = |tag: &str| format!("{}/{repository}:{tag}", registry.address);
        let weights = content(1, size);
        std::fs::write(good.path().join("w.bin"), &weights).unwrap();
        std::fs::write(evil.path().join("w.bin"), content(666, size)).unwrap();
        let source = Source::Dir(good.path().to_owned());
        run(&to_image(source.clone(), &name("v1"), None))
            .await
            .unwrap();
        let other = Source::Dir(evil.path().to_owned());
        run(&to_image(other, &name("evil"), None)).await.unwrap();
        forge(&registry.address, &repository, "v1").await;

        let expected = [("models/w.bin".to_owned(), weights)];
        let mut transfer = to_image(source, &name("v2"), None);
        transfer.signed = true;
        let outcome = run(&transfer).await.unwrap();
        assert!(contents(&name("v2")) == expected);
        // The layer is there under its own digest, so it was read and not sent.
        assert_eq!(outcome.sent, 0);

        // The same where notes are believed shows that the forgery is one.
        let mut transfer = transfer.clone();
        transfer.signed = false;
        // Only the forged image.
        let url = format!(
            "http://{}/v2/{repository}/manifests/{}",
            registry.address,
            outcome.digest.unwrap()
        );
        servers::client()
            .delete(url)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
        run(&transfer).await.unwrap();
        assert!(contents(&name("v2")) != expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_layers_that_are_there_are_read_and_not_sent() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let (source, expected) = model(dir.path());
    let name = |tag: &str| format!("{}/again/model:{tag}", registry.address);
    let mut transfer = to_image(source, &name("v1"), None);
    transfer.signed = true;
    run(&transfer).await.unwrap();
    let destination = match &mut transfer.destination {
        async_upload::settings::Destination::Oci(destination) => destination,
        async_upload::settings::Destination::S3(_) => panic!("no image"),
    };
    destination.image = servers::image(&name("v2"));
    destination.written = name("v2");
    let outcome = run(&transfer).await.unwrap();
    assert_eq!(outcome.sent, 0);
    assert!(contents(&name("v2")) == expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_breaks_off_costs_less_than_a_layer() {
    const LAYERS: u64 = 6;
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    for number in 0..LAYERS {
        let name = format!("{number}.bin");
        std::fs::write(dir.path().join(name), content(number, LARGE)).unwrap();
    }
    let begun = AtomicU64::new(0);
    let (proxy, seen) = proxy(&registry, move |method, length| {
        let large = method == "PATCH" && length > LARGE as u64;
        // The fourth is refused as nothing is that may come later: for good.
        let refused = large && begun.fetch_add(1, Ordering::Relaxed) == 3;
        refused.then_some(403)
    })
    .await;
    let source = Source::Dir(dir.path().to_owned());
    let name = format!("{proxy}/broken/model:v1");
    run(&to_image(source.clone(), &name, None))
        .await
        .unwrap_err();
    // One after the other: what was finished before the fourth is noted, and nothing else was sent.
    assert_eq!(count(&seen, "PATCH"), 3);
    // A note on each comes through before the next of them.
    let methods: Vec<String> = seen.lock().unwrap().iter().map(|it| it.0.clone()).collect();
    let noted = methods.windows(2).all(|two| two != ["PATCH", "PATCH"]);
    assert!(noted, "{methods:?}");
    let outcome = run(&to_image(source, &name, None)).await.unwrap();
    assert_eq!(count(&seen, "PATCH") as u64, LAYERS);
    assert_eq!(outcome.sent, (LAYERS - 3) * LARGE as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_whose_last_answer_is_lost_is_there() {
    let registry = registry(&Access::default());
    let dir = tempfile::tempdir().unwrap();
    let (source, expected) = model(dir.path());
    let lost = Mutex::new(Vec::new());
    // The registry has stored the blob when it begins to answer. Each kind of PUT loses one answer:
    // that of a layer in one request, and that of a layer which was sent before its digest was known.
    let front = front(&registry.address, None, move |_, head| {
        let ends = head.starts_with("PUT ") && head.contains("digest=");
        let kind = match length(head) {
            0 => Some("finished"),
            length if length > SMALL as u64 => Some("whole"),
            _ => None,
        };
        let mut lost = lost.lock().unwrap();
        match kind.filter(|kind| ends && !lost.contains(kind)) {
            Some(kind) => {
                lost.push(kind);
                Trouble::CutDown(1)
            }
            None => Trouble::None,
        }
    })
    .await;
    let name = format!("{}/lost/model:v1", front.address);
    let outcome = run(&to_image(source, &name, None)).await.unwrap();
    assert_eq!(front.seen.troubled.load(Ordering::Relaxed), 2);
    assert_eq!(outcome.sent, (LARGE + SMALL) as u64);
    let up = front.seen.up.load(Ordering::Relaxed);
    assert!(up < outcome.sent + 100_000, "{up} bytes went through");
    assert!(contents(&format!("{}/lost/model:v1", registry.address)) == expected);
}
