//! What a run says to the model registry, against a registry that keeps the real one's rules.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

mod fakes;

use std::collections::BTreeMap;

use async_upload::config::{Entity, Intent, ModelRegistry as Settings, New};
use async_upload::failure::Failure;
use async_upload::registry::{DIGEST, Ids, MARK, Registrar};
use async_upload::settings::{Secret, Tls};
use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use fakes::model_registry::{Fault, ModelRegistry};

const URI: &str = "oci://quay.io/org/llama:v1";
const IMAGE: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const JOB: &str = "upload-llama quay.io/org/llama:v1";

fn new(name: &str, fields: &[(&'static str, &str)], properties: Value) -> New {
    let Value::Object(properties) = properties else {
        panic!("no object");
    };
    New {
        name: name.to_owned(),
        rest: Entity {
            fields: fields
                .iter()
                .map(|(key, value)| (*key, (*value).to_owned()))
                .collect::<BTreeMap<_, _>>(),
            properties,
        },
    }
}

fn string(text: &str) -> Value {
    json!({"metadataType": "MetadataStringValue", "string_value": text})
}

fn create_model() -> Intent {
    Intent::CreateModel {
        model: new(
            "llama",
            &[("description", "d"), ("owner", "ann")],
            json!({"team": string("nlp")}),
        ),
        version: new("v1", &[("author", "bob")], json!({})),
        artifact: new(
            "weights",
            &[
                ("model_format_name", "safetensors"),
                ("model_format_version", "1"),
                ("storage_key", "key"),
                ("storage_path", "path"),
                ("service_account_name", "sa"),
                ("model_source_kind", "transfer_job"),
                ("model_source_class", "async-upload"),
                ("model_source_group", "ns"),
                ("model_source_id", "id"),
                ("model_source_name", "job"),
                ("description", "w"),
            ],
            json!({}),
        ),
    }
}

fn create_version(model_id: &str) -> Intent {
    Intent::CreateVersion {
        model_id: model_id.to_owned(),
        version: new("v2", &[], json!({})),
        artifact: new("", &[], json!({})),
    }
}

fn update(artifact_id: &str) -> Intent {
    Intent::UpdateArtifact {
        artifact_id: artifact_id.to_owned(),
        version_id: Some("8".to_owned()),
        model_id: None,
    }
}

fn registrar(fake: &ModelRegistry, intent: Intent) -> Registrar {
    registrar_of(fake, intent, JOB)
}

fn registrar_of(fake: &ModelRegistry, intent: Intent, job: &str) -> Registrar {
    let settings = Settings {
        api: format!("{}/api/model_registry/v1alpha3/", fake.url())
            .parse()
            .unwrap(),
        token: Some(Secret::new("token")),
        tls: Tls::default(),
        mark: job.to_owned(),
    };
    Registrar::new(&settings, intent, 5).unwrap()
}

/// What a run says first.
async fn begun(registrar: &Registrar) -> Result<(), Failure> {
    registrar.look().await?;
    registrar.begin().await
}

async fn whole_run(fake: &ModelRegistry, intent: Intent) -> Result<Ids, Failure> {
    let registrar = registrar(fake, intent);
    begun(&registrar).await?;
    registrar.finish(URI, Some(IMAGE)).await
}

fn only<T: Clone>(all: &[T]) -> T {
    assert_eq!(all.len(), 1);
    all[0].clone()
}

fn property<'a>(entity: &'a Map<String, Value>, name: &str) -> &'a str {
    let text = entity["customProperties"][name]["string_value"].as_str();
    text.unwrap_or_default()
}

#[tokio::test]
async fn a_model_is_created_with_everything_that_its_metadata_says() {
    let fake = ModelRegistry::start().await;
    fake.require_token("token");
    let ids = whole_run(&fake, create_model()).await.unwrap();
    let (model, version, artifact) = (
        only(&fake.models()),
        only(&fake.versions()),
        only(&fake.artifacts()),
    );
    assert_eq!(ids.model.as_deref(), model["id"].as_str());
    assert_eq!(ids.version.as_deref(), version["id"].as_str());
    assert_eq!(ids.artifact.as_deref(), artifact["id"].as_str());
    for (field, expected) in [
        ("name", "llama"),
        ("description", "d"),
        ("owner", "ann"),
        ("state", "LIVE"),
    ] {
        assert_eq!(model[field], expected, "{field}");
    }
    assert_eq!(property(&model, "team"), "nlp");
    for (field, expected) in [("name", "v1"), ("author", "bob"), ("state", "LIVE")] {
        assert_eq!(version[field], expected, "{field}");
    }
    assert_eq!(version["registeredModelId"], model["id"]);
    for (field, expected) in [
        ("name", "weights"),
        ("state", "LIVE"),
        ("uri", URI),
        ("description", "w"),
        ("modelFormatName", "safetensors"),
        ("modelFormatVersion", "1"),
        ("storageKey", "key"),
        ("storagePath", "path"),
        ("serviceAccountName", "sa"),
        ("modelSourceKind", "transfer_job"),
        ("modelSourceClass", "async-upload"),
        ("modelSourceGroup", "ns"),
        ("modelSourceId", "id"),
        ("modelSourceName", "job"),
    ] {
        assert_eq!(artifact[field], expected, "{field}");
    }
    assert_eq!(property(&artifact, DIGEST), IMAGE);
    for entity in [&model, &version, &artifact] {
        assert_eq!(property(entity, MARK), JOB);
    }
}

#[tokio::test]
async fn nothing_is_created_before_the_model_has_arrived() {
    let fake = ModelRegistry::start().await;
    let registrar = registrar(&fake, create_model());
    begun(&registrar).await.unwrap();
    registrar.abandon().await.unwrap();
    assert!(fake.models().is_empty());
    assert!(
        fake.seen()
            .iter()
            .all(|request| request.method == Method::GET)
    );
}

#[tokio::test]
async fn a_retry_of_the_same_job_goes_on_wherever_the_first_attempt_ended() {
    // The first attempt is killed after each of its requests in turn.
    let fake = ModelRegistry::start().await;
    whole_run(&fake, create_model()).await.unwrap();
    let requests = fake.seen().len();
    for killed_after in 1..=requests {
        let fake = ModelRegistry::start().await;
        let first = tokio::spawn({
            let fake = fake.clone();
            async move { whole_run(&fake, create_model()).await }
        });
        while fake.seen().len() < killed_after && !first.is_finished() {
            tokio::task::yield_now().await;
        }
        first.abort();
        let _ = first.await;
        let ids = whole_run(&fake, create_model()).await.unwrap();
        only(&fake.models());
        only(&fake.versions());
        let artifact = only(&fake.artifacts());
        assert_eq!(artifact["state"], "LIVE", "killed after {killed_after}");
        assert_eq!(ids.artifact.as_deref(), artifact["id"].as_str());
    }
}

#[tokio::test]
async fn lost_answers_and_errors_make_nothing_twice() {
    for fault in [Fault::LoseAnswer, Fault::Refuse(503), Fault::Refuse(429)] {
        let fake = ModelRegistry::start().await;
        for method in [Method::GET, Method::POST, Method::POST, Method::POST] {
            fake.fail_next(method, fault);
        }
        let registrar = registrar(&fake, create_model());
        begun(&registrar).await.unwrap();
        registrar
            .finish(URI, Some(IMAGE))
            .await
            .unwrap_or_else(|failure| panic!("{fault:?}: {failure:?}"));
        only(&fake.models());
        only(&fake.versions());
        assert_eq!(only(&fake.artifacts())["state"], "LIVE", "{fault:?}");
    }
}

#[tokio::test]
async fn what_another_job_made_is_left_alone() {
    let fake = ModelRegistry::start().await;
    whole_run(&fake, create_model()).await.unwrap();
    let before = (fake.models(), fake.versions(), fake.artifacts());
    let other = registrar_of(&fake, create_model(), "upload-other quay.io/org/llama:v1");
    let failure = other.look().await.unwrap_err();
    assert!(!failure.retriable);
    assert!(
        failure.cause.starts_with(
            "Cannot create model: RegisteredModel with name 'llama' already exists. Use \
             'create_version' intent"
        ),
        "{}",
        failure.cause
    );
    assert!(other.finish(URI, None).await.is_err());
    assert_eq!(before, (fake.models(), fake.versions(), fake.artifacts()));
}

#[tokio::test]
async fn a_version_is_added_to_a_model_of_somebody_else() {
    let fake = ModelRegistry::start().await;
    let model = fake.make("/registered_models", json!({"name": "theirs"}));
    let ids = whole_run(&fake, create_version(&model)).await.unwrap();
    assert_eq!(ids.model, Some(model.clone()));
    let version = only(&fake.versions());
    assert_eq!(version["registeredModelId"], model.as_str());
    let artifact = only(&fake.artifacts());
    assert_eq!(
        artifact["name"], "theirs",
        "without a name it has the model's"
    );
    assert!(
        !only(&fake.models()).contains_key("customProperties"),
        "the model is untouched"
    );
    // Again, as a retry.
    let again = whole_run(&fake, create_version(&model)).await.unwrap();
    assert_eq!(again, ids);
    only(&fake.artifacts());
}

#[tokio::test]
async fn a_version_needs_its_model_and_a_free_name() {
    let fake = ModelRegistry::start().await;
    let failure = whole_run(&fake, create_version("77")).await.unwrap_err();
    assert!(
        failure.cause.starts_with(
            "Cannot create version: RegisteredModel with ID '77' not found. Use 'create_model'"
        ),
        "{}",
        failure.cause
    );
    let model = fake.make("/registered_models", json!({"name": "theirs"}));
    let version = json!({"name": "v2", "registeredModelId": model});
    fake.make("/model_versions", version);
    let failure = whole_run(&fake, create_version(&model)).await.unwrap_err();
    let expected = format!(
        "Cannot create version: ModelVersion with name 'v2' already exists under RegisteredModel \
         'theirs' (ID: {model}). Use 'update_artifact'"
    );
    assert!(failure.cause.starts_with(&expected), "{}", failure.cause);
}

#[tokio::test]
async fn an_artifact_goes_from_pending_to_live_and_keeps_everything_else() {
    let fake = ModelRegistry::start().await;
    let properties = json!({
        "n": {"metadataType": "MetadataIntValue", "int_value": "7"},
        "p": {"metadataType": "MetadataProtoValue", "type": "t", "proto_value": "AA=="},
    });
    let id = fake.make_artifact(&json!({
        "uri": "s3://old", "state": "UNKNOWN", "description": "d", "customProperties": properties,
    }));
    let registrar = registrar(&fake, update(&id));
    begun(&registrar).await.unwrap();
    let pending = only(&fake.artifacts());
    assert_eq!(pending["state"], "PENDING");
    assert_eq!(pending["uri"], "s3://old");
    let ids = registrar.finish(URI, Some(IMAGE)).await.unwrap();
    assert_eq!(ids.artifact, Some(id));
    assert_eq!(ids.version.as_deref(), Some("8"));
    assert_eq!(ids.model, None);
    let live = only(&fake.artifacts());
    assert_eq!(live["state"], "LIVE");
    assert_eq!(live["uri"], URI);
    assert_eq!(live["description"], "d");
    assert_eq!(live["customProperties"]["n"], properties["n"]);
    assert_eq!(live["customProperties"]["p"], properties["p"]);
    assert_eq!(property(&live, DIGEST), IMAGE);
    let patches: Vec<Value> = fake
        .seen()
        .into_iter()
        .filter(|request| request.method == Method::PATCH)
        .map(|request| request.body)
        .collect();
    assert_eq!(
        patches[0],
        json!({"state": "PENDING"}),
        "no more than is needed"
    );
    assert!(patches.iter().all(|patch| patch.get("state").is_some()));
}

#[tokio::test]
async fn an_artifact_with_a_struct_stays_changeable() {
    let fake = ModelRegistry::start().await;
    let content = r#"{"languages":["en","de"]}"#;
    let id = fake.make_artifact(&json!({
        "customProperties": {
            "s": {"metadataType": "MetadataStructValue", "struct_value": STANDARD.encode(content)},
        },
    }));
    whole_run(&fake, update(&id)).await.unwrap();
    let live = only(&fake.artifacts());
    assert_eq!(live["state"], "LIVE");
    assert_eq!(
        live["customProperties"]["s"]["metadataType"],
        "MetadataStructValue"
    );
    assert_eq!(live["customProperties"]["s"]["struct_value"], content);
}

#[tokio::test]
async fn an_artifact_without_an_address_or_state_is_no_reason_to_fail() {
    let fake = ModelRegistry::start().await;
    let id = fake.make_artifact(&json!({}));
    whole_run(&fake, update(&id)).await.unwrap();
    assert_eq!(only(&fake.artifacts())["uri"], URI);
}

#[tokio::test]
async fn a_failed_run_abandons_its_artifact_and_a_retry_takes_it_up() {
    let fake = ModelRegistry::start().await;
    let id = fake.make_artifact(&json!({"uri": "s3://old", "state": "LIVE"}));
    let registrar = registrar(&fake, update(&id));
    begun(&registrar).await.unwrap();
    registrar.abandon().await.unwrap();
    let abandoned = only(&fake.artifacts());
    assert_eq!(abandoned["state"], "ABANDONED");
    assert_eq!(abandoned["uri"], "s3://old");
    whole_run(&fake, update(&id)).await.unwrap();
    assert_eq!(only(&fake.artifacts())["state"], "LIVE");
}

#[tokio::test]
async fn an_artifact_that_is_not_there_is_named() {
    let fake = ModelRegistry::start().await;
    let failure = whole_run(&fake, update("99")).await.unwrap_err();
    assert!(
        failure.cause.contains("Artifact 99 not found"),
        "{}",
        failure.cause
    );
    assert!(failure.remedy.contains("--model-artifact-id"));
}

#[tokio::test]
async fn a_refusal_is_shown_with_the_servers_words() {
    let fake = ModelRegistry::start().await;
    let failure = whole_run(&fake, update("no-number")).await.unwrap_err();
    assert!(!failure.retriable);
    for word in ["400", "Bad Request", "no-number"] {
        assert!(failure.cause.contains(word), "{}", failure.cause);
    }
    // Nothing was changed, so there is nothing to take back.
    let seen = fake.seen();
    assert!(seen.iter().all(|request| request.method == Method::GET));
}

#[tokio::test]
async fn a_wrong_token_is_told_at_once() {
    let fake = ModelRegistry::start().await;
    fake.require_token("other");
    let id = "1";
    let failure = whole_run(&fake, update(id)).await.unwrap_err();
    assert!(failure.cause.contains("401"), "{}", failure.cause);
    assert_eq!(fake.seen().len(), 1, "it is not tried again");
    let request = only(&fake.seen());
    assert_eq!(request.path, "/registered_models?pageSize=1&sortOrder=ASC");
    assert_eq!(request.authorization.as_deref(), Some("Bearer token"));
}

#[tokio::test]
async fn every_custom_property_is_one_that_the_server_takes() {
    let root = tempfile::tempdir().unwrap();
    let metadata = root.path().join("metadata");
    std::fs::create_dir(&metadata).unwrap();
    std::fs::write(metadata.join("RegisteredModel.name"), "llama").unwrap();
    let properties = r#"{"supported_languages": ["en", "de"], "big": 4294967296, "f": 0.5,
                         "b": true, "i": 3, "o": {"a": {"b": 1}}, "none": null}"#;
    std::fs::write(metadata.join("ModelVersion.custom_properties"), properties).unwrap();
    let fake = ModelRegistry::start().await;
    let variables: BTreeMap<String, String> = [
        ("MODEL_SYNC_SOURCE_URI", "https://example.com/m"),
        ("MODEL_SYNC_DESTINATION_OCI_URI", "quay.io/org/llama:v1"),
        ("MODEL_SYNC_REGISTRY_SERVER_ADDRESS", &fake.url()),
        ("MODEL_SYNC_MODEL_UPLOAD_INTENT", "create_model"),
        ("MODEL_SYNC_METADATA_CONFIGMAP_PATH", "/metadata"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    let environment = async_upload::config::Environment {
        root: root.path().to_owned(),
        variables,
    };
    let flags = async_upload::cli::parse(&[], &environment.variables).unwrap();
    let config = async_upload::config::load(&flags, &environment)
        .unwrap()
        .config;
    let registrar = Registrar::new(&config.registry, config.intent, 2).unwrap();
    begun(&registrar).await.unwrap();
    registrar.finish(URI, None).await.unwrap();
    let version = only(&fake.versions());
    assert_eq!(property(&version, "supported_languages"), r#"["en","de"]"#);
    assert_eq!(property(&version, "big"), "4294967296");
    assert_eq!(version["customProperties"]["i"]["int_value"], "3");
    assert_eq!(
        version["customProperties"]["o"]["struct_value"],
        r#"{"a":{"b":1}}"#
    );
}

/// The model registry's own client reads what was registered.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs Python programs"]
async fn the_python_client_reads_what_was_registered() {
    let python = cluster::tools::python("model-registry", &["model-registry==0.3.9"]).unwrap();
    let fake = ModelRegistry::start().await;
    let Intent::CreateModel {
        model,
        version,
        mut artifact,
    } = create_model()
    else {
        panic!("another intent");
    };
    // The client looks for the artifact by the model's name.
    artifact.name.clone_from(&model.name);
    let intent = Intent::CreateModel {
        model,
        version,
        artifact,
    };
    let ids = whole_run(&fake, intent).await.unwrap();
    let url = fake.url();
    let (host, port) = url.trim_start_matches("http://").split_once(':').unwrap();
    let output = std::process::Command::new(python.join("python"))
        .args(["-c", include_str!("read_registry.py"), host, port])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let read: Value = serde_json::from_str(said.trim()).unwrap_or_else(|_| panic!("{errors}"));
    assert_eq!(
        read,
        json!({
            "model": [ids.model, "llama", "ann", "LIVE"],
            "team": "nlp",
            "version": [ids.version, "v1", "bob", "LIVE"],
            "artifact": [ids.artifact, "llama", URI, "LIVE"],
            "format": ["safetensors", "1"],
            "digest": IMAGE,
        })
    );
}
