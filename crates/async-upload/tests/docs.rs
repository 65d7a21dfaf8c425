//! The pages and samples say what the program does.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use async_upload::cli;
use async_upload::config::{self, Environment};
use serde_json::Value;

/// The page that is made from the flags.
const SETTINGS: &str = "docs/async-upload/settings.md";

const HEAD: &str = "# Settings of the upload job

Made from the program: `UPDATE_DOCS=1 cargo test -p async-upload --test docs`.

A flag wins over its variable, a variable over a credential file, that over the default. Empty is
unset. The beginning of a flag is enough where no other flag begins so. Yes and no are `true` and
`false`, `yes` and `no`, `on` and `off`, `1` and `0`.
";

const TAIL: &str = "
## Other variables

| variable | what |
|---|---|
| `LOGLEVEL` | `DEBUG`, `INFO` (default), `WARNING` or `ERROR` |
| `TERMINATION_MESSAGE_PATH` | where the last words go; `/dev/termination-log` |
| `.dockerconfigjson` | the content of a Docker configuration; wins over the files |
| `KF_PIPELINES_SA_TOKEN_PATH` | a file with a token for the model registry |
| `SIGSTORE_TUF_URL`, `SIGSTORE_FULCIO_URL`, `SIGSTORE_REKOR_URL`, `SIGSTORE_TSA_URL` | services for signing |
| `HF_ENDPOINT`, `HF_TOKEN`, `HF_TOKEN_PATH` | the hub of Hugging Face and who asks it |
| `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY` | ways out |
| `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE`, `CURL_CA_BUNDLE`, `AWS_CA_BUNDLE` | certificates to trust, beside those that are built in |
| `POD_NAME`, `HOSTNAME` | the pod's name, of which `--job-id` is made |

## Credential files

| flag | file |
|---|---|
| `--source-s3-credentials-path`, `--destination-s3-credentials-path` | a directory with `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION` or `AWS_DEFAULT_REGION`, `AWS_ENDPOINT_URL` or `AWS_S3_ENDPOINT`, `AWS_BUCKET` or `AWS_S3_BUCKET` |
| `--source-oci-credentials-path`, `--destination-oci-credentials-path` | a Docker configuration, or a directory with `.dockerconfigjson` or `config.json`. An entry has `auth`, `username` and `password`, or `identitytoken` |
| `--source-uri-credentials-path` | a directory with `URI`, and `HF_TOKEN` for a private repository |
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The table of all flags.
fn settings() -> String {
    let mut page = HEAD.to_owned();
    let mut heading = String::new();
    for argument in cli::command().get_arguments() {
        let Some(flag) = argument.get_long() else {
            continue;
        };
        let under = argument.get_help_heading().unwrap_or_default();
        if under != heading {
            under.clone_into(&mut heading);
            let _ = write!(
                page,
                "\n## {heading}\n\n| flag | variable | default | what |\n|---|---|---|---|\n"
            );
        }
        let default: Vec<_> = argument
            .get_default_values()
            .iter()
            .map(|value| value.to_string_lossy())
            .collect();
        let default = match default.join(" ").as_str() {
            "" | "false" => String::new(),
            value => format!("`{value}`"),
        };
        let help = argument.get_help().unwrap().to_string().replace('\n', " ");
        let choices: Vec<_> = argument
            .get_possible_values()
            .iter()
            .map(|choice| format!("`{}`", choice.get_name()))
            .collect();
        let choices = if choices.is_empty() || choices == ["`true`", "`false`"] {
            String::new()
        } else {
            format!(": {}", choices.join(", "))
        };
        let _ = writeln!(
            page,
            "| `--{flag}` | `{}` | {default} | {help}{choices} |",
            cli::variable(flag)
        );
    }
    page + TAIL
}

#[test]
fn the_page_of_settings_is_that_of_the_program() {
    let path = root().join(SETTINGS);
    let made = settings();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap();
    assert!(
        there == made,
        "{SETTINGS} is old: UPDATE_DOCS=1 cargo test -p async-upload --test docs"
    );
}

#[test]
fn every_setting_of_the_python_job_is_there() {
    let command = cli::command();
    let flags: Vec<&str> = command
        .get_arguments()
        .filter_map(clap::Arg::get_long)
        .collect();
    for flag in [
        "source-type",
        "source-uri",
        "source-aws-bucket",
        "source-aws-key",
        "source-aws-region",
        "source-aws-access-key-id",
        "source-aws-secret-access-key",
        "source-aws-endpoint",
        "source-oci-uri",
        "source-oci-registry",
        "source-oci-username",
        "source-oci-password",
        "source-s3-credentials-path",
        "source-oci-credentials-path",
        "source-uri-credentials-path",
        "destination-type",
        "destination-aws-bucket",
        "destination-aws-key",
        "destination-aws-region",
        "destination-aws-access-key-id",
        "destination-aws-secret-access-key",
        "destination-aws-endpoint",
        "destination-s3-credentials-path",
        "destination-oci-uri",
        "destination-oci-registry",
        "destination-oci-username",
        "destination-oci-password",
        "destination-oci-credentials-path",
        "destination-oci-base-image",
        "destination-oci-enable-tls-verify",
        "model-upload-intent",
        "model-id",
        "model-version-id",
        "model-artifact-id",
        "storage-path",
        "registry-server-address",
        "registry-port",
        "registry-is-secure",
        "registry-author",
        "registry-user-token",
        "registry-user-token-envvar",
        "registry-custom-ca",
        "registry-custom-ca-envvar",
        "registry-log-level",
        "sign",
        "signing-identity-token-path",
        "metadata-configmap-path",
    ] {
        assert!(flags.contains(&flag), "--{flag}");
    }
}

/// What a Job of the samples is given: its variables, and its Secrets and ConfigMaps as files.
#[test]
fn the_samples_are_whole_configurations() {
    for name in ["hf", "pvc"] {
        let path = root().join(format!("samples/async-upload/{name}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        let job = &objects[0];
        let pod = &job["spec"]["template"]["spec"];
        let container = &pod["containers"][0];
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true, "{name}");
        assert_eq!(security["capabilities"]["drop"][0], "ALL", "{name}");
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{name}");
        let dir = tempfile::tempdir().unwrap();
        let volumes = pod["volumes"].as_array().unwrap();
        for mount in container["volumeMounts"].as_array().unwrap() {
            let volume = volumes
                .iter()
                .find(|volume| volume["name"] == mount["name"]);
            let volume = volume.unwrap_or_else(|| panic!("{name}: volume {}", mount["name"]));
            let place = mount["mountPath"].as_str().unwrap().trim_start_matches('/');
            let place = dir.path().join(place);
            std::fs::create_dir_all(place.join("llama")).unwrap();
            let source = volume["secret"]["secretName"]
                .as_str()
                .or(volume["configMap"]["name"].as_str());
            match source {
                Some("registry-credentials") => {
                    let text = r#"{"auths":{"registry.example.com":{"auth":"dTpw"}}}"#;
                    std::fs::write(place.join(".dockerconfigjson"), text).unwrap();
                }
                Some(source) => {
                    let object = objects.iter().find(|one| one["metadata"]["name"] == source);
                    let object = object.unwrap_or_else(|| panic!("{name}: {source}"));
                    for field in ["data", "stringData"] {
                        for (key, value) in object[field].as_object().into_iter().flatten() {
                            std::fs::write(place.join(key), value.as_str().unwrap()).unwrap();
                        }
                    }
                }
                None => {}
            }
        }
        let variables: BTreeMap<String, String> = container["env"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let text = |field: &str| entry[field].as_str().unwrap().to_owned();
                (text("name"), text("value"))
            })
            .collect();
        let known: Vec<String> = cli::command()
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .map(cli::variable)
            .collect();
        for variable in variables.keys() {
            assert!(known.contains(variable), "{name}: {variable}");
        }
        let environment = Environment {
            variables,
            root: dir.path().to_owned(),
        };
        let flags = cli::parse(&[], &environment.variables).unwrap();
        let loaded = config::load(&flags, &environment);
        let loaded = loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(loaded.warnings.is_empty(), "{name}: {:?}", loaded.warnings);
    }
}
