//! The program as a pod runs it: variables in; exit code, last words, log and registered model out.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod fakes;
mod place;
mod servers;

use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::http::Method;
use serde_json::{Value, json};

use fakes::model_registry::Fault;
use fakes::sigstore::{ISSUER, Sigstore};
use place::{FILES, Place};
use servers::front::{Trouble, front};

fn id(entity: &serde_json::Map<String, Value>) -> Value {
    json!({"id": entity["id"]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_moved_signed_and_registered() {
    let place = Place::new().await;
    let sigstore = Sigstore::start().await;
    let mut command = place.create();
    place.signs(&mut command, &sigstore);
    let ended = place.run(&mut command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    place.is_registered_once();
    let said: Value = serde_json::from_str(&ended.last_words).unwrap();
    assert_eq!(said["intent"], "create_model");
    assert_eq!(said["RegisteredModel"], id(&place.models.models()[0]));
    assert_eq!(said["ModelVersion"], id(&place.models.versions()[0]));
    assert_eq!(said["ModelArtifact"], id(&place.models.artifacts()[0]));
    let bytes: usize = FILES.iter().map(|(_, length)| length).sum();
    assert_eq!(said["bytes"], bytes);
    let digest = said["digest"].as_str().unwrap();
    assert_eq!(
        digest,
        String::from_utf8(servers::crane(&["digest", &place.reference()]))
            .unwrap()
            .trim()
    );
    let recorded = &place.models.artifacts()[0]["customProperties"]["image_digest"]["string_value"];
    assert_eq!(recorded, digest);

    let files = servers::files(&place.reference());
    let names: Vec<&str> = files.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(
        names,
        [
            "models/config.json",
            "models/model.sig",
            "models/weights/model-00001.safetensors",
            "models/weights/model-00002.safetensors",
        ],
        "the model, its signature, and nothing else"
    );
    for sentence in [
        "Signed image successfully: ",
        "Verified image successfully: ",
    ] {
        // By the digest of what was pushed, which a tag might not name any more.
        let sentence = format!("{sentence}{}", place.reference().replace(":v1", ""));
        let signed = format!("{sentence}@{digest}");
        assert!(ended.log.contains(&signed), "{}", ended.log);
    }
    assert!(ended.log.contains("🏁 Job completed successfully"));
    let line = ended.last_words.lines().nth(1).unwrap();
    assert!(ended.log.contains(line), "the result is logged, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_without_a_tag_stays_so() {
    let place = Place::new().await;
    let artifact = place.models.make_artifact(&json!({"uri": "s3://old"}));
    let name = place.reference().replace(":v1", "");
    let mut command = place.command();
    command
        .env("MODEL_SYNC_MODEL_ARTIFACT_ID", &artifact)
        .env("MODEL_SYNC_DESTINATION_OCI_URI", &name);
    let ended = place.run(&mut command);
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert_eq!(place.models.artifacts()[0]["uri"], format!("oci://{name}"));
    let index = servers::crane_json(&["manifest", &format!("{name}:latest")]);
    assert!(!index["manifests"].as_array().unwrap().is_empty());
    // Ids that nobody has given are not in the result.
    let said: Value = serde_json::from_str(&ended.last_words).unwrap();
    assert_eq!(said["ModelArtifact"], json!({"id": artifact}));
    assert!(said.get("ModelVersion").is_none() && said.get("RegisteredModel").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_has_a_phase_a_cause_and_a_remedy_and_abandons_the_artifact() {
    let place = Place::new().await;
    let artifact = place
        .models
        .make_artifact(&json!({"uri": "s3://old", "state": "LIVE"}));
    let ended = place.run(
        place
            .command()
            .env("MODEL_SYNC_MODEL_ARTIFACT_ID", &artifact)
            .env(
                "MODEL_SYNC_DESTINATION_OCI_BASE_IMAGE",
                format!("{}/no/such:base", place.images.address),
            ),
    );
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.last_words.starts_with("read base image failed: "),
        "{}",
        ended.last_words
    );
    assert!(ended.last_words.contains("no/such"), "{}", ended.last_words);
    assert!(ended.log.contains(&ended.last_words), "{}", ended.log);
    assert!(ended.last_words.len() <= 4096);
    assert_eq!(place.models.artifacts()[0]["state"], "ABANDONED");
    assert_eq!(place.models.artifacts()[0]["uri"], "s3://old");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: it is tried for most of a minute"]
async fn a_registry_that_stays_broken_abandons_the_artifact() {
    let place = Place::new().await;
    let artifact = place.models.make_artifact(&json!({"uri": "s3://old"}));
    let broken = front(&place.images.address, None, |_, head| {
        if head.starts_with("PATCH ") || head.starts_with("PUT ") {
            Trouble::Refuse(503)
        } else {
            Trouble::None
        }
    })
    .await;
    let reference = format!("{}/org/llama:v1", broken.address);
    let ended = place.run(
        place
            .command()
            .env("MODEL_SYNC_DESTINATION_OCI_URI", reference)
            .env("MODEL_SYNC_MODEL_ARTIFACT_ID", &artifact),
    );
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    let words = &ended.last_words;
    assert!(words.starts_with("copy model failed: "), "{words}");
    assert!(
        words.contains("503") && words.contains("run the Job again"),
        "{words}"
    );
    assert_eq!(place.models.artifacts()[0]["state"], "ABANDONED");
    assert_eq!(place.models.artifacts()[0]["uri"], "s3://old");
    assert!(!servers::exists(&place.reference()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_source_is_a_failure_and_registers_nothing() {
    let place = Place::new().await;
    let empty = place.dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let ended = place.run(place.create().env("MODEL_SYNC_SOURCE_PATH", &empty));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.last_words.contains("list source failed"),
        "{}",
        ended.last_words
    );
    assert!(place.models.models().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_stops_it_and_abandons_the_artifact() {
    let place = Place::new().await;
    let artifact = place.models.make_artifact(&json!({"uri": "s3://old"}));
    let (address, asked) = silent_server().await;
    let child = place
        .command()
        .env_remove("MODEL_SYNC_SOURCE_PATH")
        .env(
            "MODEL_SYNC_SOURCE_URI",
            format!("http://{address}/model.bin"),
        )
        .env("MODEL_SYNC_MODEL_ARTIFACT_ID", &artifact)
        .spawn()
        .unwrap();
    asked.await.unwrap();
    // The source and the model registry are asked side by side.
    let until = Instant::now() + Duration::from_mins(1);
    while place.models.artifacts()[0].get("state") != Some(&json!("PENDING")) {
        assert!(Instant::now() < until, "{:?}", place.models.artifacts());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    signal(&child, "TERM");
    let stopped = Instant::now();
    let ended = place.wait(child);
    assert!(
        stopped.elapsed() < Duration::from_secs(25),
        "within the grace of a pod"
    );
    assert_eq!(ended.status.code(), Some(143), "{}", ended.log);
    assert!(
        ended.last_words.contains("stopped by a signal"),
        "{}",
        ended.last_words
    );
    assert_eq!(place.models.artifacts()[0]["state"], "ABANDONED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_configured_wrongly_ends_with_2_before_anything_is_asked() {
    let place = Place::new().await;
    let cases: [(&[&str], &str); 4] = [
        (&["--source-type", "gs"], "possible values"),
        (&["--no-such-flag"], "unexpected argument"),
        (&["--source-type", "oci"], "--source-oci-uri"),
        (&["--source-path", "/no/such/dir"], "/no/such/dir"),
    ];
    for (arguments, needle) in cases {
        let ended = place.run(place.create().args(arguments));
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {}", ended.log);
        assert!(ended.log.contains(needle), "{arguments:?}: {}", ended.log);
        assert!(
            ended.last_words.contains(needle),
            "{arguments:?}: {}",
            ended.last_words
        );
    }
    assert!(place.models.seen().is_empty());
    let ended = place.run(place.command().arg("--help"));
    assert_eq!(ended.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_is_printed_and_nothing_is_done() {
    let place = Place::new().await;
    let output = place
        .create()
        .arg("--print-config")
        .stdout(Stdio::piped())
        .output()
        .unwrap();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(printed["registry"]["token"], "***");
    assert_eq!(
        printed["source"],
        json!({"type": "pvc", "path": place.path("model")})
    );
    assert!(place.models.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_trace_of_last_words_is_no_failure() {
    let place = Place::new().await;
    let ended = place.run(
        place
            .create()
            .env("TERMINATION_MESSAGE_PATH", "/no/such/dir/file"),
    );
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    assert!(ended.log.contains("/no/such/dir/file cannot be written"));
    place.is_registered_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_registry_that_stumbles_gets_one_model() {
    let place = Place::new().await;
    for method in [Method::GET, Method::POST, Method::POST] {
        place.models.fail_next(method.clone(), Fault::LoseAnswer);
        place.models.fail_next(method, Fault::Refuse(503));
    }
    let ended = place.run(&mut place.create());
    assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
    place.is_registered_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_some_moments_a_retry_makes_one_model() {
    kill_and_retry(4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn killed_at_many_moments_a_retry_makes_one_model() {
    kill_and_retry(20).await;
}

/// Kills a run after times that are spread over how long one takes, and runs it again. What went
/// through to the image registry is counted.
async fn kill_and_retry(times: u32) {
    let length: usize = FILES.iter().map(|(_, length)| length).sum();
    let longest = FILES.iter().map(|(_, length)| *length).max().unwrap();
    let mut most = 0;
    let whole = {
        let place = Place::new().await;
        let started = Instant::now();
        let ended = place.run(&mut place.create());
        assert_eq!(ended.status.code(), Some(0), "{}", ended.log);
        started.elapsed()
    };
    for part in 0..times {
        let mut place = Place::new().await;
        let front = front(&place.images.address, None, |_, _| Trouble::None).await;
        place.images.address.clone_from(&front.address);
        let mut child = place.create().spawn().unwrap();
        std::thread::sleep(whole * part / times);
        let _ = child.kill();
        child.wait().unwrap();
        // The next pod takes longer, and the registry stores meanwhile what it has whole.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut retry = place.create();
        retry.env("HOSTNAME", "upload-llama-bcdfg");
        let ended = place.run(&mut retry);
        assert_eq!(
            ended.status.code(),
            Some(0),
            "after {part}/{times}: {}",
            ended.log
        );
        place.is_registered_once();
        let up = usize::try_from(front.seen.up.load(Ordering::Relaxed)).unwrap();
        let again = up.saturating_sub(length);
        // Beside the layers there are manifests and notes.
        assert!(
            again < longest + (256 << 10),
            "after {part}/{times}: {again} bytes again"
        );
        most = most.max(again);
        let tags = servers::crane(&["ls", place.reference().trim_end_matches(":v1")]);
        assert_eq!(
            String::from_utf8(tags).unwrap().trim(),
            "v1",
            "no notes are left"
        );
    }
    println!("at most {most} of {length} bytes were sent again, a layer has up to {longest}");
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

/// A server that takes requests and never answers. The second value says that there was one.
async fn silent_server() -> (std::net::SocketAddr, tokio::sync::oneshot::Receiver<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (asked, was_asked) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (_first, _) = listener.accept().await.unwrap();
        let _ = asked.send(());
        std::future::pending::<()>().await;
    });
    (address, was_asked)
}

/// None of them answers, and yet each is asked.
#[tokio::test(flavor = "multi_thread")]
async fn source_registry_and_services_are_asked_side_by_side() {
    let place = Place::new().await;
    let sigstore = Sigstore::start().await;
    let mut command = place.create();
    place.signs(&mut command, &sigstore);
    let mut servers = Vec::new();
    for variable in [
        "MODEL_SYNC_SOURCE_URI",
        "MODEL_SYNC_REGISTRY_SERVER_ADDRESS",
        "MODEL_SYNC_DESTINATION_OCI_URI",
        "MODEL_SYNC_DESTINATION_OCI_BASE_IMAGE",
        "SIGSTORE_TUF_URL",
    ] {
        let (address, asked) = silent_server().await;
        let value = if variable.contains("OCI") {
            format!("{address}/org/image:v1")
        } else {
            format!("http://{address}/m")
        };
        command.env(variable, value);
        servers.push((variable, asked));
    }
    let mut child = command
        .env_remove("MODEL_SYNC_SOURCE_PATH")
        .spawn()
        .unwrap();
    for (variable, asked) in servers {
        let asked = tokio::time::timeout(Duration::from_mins(1), asked).await;
        assert!(asked.is_ok(), "{variable}: {}", place.read("log"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_fails_before_the_artifact_is_touched() {
    let place = Place::new().await;
    let artifact = place.models.make_artifact(&json!({"state": "LIVE"}));
    let sigstore = Sigstore::start().await;
    let mut command = place.command();
    place.signs(&mut command, &sigstore);
    let token = place.dir.path().join("identity");
    std::fs::write(&token, format!("s3cret {ISSUER}")).unwrap();
    let ended = place.run(command.env("MODEL_SYNC_MODEL_ARTIFACT_ID", &artifact));
    assert_eq!(ended.status.code(), Some(1), "{}", ended.log);
    assert!(
        ended.last_words.starts_with("prepare signing failed: "),
        "{}",
        ended.last_words
    );
    assert_eq!(place.models.artifacts()[0]["state"], "LIVE");
}
