//! Whole configurations: the callers that exist, and every mistake.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::cli;
use crate::settings::{Destination, OciAuth, Source};

/// An environment: variables, and files below a root of their own.
struct Place {
    root: TempDir,
    environment: Environment,
}

impl Place {
    fn new(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = root.path().join(path.trim_start_matches('/'));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let environment = Environment {
            variables: variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            root: root.path().to_owned(),
        };
        Self { root, environment }
    }

    fn load(&self, arguments: &[&str]) -> Result<Loaded, Error> {
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let flags = cli::parse(&arguments, &self.environment.variables)
            .unwrap_or_else(|error| panic!("{error}"));
        load(&flags, &self.environment)
    }

    fn printed(&self) -> Value {
        let loaded = self.load(&[]).unwrap_or_else(|error| panic!("{error}"));
        let text = print(&loaded).to_string();
        serde_json::from_str(&text.replace(self.root.path().to_str().unwrap(), "")).unwrap()
    }

    fn error(&self, arguments: &[&str]) -> String {
        self.load(arguments).unwrap_err().to_string()
    }
}

const TOKEN: (&str, &str) = (
    "/var/run/secrets/kubernetes.io/serviceaccount/token",
    "service-account-token\n",
);

const DOCKER: &str = r#"{"auths":{"quay.io":{"auth":"dXNlcjpwYXNzd29yZA=="}}}"#;

/// A whole and small configuration, to which a test adds what it is about.
const SMALL: [(&str, &str); 6] = [
    ("MODEL_SYNC_SOURCE_URI", "https://example.com/m.bin"),
    ("MODEL_SYNC_DESTINATION_OCI_URI", "quay.io/org/m:v1"),
    (
        "MODEL_SYNC_REGISTRY_SERVER_ADDRESS",
        "https://mr.example.com",
    ),
    ("MODEL_SYNC_REGISTRY_USER_TOKEN", "t"),
    ("MODEL_SYNC_MODEL_ARTIFACT_ID", "7"),
    ("HOSTNAME", "upload-x7k2p"),
];

fn small(variables: &[(&str, &str)], files: &[(&str, &str)]) -> Place {
    Place::new(&[SMALL.as_slice(), variables].concat(), files)
}

/// The dashboard's backend: a model from a bucket, to be created.
#[test]
#[allow(clippy::too_many_lines, reason = "it is one environment")]
fn the_dashboards_job_for_a_bucket() {
    let place = Place::new(
        &[
            ("HOSTNAME", "model-transfer-llama-bcdfg"),
            ("MODEL_SYNC_SOURCE_TYPE", "s3"),
            ("MODEL_SYNC_SOURCE_AWS_KEY", "models/llama"),
            ("MODEL_SYNC_SOURCE_S3_CREDENTIALS_PATH", "/opt/creds/source"),
            ("MODEL_SYNC_DESTINATION_TYPE", "oci"),
            ("MODEL_SYNC_DESTINATION_OCI_URI", "quay.io/org/llama:v1"),
            ("MODEL_SYNC_DESTINATION_OCI_REGISTRY", "quay.io"),
            (
                "MODEL_SYNC_DESTINATION_OCI_CREDENTIALS_PATH",
                "/opt/creds/destination/.dockerconfigjson",
            ),
            (
                "MODEL_SYNC_DESTINATION_OCI_BASE_IMAGE",
                "quay.io/quay/busybox:latest",
            ),
            (
                "MODEL_SYNC_REGISTRY_SERVER_ADDRESS",
                "https://mr.kubeflow.svc.cluster.local:8443",
            ),
            ("MODEL_SYNC_REGISTRY_PORT", "8443"),
            ("MODEL_SYNC_REGISTRY_IS_SECURE", "true"),
            (
                "MODEL_SYNC_REGISTRY_CUSTOM_CA",
                "/etc/pki/tls/custom/ca-bundle.crt",
            ),
            ("MODEL_SYNC_METADATA_CONFIGMAP_PATH", "/etc/model-metadata"),
            ("MODEL_SYNC_MODEL_UPLOAD_INTENT", "create_model"),
        ],
        &[
            TOKEN,
            ("/opt/creds/source/AWS_ACCESS_KEY_ID", "id\n"),
            ("/opt/creds/source/AWS_SECRET_ACCESS_KEY", "secret-key\n"),
            ("/opt/creds/source/AWS_S3_ENDPOINT", ""),
            ("/opt/creds/source/AWS_S3_BUCKET", "models\n"),
            ("/opt/creds/source/AWS_DEFAULT_REGION", "eu-west-1"),
            ("/opt/creds/destination/.dockerconfigjson", DOCKER),
            ("/etc/containers/certs.d/quay.io/ca.crt", "PEM"),
            ("/etc/model-metadata/RegisteredModel.name", "llama"),
            ("/etc/model-metadata/RegisteredModel.description", ""),
            ("/etc/model-metadata/RegisteredModel.owner", "ann"),
            (
                "/etc/model-metadata/RegisteredModel.customProperties",
                r#"{"team":"nlp"}"#,
            ),
            ("/etc/model-metadata/ModelVersion.name", "v1"),
            ("/etc/model-metadata/ModelVersion.author", "ann"),
            (
                "/etc/model-metadata/ModelVersion.customProperties",
                r#"{"f1":0.9}"#,
            ),
            ("/etc/model-metadata/ModelArtifact.name", "v1"),
            ("/etc/model-metadata/ModelArtifact.description", "weights"),
            (
                "/etc/model-metadata/ModelArtifact.model_format_name",
                "onnx",
            ),
            (
                "/etc/model-metadata/ModelArtifact.model_format_version",
                "1",
            ),
            (
                "/etc/model-metadata/ModelArtifact.model_source_kind",
                "transfer_job",
            ),
            (
                "/etc/model-metadata/ModelArtifact.model_source_class",
                "async-upload",
            ),
            ("/etc/model-metadata/ModelArtifact.model_source_group", "ns"),
            ("/etc/model-metadata/ModelArtifact.model_source_name", "job"),
        ],
    );
    let printed = place.printed();
    assert_eq!(
        printed["source"],
        json!({
            "type": "s3", "endpoint": null, "bucket": "models", "key": "models/llama",
            "region": "eu-west-1", "accessKeyId": "***", "secretAccessKey": "***",
            "sessionToken": null,
        })
    );
    assert_eq!(printed["destination"]["uri"], "oci://quay.io/org/llama:v1");
    assert_eq!(printed["destination"]["place"]["username"], "user");
    assert_eq!(
        printed["destination"]["place"]["caFiles"],
        json!(["/etc/containers/certs.d/quay.io/ca.crt"])
    );
    assert_eq!(printed["registry"]["token"], "***");
    assert_eq!(
        printed["registry"]["mark"],
        "model-transfer-llama quay.io/org/llama:v1"
    );
    assert_eq!(
        printed["registry"]["api"],
        "https://mr.kubeflow.svc.cluster.local:8443/api/model_registry/v1alpha3/"
    );
    assert_eq!(printed["intent"]["name"], "create_model");
    let Intent::CreateModel {
        model,
        version,
        artifact,
    } = place.load(&[]).unwrap().config.intent
    else {
        panic!("another intent");
    };
    assert!(model.rest.properties.contains_key("team"));
    assert!(version.rest.properties.contains_key("f1"));
    assert_eq!(artifact.rest.get("description"), Some("weights"));
    assert_eq!(
        printed["warnings"],
        json!(["--registry-custom-ca /etc/pki/tls/custom/ca-bundle.crt is no file; it is ignored"])
    );
}

/// The dashboard's backend: an artifact to update. Its ids are only in the ConfigMap.
#[test]
fn the_dashboards_job_that_updates_an_artifact() {
    let place = Place::new(
        &[
            ("MODEL_SYNC_SOURCE_TYPE", "uri"),
            ("MODEL_SYNC_SOURCE_URI", "hf://org/name"),
            ("MODEL_SYNC_DESTINATION_TYPE", "oci"),
            (
                "MODEL_SYNC_DESTINATION_OCI_URI",
                "registry.example.com/org/m:v1",
            ),
            (
                "MODEL_SYNC_DESTINATION_OCI_REGISTRY",
                "registry.example.com",
            ),
            (
                "MODEL_SYNC_DESTINATION_OCI_CREDENTIALS_PATH",
                "/opt/creds/destination/.dockerconfigjson",
            ),
            (
                "MODEL_SYNC_REGISTRY_SERVER_ADDRESS",
                "http://mr.ns.svc:8080/prefix",
            ),
            ("MODEL_SYNC_REGISTRY_PORT", "8080"),
            ("MODEL_SYNC_REGISTRY_IS_SECURE", "false"),
            ("MODEL_SYNC_METADATA_CONFIGMAP_PATH", "/etc/model-metadata"),
            ("MODEL_SYNC_MODEL_UPLOAD_INTENT", "update_artifact"),
        ],
        &[
            (
                "/opt/creds/destination/.dockerconfigjson",
                r#"{"auths":{"registry.example.com":{"username":"u","password":"p"}}}"#,
            ),
            ("/etc/model-metadata/RegisteredModel.id", ""),
            ("/etc/model-metadata/ModelVersion.id", "2"),
            ("/etc/model-metadata/ModelArtifact.id", "3"),
        ],
    );
    let printed = place.printed();
    assert_eq!(
        printed["intent"],
        json!({
            "name": "update_artifact", "artifactId": "3", "versionId": "2", "modelId": null,
        })
    );
    assert_eq!(printed["source"]["repository"], "org/name");
    assert_eq!(printed["source"]["revision"], "main");
    assert_eq!(
        printed["registry"]["api"],
        "http://mr.ns.svc:8080/prefix/api/model_registry/v1alpha3/"
    );
}

/// The operator's templates: no types, no registry, a directory of credentials, empty ids.
#[test]
fn the_operators_templates() {
    let common = [
        ("MODEL_SYNC_DESTINATION_OCI_URI", "quay.io/org/m:v1"),
        (
            "MODEL_SYNC_DESTINATION_OCI_CREDENTIALS_PATH",
            "/opt/creds/destination",
        ),
        (
            "MODEL_SYNC_REGISTRY_SERVER_ADDRESS",
            "https://mr.example.com",
        ),
        ("MODEL_SYNC_MODEL_UPLOAD_INTENT", "update_artifact"),
        ("MODEL_SYNC_MODEL_ID", ""),
        ("MODEL_SYNC_MODEL_VERSION_ID", ""),
        ("MODEL_SYNC_MODEL_ARTIFACT_ID", "4"),
        ("MODEL_SYNC_METADATA_CONFIGMAP_PATH", "/etc/model-metadata"),
    ];
    let files = [
        TOKEN,
        ("/opt/creds/destination/.dockerconfigjson", DOCKER),
        ("/opt/creds/destination/ACCESS_TYPE", "[\"Push\"]"),
        ("/opt/creds/destination/OCI_HOST", "quay.io"),
        ("/etc/model-metadata/RegisteredModel.name", ""),
    ];
    let s3 = [
        ("MODEL_SYNC_SOURCE_S3_CREDENTIALS_PATH", "/opt/creds/source"),
        ("MODEL_SYNC_SOURCE_AWS_KEY", "my-model/"),
    ];
    let s3_files = [
        ("/opt/creds/source/AWS_ACCESS_KEY_ID", "id"),
        ("/opt/creds/source/AWS_SECRET_ACCESS_KEY", "key"),
        ("/opt/creds/source/AWS_S3_BUCKET", "b"),
        ("/opt/creds/source/AWS_S3_ENDPOINT", "http://minio:9000"),
    ];
    let place = Place::new(
        &[&common[..], &s3].concat(),
        &[&files[..], &s3_files].concat(),
    );
    let printed = place.printed();
    assert_eq!(printed["source"]["type"], "s3");
    assert_eq!(printed["source"]["key"], "my-model");
    assert_eq!(printed["source"]["endpoint"], "http://minio:9000/");
    assert_eq!(printed["destination"]["place"]["password"], "***");
    assert_eq!(printed["registry"]["verify"], true);
    assert_eq!(printed["intent"]["modelId"], Value::Null);

    // The optional Secret of the URI is empty, or not there at all.
    let uri = [
        ("MODEL_SYNC_SOURCE_URI", "https://example.com/m.tar.gz"),
        (
            "MODEL_SYNC_SOURCE_URI_CREDENTIALS_PATH",
            "/opt/creds/source",
        ),
    ];
    for extra in [&[][..], &[("/opt/creds/source/.keep", "")][..]] {
        let place = Place::new(&[&common[..], &uri].concat(), &[&files[..], extra].concat());
        let printed = place.printed();
        assert_eq!(printed["source"]["uri"], "https://example.com/m.tar.gz");
    }
    // Or it holds the address.
    let uri = [
        ("MODEL_SYNC_SOURCE_URI", ""),
        (
            "MODEL_SYNC_SOURCE_URI_CREDENTIALS_PATH",
            "/opt/creds/source",
        ),
    ];
    let file = [("/opt/creds/source/URI", "https://example.com/n.bin\n")];
    let place = Place::new(&[&common[..], &uri].concat(), &[&files[..], &file].concat());
    assert_eq!(
        place.printed()["source"]["uri"],
        "https://example.com/n.bin"
    );
}

/// The tests downstream: credentials without a path to them, an open registry, `False`.
#[test]
fn the_tests_downstream() {
    let place = Place::new(
        &[
            ("MODEL_SYNC_SOURCE_TYPE", "s3"),
            ("MODEL_SYNC_SOURCE_AWS_KEY", "my-model"),
            ("MODEL_SYNC_SOURCE_AWS_BUCKET", "b"),
            ("MODEL_SYNC_SOURCE_AWS_ENDPOINT", "http://minio.ns.svc:9000"),
            ("MODEL_SYNC_SOURCE_AWS_REGION", "us-east-1"),
            ("MODEL_SYNC_SOURCE_AWS_ACCESS_KEY_ID", "id"),
            ("MODEL_SYNC_SOURCE_AWS_SECRET_ACCESS_KEY", "key"),
            ("MODEL_SYNC_DESTINATION_TYPE", "oci"),
            (
                "MODEL_SYNC_DESTINATION_OCI_URI",
                "registry.example.com/org/my-model",
            ),
            (
                "MODEL_SYNC_DESTINATION_OCI_REGISTRY",
                "registry.example.com:5000",
            ),
            ("MODEL_SYNC_DESTINATION_OCI_ENABLE_TLS_VERIFY", "false"),
            (
                "MODEL_SYNC_REGISTRY_SERVER_ADDRESS",
                "https://mr.example.com",
            ),
            ("MODEL_SYNC_REGISTRY_PORT", "443"),
            ("MODEL_SYNC_REGISTRY_IS_SECURE", "False"),
            ("MODEL_SYNC_REGISTRY_AUTHOR", "RHOAI async job test"),
            ("MODEL_SYNC_MODEL_ID", "1"),
            ("MODEL_SYNC_MODEL_VERSION_ID", "2"),
            ("MODEL_SYNC_MODEL_ARTIFACT_ID", "3"),
            ("COSIGN_ALLOW_INSECURE_REGISTRY", "true"),
        ],
        &[TOKEN, ("/opt/creds/destination/.dockerconfigjson", DOCKER)],
    );
    let printed = place.printed();
    assert_eq!(
        printed["destination"]["uri"],
        "oci://registry.example.com/org/my-model"
    );
    assert_eq!(printed["destination"]["place"]["username"], Value::Null);
    assert_eq!(printed["destination"]["place"]["verify"], false);
    assert_eq!(printed["registry"]["verify"], false);
    assert_eq!(printed["registry"]["token"], "***");
    assert_eq!(
        printed["intent"],
        json!({"name": "update_artifact", "artifactId": "3", "versionId": "2", "modelId": "1"})
    );
}

#[test]
fn what_is_given_wins_over_a_file_and_a_warning_shows_neither() {
    let files = [
        ("/creds/AWS_ACCESS_KEY_ID", "file-id"),
        ("/creds/AWS_SECRET_ACCESS_KEY", "file-secret"),
        ("/creds/AWS_BUCKET", "file-bucket"),
        ("/creds/AWS_S3_BUCKET", "second"),
        ("/creds/AWS_SESSION_TOKEN", "file-session"),
    ];
    let place = small(
        &[
            ("MODEL_SYNC_SOURCE_TYPE", "s3"),
            ("MODEL_SYNC_SOURCE_AWS_KEY", "k"),
            ("MODEL_SYNC_SOURCE_S3_CREDENTIALS_PATH", "/creds"),
            ("MODEL_SYNC_SOURCE_AWS_ACCESS_KEY_ID", "variable-id"),
            ("MODEL_SYNC_SOURCE_AWS_SECRET_ACCESS_KEY", "variable-secret"),
        ],
        &files,
    );
    let loaded = place
        .load(&["--source-aws-access-key-id", "argument-id"])
        .unwrap();
    let Source::S3(s3) = &loaded.config.transfer.source else {
        panic!("no bucket");
    };
    let credentials = s3.credentials.as_ref().unwrap();
    assert_eq!(credentials.access_key_id.reveal(), "argument-id");
    assert_eq!(credentials.secret_access_key.reveal(), "variable-secret");
    assert_eq!(
        credentials.session_token.as_ref().unwrap().reveal(),
        "file-session"
    );
    assert_eq!(s3.bucket, "file-bucket");
    assert_eq!(
        loaded.warnings,
        [
            "--source-aws-access-key-id and the credential file differ; the flag or its variable wins",
            "--source-aws-secret-access-key and the credential file differ; the flag or its \
             variable wins"
        ]
    );
}

#[test]
fn a_bucket_without_keys_is_asked_anonymously_and_half_a_pair_is_refused() {
    let bucket = [
        ("MODEL_SYNC_SOURCE_TYPE", "s3"),
        ("MODEL_SYNC_SOURCE_AWS_BUCKET", "b"),
        ("MODEL_SYNC_SOURCE_AWS_KEY", "k"),
    ];
    let loaded = small(&bucket, &[]).load(&[]).unwrap();
    let Source::S3(s3) = &loaded.config.transfer.source else {
        panic!("no bucket");
    };
    assert!(s3.credentials.is_none());
    assert!(loaded.warnings[0].contains("anonymous"));
    let error = small(&bucket, &[]).error(&["--source-aws-access-key-id=a"]);
    assert!(error.contains("--source-aws-secret-access-key"), "{error}");
}

#[test]
fn credentials_of_a_registry_come_from_the_most_exact_place() {
    let file = [(
        "/c/config.json",
        r#"{"auths":{"quay.io":{"auth":"YTpi"},"index.docker.io":{"auth":"Yzpk"}}}"#,
    )];
    let path = ("MODEL_SYNC_DESTINATION_OCI_CREDENTIALS_PATH", "/c");
    let image = |place: &Place, arguments: &[&str]| {
        let loaded = place.load(arguments).unwrap();
        let Destination::Oci(oci) = loaded.config.transfer.destination else {
            panic!("no image");
        };
        (oci, loaded.warnings)
    };
    let base = "--destination-oci-base-image=busybox";
    let (oci, warnings) = image(&small(&[path], &file), &[base]);
    let user = |auth: &OciAuth| match auth {
        OciAuth::Basic { username, password } => format!("{username}:{}", password.reveal()),
        _ => String::new(),
    };
    assert_eq!(user(&oci.image.auth), "a:b");
    assert_eq!(user(&oci.base.unwrap().auth), "c:d", "the base has its own");
    assert!(warnings.is_empty(), "{warnings:?}");

    let inline = [
        "--destination-oci-username=u",
        "--destination-oci-password=p",
    ];
    let (oci, warnings) = image(&small(&[path], &file), &inline);
    assert_eq!(user(&oci.image.auth), "u:p");
    assert!(
        warnings[0].contains("--destination-oci-username"),
        "{warnings:?}"
    );

    let variable = (
        ".dockerconfigjson",
        r#"{"auths":{"quay.io":{"auth":"ZTpm"}}}"#,
    );
    let (oci, _) = image(
        &small(&[path, variable], &file),
        &["--destination-oci-base-image=none"],
    );
    assert_eq!(user(&oci.image.auth), "e:f");
    assert!(oci.base.is_none());

    let error = small(
        &[path],
        &[("/c/.dockerconfigjson", r#"{"auths":{"r.io":{}}}"#)],
    )
    .error(&[]);
    assert!(
        error.contains("no credentials for registry quay.io"),
        "{error}"
    );
    assert!(error.contains("there: r.io"), "{error}");
}

#[test]
fn the_token_is_looked_for_in_the_documented_order() {
    let files = [
        TOKEN,
        ("/named", " named-token \n"),
        ("/pipelines", "pipelines-token"),
    ];
    let token = |variables: &[(&str, &str)]| {
        let all = [&SMALL[..3], &SMALL[4..], variables].concat();
        let loaded = Place::new(&all, &files).load(&[]).unwrap();
        loaded.config.registry.token.unwrap().reveal().to_owned()
    };
    let pipelines = ("KF_PIPELINES_SA_TOKEN_PATH", "/pipelines");
    let named = [
        ("MODEL_SYNC_REGISTRY_USER_TOKEN_ENVVAR", "MY_TOKEN"),
        ("MY_TOKEN", "/named"),
        pipelines,
    ];
    let literal = ("MODEL_SYNC_REGISTRY_USER_TOKEN", "literal\n");
    assert_eq!(token(&[]), "service-account-token");
    assert_eq!(token(&[pipelines]), "pipelines-token");
    assert_eq!(token(&named), "named-token");
    assert_eq!(token(&[&named[..], &[literal]].concat()), "literal");

    let without = [&SMALL[..3], &SMALL[4..]].concat();
    let error = Place::new(&without, &[]).error(&[]);
    assert!(
        error.contains("user token must be provided for secure connection"),
        "{error}"
    );
    let error = Place::new(&without, &[]).error(&["--registry-user-token-envvar=NO_SUCH"]);
    assert!(error.contains("variable NO_SUCH"), "{error}");
}

#[test]
fn signing_is_decided_as_documented() {
    let all = [
        ("SIGSTORE_TUF_URL", "https://tuf"),
        ("SIGSTORE_FULCIO_URL", "https://fulcio"),
        ("SIGSTORE_REKOR_URL", "https://rekor"),
    ];
    let signs = |variables: &[(&str, &str)], arguments: &[&str]| {
        let loaded = small(variables, &[TOKEN]).load(arguments).unwrap();
        (loaded.config.signing.is_some(), loaded.warnings)
    };
    assert_eq!(signs(&[], &[]), (false, vec![]));
    assert!(signs(&all, &[]).0);
    assert!(!signs(&all, &["--sign=no"]).0);
    let (signed, warnings) = signs(&all[..1], &[]);
    assert!(!signed);
    assert_eq!(
        warnings,
        [
            "nothing is signed, because these variables are not set: SIGSTORE_FULCIO_URL, \
          SIGSTORE_REKOR_URL"
        ]
    );
    // The service account's token, unless another is named.
    let token = |arguments: &[&str]| {
        let loaded = small(&all, &[TOKEN, ("/t", "t")]).load(arguments).unwrap();
        loaded.config.signing.unwrap().token
    };
    assert!(token(&[]).ends_with("serviceaccount/token"));
    assert!(token(&["--signing-identity-token-path=/t"]).ends_with("t"));
    let error = small(&all[..2], &[TOKEN]).error(&["--sign=true"]);
    assert!(error.contains("SIGSTORE_REKOR_URL"), "{error}");
    let error = small(&all, &[]).error(&[]);
    assert!(error.contains("--signing-identity-token-path") && error.contains("no such file"));
}

#[test]
fn every_mistake_names_its_field_and_a_remedy() {
    let cases: &[(&[&str], &[&str])] = &[
        (
            &["--source-uri=gs://b/m"],
            &["--source-uri", "Unsupported URI format", "hf://ORG"],
        ),
        (&["--source-uri=hf://name"], &["exactly one '/'"]),
        (&["--source-uri=hf://a/b/c"], &["exactly one '/'"]),
        (&["--source-uri=hf:///b"], &["empty"]),
        (
            &["--source-uri=file:///no/such"],
            &["no such directory", "/no/such"],
        ),
        (&["--source-type=pvc"], &["--source-path"]),
        (&["--source-type=oci"], &["--source-oci-uri", "not set"]),
        (
            &["--source-type=s3"],
            &["--source-aws-bucket", "AWS_S3_BUCKET"],
        ),
        (
            &["--source-s3-credentials-path=/no"],
            &["credentials folder not found", "/no"],
        ),
        (
            &["--destination-oci-uri=Bad Image"],
            &["--destination-oci-uri", "Bad Image"],
        ),
        (
            &["--destination-oci-username=u"],
            &["--destination-oci-password"],
        ),
        (
            &["--destination-oci-credentials-path=/no"],
            &["credentials file not found"],
        ),
        (&["--destination-type=s3"], &["--destination-aws-bucket"]),
        (
            &["--model-artifact-id=abc"],
            &["--model-artifact-id", "numbers"],
        ),
        (
            &["--model-upload-intent=create_model"],
            &["Intent create_model requires ConfigMap metadata but none provided"],
        ),
        (
            &["--metadata-configmap-path=/no"],
            &["--metadata-configmap-path", "/no"],
        ),
        (&["--memory-budget=1MiB"], &["--memory-budget", "16 MiB"]),
    ];
    for (arguments, needles) in cases {
        let error = small(&[], &[]).error(arguments);
        for needle in *needles {
            assert!(error.contains(needle), "{arguments:?}: {error}");
        }
        assert!(error.ends_with('.'), "{error}");
    }
    let place = Place::new(&[&SMALL[..2], &SMALL[4..]].concat(), &[]);
    assert!(place.error(&[]).contains("--registry-server-address"));
    let place = small(&[], &[("/m/ModelArtifact.name", "a")]);
    let arguments = ["--metadata-configmap-path=/m", "--model-upload-intent"];
    let error = place.error(&[arguments[0], arguments[1], "create_model"]);
    assert!(error.contains("RegisteredModel.name"), "{error}");
    let error = place.error(&[arguments[0], arguments[1], "create_version"]);
    assert!(error.contains("--model-id"), "{error}");
    let error = place.error(&[arguments[0], arguments[1], "create_version", "--model-id=1"]);
    assert!(error.contains("ModelVersion.name"), "{error}");
}

#[test]
fn a_version_without_a_name_and_an_author_has_the_documented_ones() {
    let files = [("/m/RegisteredModel.name", "llama")];
    let author = ("/m/ModelVersion.author", "bob");
    let version = |files: &[(&str, &str)]| {
        let arguments = [
            "--metadata-configmap-path=/m",
            "--model-upload-intent=create_model",
            "--registry-author=ann",
        ];
        match small(&[], files).load(&arguments).unwrap().config.intent {
            Intent::CreateModel { version, .. } => version,
            other => panic!("{other:?}"),
        }
    };
    let made = version(&files);
    assert_eq!(
        (&*made.name, made.rest.get("author")),
        ("1.0.0", Some("ann"))
    );
    let made = version(&[files[0], author]);
    assert_eq!(made.rest.get("author"), Some("bob"), "the metadata wins");
}

#[test]
fn a_private_repository_has_a_token_in_a_variable_a_file_or_the_secret() {
    let hub = ("MODEL_SYNC_SOURCE_URI", "hf://org/name:v2");
    let token = |variables: &[(&str, &str)]| {
        let all = [&SMALL[1..], &[hub], variables].concat();
        let files = [("/t", "file\n"), ("/s/HF_TOKEN", "secret\n")];
        match Place::new(&all, &files)
            .load(&[])
            .unwrap()
            .config
            .transfer
            .source
        {
            Source::Hf(hf) => {
                assert_eq!(hf.revision, "v2");
                hf.token.map(|token| token.reveal().to_owned())
            }
            other => panic!("{other:?}"),
        }
    };
    let secret = ("MODEL_SYNC_SOURCE_URI_CREDENTIALS_PATH", "/s");
    assert_eq!(token(&[]), None);
    assert_eq!(token(&[secret]).as_deref(), Some("secret"));
    assert_eq!(
        token(&[secret, ("HF_TOKEN_PATH", "/t")]).as_deref(),
        Some("file")
    );
    assert_eq!(
        token(&[secret, ("HF_TOKEN", "variable")]).as_deref(),
        Some("variable")
    );
    let endpoint = ("HF_ENDPOINT", "https://hub.example.com");
    let all = [&SMALL[1..], &[hub, endpoint]].concat();
    let loaded = Place::new(&all, &[]).load(&[]).unwrap();
    match loaded.config.transfer.source {
        Source::Hf(hf) => assert_eq!(hf.endpoint.as_str(), "https://hub.example.com/"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_secret_is_in_what_is_printed_or_debugged() {
    let secrets = ["s3cret-a", "s3cret-b", "s3cret-c", "s3cret-d", "s3cret-e"];
    let place = small(
        &[
            ("MODEL_SYNC_SOURCE_TYPE", "s3"),
            ("MODEL_SYNC_SOURCE_AWS_BUCKET", "b"),
            ("MODEL_SYNC_SOURCE_AWS_KEY", "k"),
            ("MODEL_SYNC_SOURCE_AWS_ACCESS_KEY_ID", secrets[0]),
            ("MODEL_SYNC_SOURCE_AWS_SECRET_ACCESS_KEY", secrets[1]),
            ("MODEL_SYNC_SOURCE_AWS_SESSION_TOKEN", secrets[2]),
            ("MODEL_SYNC_DESTINATION_OCI_USERNAME", "u"),
            ("MODEL_SYNC_DESTINATION_OCI_PASSWORD", secrets[3]),
        ],
        &[],
    );
    let token = format!("--registry-user-token={}", secrets[4]);
    let loaded = place.load(&[&token]).unwrap();
    let shown = format!("{}{loaded:?}", print(&loaded));
    for secret in secrets {
        assert!(!shown.contains(secret), "{secret}");
    }
    assert!(shown.contains("***"));
}

#[test]
fn storage_is_used_only_where_it_is() {
    let place = small(&[("MODEL_SYNC_STORAGE_PATH", "/tmp/model-sync")], &[]);
    let loaded = place.load(&[]).unwrap();
    assert_eq!(loaded.config.transfer.spool, None);
    assert!(loaded.warnings[0].contains("/tmp/model-sync"));
    let place = small(
        &[("MODEL_SYNC_STORAGE_PATH", "/spool")],
        &[("/spool/.keep", "")],
    );
    let spool = place.load(&[]).unwrap().config.transfer.spool;
    assert_eq!(spool, Some(place.environment.path(Path::new("/spool"))));
}

#[test]
fn last_words_go_where_kubernetes_looks() {
    let environment = |variables: &[(&str, &str)]| Environment {
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
        root: "/".into(),
    };
    let usual = termination_log(&environment(&[]));
    assert_eq!(usual, Path::new("/dev/termination-log"));
    let other = termination_log(&environment(&[("TERMINATION_MESSAGE_PATH", "/x")]));
    assert_eq!(other, Path::new("/x"));
}
