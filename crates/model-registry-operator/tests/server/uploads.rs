//! What people start uploads with: the Templates, whose parameters are interface, and the same Jobs
//! for clusters without Templates.

use std::{collections::BTreeMap, fs};

use cluster::Platform;
use operator_harness::root;
use runtime::offline::documents;
use serde_json::{Value, json};

use crate::harness::{World, world};

const TEMPLATES: &str = "config/model-registry-operator/jobs-async-upload";
const SAMPLES: &str = "samples/async-upload";

/// A parameter: its name, whether it must be given, and its default.
type Parameter = (&'static str, bool, Option<&'static str>);

const JOB: &[Parameter] = &[
    (
        "JOB_IMAGE",
        true,
        Some("quay.io/opendatahub/model-registry-job-async-upload:latest"),
    ),
    ("MODEL_SYNC_MODEL_ID", false, None),
    ("MODEL_SYNC_MODEL_VERSION_ID", false, None),
    ("MODEL_SYNC_MODEL_ARTIFACT_ID", false, None),
    ("MODEL_SYNC_REGISTRY_SERVER_ADDRESS", true, None),
    ("MODEL_SYNC_REGISTRY_PORT", true, None),
    (
        "MODEL_SYNC_REGISTRY_AUTHOR",
        true,
        Some("jobs-async-upload"),
    ),
    ("DESTINATION_CONNECTION", true, None),
    ("MODEL_SYNC_DESTINATION_OCI_URI", true, None),
    (
        "MODEL_SYNC_DESTINATION_OCI_ENABLE_TLS_VERIFY",
        false,
        Some("true"),
    ),
    (
        "MODEL_SYNC_REGISTRY_USER_TOKEN_ENVVAR",
        false,
        Some("KF_PIPELINES_SA_TOKEN_PATH"),
    ),
    (
        "KF_PIPELINES_SA_TOKEN_PATH",
        false,
        Some("/var/run/secrets/kubernetes.io/serviceaccount/token"),
    ),
    (
        "MODEL_SYNC_MODEL_UPLOAD_INTENT",
        false,
        Some("update_artifact"),
    ),
    ("MODEL_METADATA_CONFIGMAP", false, Some("model-metadata")),
];
const FROM_S3: &[Parameter] = &[
    ("SOURCE_CONNECTION", true, None),
    ("MODEL_SYNC_SOURCE_AWS_KEY", true, None),
];
const FROM_URI: &[Parameter] = &[
    ("SOURCE_CONNECTION", false, Some("source-credentials")),
    ("MODEL_SYNC_SOURCE_URI", true, None),
];
const METADATA: &[Parameter] = &[
    ("CONFIGMAP_NAME", false, Some("model-metadata")),
    ("MODEL_VERSION_NAME", true, None),
    ("MODEL_VERSION_DESCRIPTION", false, Some("")),
    ("MODEL_VERSION_AUTHOR", false, Some("")),
    ("MODEL_VERSION_CUSTOM_PROPERTIES", false, Some("{}")),
    ("MODEL_ARTIFACT_NAME", false, None),
    ("MODEL_ARTIFACT_FORMAT_NAME", false, Some("")),
    ("MODEL_ARTIFACT_FORMAT_VERSION", false, Some("")),
    ("MODEL_ARTIFACT_STORAGE_KEY", false, Some("")),
    ("MODEL_ARTIFACT_STORAGE_PATH", false, Some("")),
    ("MODEL_ARTIFACT_SERVICE_ACCOUNT_NAME", false, Some("")),
    ("MODEL_ARTIFACT_SOURCE_KIND", false, Some("")),
    ("MODEL_ARTIFACT_SOURCE_CLASS", false, Some("")),
    ("MODEL_ARTIFACT_SOURCE_GROUP", false, Some("")),
    ("MODEL_ARTIFACT_SOURCE_ID", false, Some("")),
    ("MODEL_ARTIFACT_SOURCE_NAME", false, Some("")),
    ("MODEL_ARTIFACT_CUSTOM_PROPERTIES", false, Some("{}")),
];
const MODEL: &[Parameter] = &[
    ("REGISTERED_MODEL_NAME", true, None),
    ("REGISTERED_MODEL_DESCRIPTION", false, Some("")),
    ("REGISTERED_MODEL_OWNER", false, Some("")),
    ("REGISTERED_MODEL_CUSTOM_PROPERTIES", false, Some("{}")),
];

/// Each Template, its parameters, and the folder of samples that does the same.
fn templates() -> [(&'static str, Vec<Parameter>, &'static str); 4] {
    [
        (
            "jobs-async-upload-s3-to-oci-template",
            [JOB, FROM_S3].concat(),
            "s3-to-oci",
        ),
        (
            "jobs-async-upload-uri-to-oci-template",
            [JOB, FROM_URI].concat(),
            "uri-to-oci",
        ),
        (
            "configmap-create-model-template",
            [METADATA, MODEL].concat(),
            "create-model",
        ),
        (
            "configmap-create-version-template",
            METADATA.to_vec(),
            "create-version",
        ),
    ]
}

fn read(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).expect("a file");
    let mut found = documents::read(&text, path).expect("YAML");
    found.pop().expect("a document")
}

/// What `oc process` does.
fn processed(template: &Value, given: &BTreeMap<String, String>) -> Value {
    let mut text = template["objects"][0].to_string();
    for parameter in template["parameters"].as_array().expect("parameters") {
        let name = parameter["name"].as_str().expect("a name");
        let value = given
            .get(name)
            .map(String::as_str)
            .or(parameter["value"].as_str())
            .unwrap_or_default();
        let quoted = json!(value).to_string();
        text = text.replace(&format!("${{{name}}}"), quoted.trim_matches('"'));
    }
    assert!(!text.contains("${"), "an unknown parameter: {text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The server's word on an object, without making it.
async fn valid(world: &World, name: &str, object: &Value) {
    let file = world.cluster.dir().join(format!("{name}.json"));
    fs::write(&file, object.to_string()).expect("a file");
    let file = file.to_str().expect("a path");
    let words = [
        "create",
        "-n",
        &world.namespace,
        "--dry-run=server",
        "--validate=strict",
        "-f",
        file,
    ];
    world.cluster.kubectl(&words).await.expect("valid");
}

#[tokio::test]
async fn templates_and_samples_make_the_same_valid_objects() {
    let world = world(Platform::Kubernetes, "uploads").await;
    for (name, mut parameters, folder) in templates() {
        let template = read(&format!("{TEMPLATES}/{name}.yaml"));
        assert_eq!(template["metadata"]["name"], name);
        let mut found: Vec<(&str, bool, Option<&str>)> = template["parameters"]
            .as_array()
            .expect("parameters")
            .iter()
            .map(|p| {
                let required = p["required"].as_bool().unwrap_or(false);
                (
                    p["name"].as_str().expect("a name"),
                    required,
                    p["value"].as_str(),
                )
            })
            .collect();
        found.sort_unstable();
        parameters.sort_unstable();
        assert_eq!(found, parameters, "{name}");

        // Each parameter is used, and no two in the same place.
        let marks: BTreeMap<_, _> = parameters
            .iter()
            .map(|(name, ..)| ((*name).to_owned(), format!("mark-{}", name.to_lowercase())))
            .collect();
        let marked = processed(&template, &marks).to_string();
        for mark in marks.values() {
            assert!(marked.contains(mark), "{name} does not use {mark}");
        }

        let kustomized = world
            .cluster
            .kubectl(&[
                "kustomize",
                &format!("{}/{SAMPLES}/{folder}", root().display()),
            ])
            .await
            .expect("a build");
        let built = documents::read(&kustomized, folder).expect("YAML");
        let [built] = built.as_slice() else {
            panic!("{folder} is one object: {kustomized}")
        };
        valid(&world, &format!("sample-{folder}"), built).await;
        if folder.starts_with("create") {
            let given = marks
                .into_iter()
                .filter(|(name, _)| name != "CONFIGMAP_NAME");
            let object = processed(&template, &given.collect());
            valid(&world, name, &object).await;
            assert_eq!(
                keys(&object["data"]),
                keys(&built["data"]),
                "{folder} and its Template"
            );
            assert_eq!(object["metadata"], built["metadata"]);
        } else {
            let asked = read(&format!("{SAMPLES}/{folder}/parameters.yaml"));
            let given: BTreeMap<String, String> =
                serde_json::from_value(asked["data"].clone()).expect("texts");
            assert_eq!(
                given.len(),
                parameters.len(),
                "{folder} has every parameter"
            );
            let object = processed(&template, &given);
            valid(&world, name, &object).await;
            assert_eq!(&object, built, "{folder} and its Template");
        }
    }
}

fn keys(map: &Value) -> Vec<&String> {
    map.as_object().expect("a map").keys().collect()
}
