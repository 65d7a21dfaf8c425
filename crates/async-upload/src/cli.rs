//! Flags and environment variables.
//!
//! Every flag has a variable: `MODEL_SYNC_` and the name of the flag in capitals, with `_` for `-`.
//! A variable that is set and not empty becomes an argument before the real ones. One parser checks
//! both, and an argument wins over a variable because it comes later. An empty value is unset, in
//! the environment and in arguments, because templates write one where nothing was chosen.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Arg, Args, Command, CommandFactory as _, FromArgMatches as _, Parser, ValueEnum};

/// What the names of variables begin with.
const PREFIX: &str = "MODEL_SYNC_";
/// With `FIPS` where that was asked for.
const VERSION: &str = if crypto::FIPS {
    concat!(env!("CARGO_PKG_VERSION"), " FIPS")
} else {
    env!("CARGO_PKG_VERSION")
};

/// Copies a model from where it is to an image registry or a bucket and registers it.
///
/// Every flag can be set by a variable: MODEL_SYNC_ and the flag's name in capitals, for example
/// MODEL_SYNC_SOURCE_TYPE for --source-type. Arguments win over variables, variables over
/// credential files, those over defaults. Empty is unset.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "async-upload",
    version = VERSION,
    infer_long_args = true,
    args_override_self = true,
    disable_help_subcommand = true
)]
#[allow(missing_docs, reason = "the help of a flag is its documentation")]
pub struct Flags {
    #[command(flatten)]
    pub source: SourceFlags,
    #[command(flatten)]
    pub destination: DestinationFlags,
    #[command(flatten)]
    pub registry: RegistryFlags,
    #[command(flatten)]
    pub signing: SigningFlags,
    #[command(flatten)]
    pub run: RunFlags,
}

/// Where the model comes from.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Source")]
#[allow(missing_docs, reason = "the help of a flag is its documentation")]
pub struct SourceFlags {
    /// Kind of source. Without it: `pvc` if a path is given, `uri` if a URI is given and no S3 key,
    /// `oci` if only an image is given, else `s3`
    #[arg(long, value_name = "KIND")]
    pub source_type: Option<SourceType>,
    /// Address of the model: http://, https://, `hf://ORG/NAME[:REVISION]` or `file:///DIR`
    #[arg(long, value_name = "URI")]
    pub source_uri: Option<String>,
    /// Directory of a mounted volume that holds the model
    #[arg(long, value_name = "DIR")]
    pub source_path: Option<PathBuf>,
    /// Bucket that holds the model
    #[arg(long, value_name = "NAME")]
    pub source_aws_bucket: Option<String>,
    /// Key of one object, or the folder of the model in the bucket
    #[arg(long, value_name = "KEY")]
    pub source_aws_key: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    pub source_aws_region: Option<String>,
    /// Access key. Without a pair of keys, requests are anonymous
    #[arg(long, value_name = "ID")]
    pub source_aws_access_key_id: Option<String>,
    /// Secret key of that access key
    #[arg(long, value_name = "SECRET")]
    pub source_aws_secret_access_key: Option<String>,
    /// Session token of temporary keys
    #[arg(long, value_name = "TOKEN")]
    pub source_aws_session_token: Option<String>,
    /// Address of an S3 server that is not Amazon's
    #[arg(long, value_name = "URL")]
    pub source_aws_endpoint: Option<String>,
    /// Image or artifact to read the model from
    #[arg(long, value_name = "IMAGE")]
    pub source_oci_uri: Option<String>,
    /// Name of the source registry in the credentials. Without it, the host of the image
    #[arg(long, value_name = "HOST")]
    pub source_oci_registry: Option<String>,
    /// User of the source registry
    #[arg(long, value_name = "NAME")]
    pub source_oci_username: Option<String>,
    /// Password of that user
    #[arg(long, value_name = "SECRET")]
    pub source_oci_password: Option<String>,
    /// Whether certificates of the source registry are verified; without, plain HTTP is tried, too
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, value_parser = boolean, default_value = "true")]
    pub source_oci_enable_tls_verify: bool,
    /// Directory of a mounted Secret with AWS_ACCESS_KEY_ID and so on
    #[arg(long, value_name = "DIR")]
    pub source_s3_credentials_path: Option<PathBuf>,
    /// Docker configuration with the credentials of the source registry, or its directory
    #[arg(long, value_name = "PATH")]
    pub source_oci_credentials_path: Option<PathBuf>,
    /// Directory of a mounted Secret with the files `URI`, and `HF_TOKEN` for a private repository
    #[arg(long, value_name = "DIR")]
    pub source_uri_credentials_path: Option<PathBuf>,
}

/// Where the model goes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Destination")]
#[allow(missing_docs, reason = "the help of a flag is its documentation")]
pub struct DestinationFlags {
    /// Kind of destination. Without it: `s3` if a bucket and no image is given, else `oci`
    #[arg(long, value_name = "KIND")]
    pub destination_type: Option<DestinationType>,
    /// Bucket for the model
    #[arg(long, value_name = "NAME")]
    pub destination_aws_bucket: Option<String>,
    /// Folder for the model in the bucket
    #[arg(long, value_name = "KEY")]
    pub destination_aws_key: Option<String>,
    /// Region of the bucket
    #[arg(long, value_name = "REGION")]
    pub destination_aws_region: Option<String>,
    /// Access key
    #[arg(long, value_name = "ID")]
    pub destination_aws_access_key_id: Option<String>,
    /// Secret key of that access key
    #[arg(long, value_name = "SECRET")]
    pub destination_aws_secret_access_key: Option<String>,
    /// Session token of temporary keys
    #[arg(long, value_name = "TOKEN")]
    pub destination_aws_session_token: Option<String>,
    /// Address of an S3 server that is not Amazon's
    #[arg(long, value_name = "URL")]
    pub destination_aws_endpoint: Option<String>,
    /// Directory of a mounted Secret with AWS_ACCESS_KEY_ID and so on
    #[arg(long, value_name = "DIR")]
    pub destination_s3_credentials_path: Option<PathBuf>,
    /// Image to push, for example `quay.io/org/model:v1`
    #[arg(long, value_name = "IMAGE")]
    pub destination_oci_uri: Option<String>,
    /// Name of the registry in the credentials. Without it, the host of the image
    #[arg(long, value_name = "HOST")]
    pub destination_oci_registry: Option<String>,
    /// User of the registry
    #[arg(long, value_name = "NAME")]
    pub destination_oci_username: Option<String>,
    /// Password of that user
    #[arg(long, value_name = "SECRET")]
    pub destination_oci_password: Option<String>,
    /// Docker configuration with the credentials of the registry, or its directory
    #[arg(long, value_name = "PATH")]
    pub destination_oci_credentials_path: Option<PathBuf>,
    /// Image below the model, or `none`
    #[arg(
        long,
        value_name = "IMAGE",
        alias = "base-image",
        default_value = "public.ecr.aws/docker/library/busybox:latest"
    )]
    pub destination_oci_base_image: String,
    /// The most layers of the image, those of the base included. Small files share layers
    #[arg(long, value_name = "NUMBER", default_value_t = crate::settings::LAYER_CAP)]
    pub destination_oci_layer_cap: usize,
    /// Repository of the same registry that may have layers of this model already
    #[arg(long, value_name = "REPOSITORY")]
    pub destination_oci_mount_from: Option<String>,
    /// Whether certificates of the registry are verified; without, plain HTTP is tried, too
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, value_parser = boolean, default_value = "true")]
    pub destination_oci_enable_tls_verify: bool,
}

/// What is registered, and where.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Model registry")]
#[allow(missing_docs, reason = "the help of a flag is its documentation")]
pub struct RegistryFlags {
    /// What to do in the model registry
    #[arg(long, value_name = "INTENT", default_value = "update_artifact")]
    pub model_upload_intent: IntentName,
    /// Id of the registered model
    #[arg(long, value_name = "ID")]
    pub model_id: Option<String>,
    /// Id of the model version
    #[arg(long, value_name = "ID")]
    pub model_version_id: Option<String>,
    /// Id of the model artifact
    #[arg(long, value_name = "ID")]
    pub model_artifact_id: Option<String>,
    /// Directory of a mounted ConfigMap that says what to create. Without it, /etc/model-metadata if
    /// that exists
    #[arg(long, value_name = "DIR")]
    pub metadata_configmap_path: Option<PathBuf>,
    /// Address of the model registry: a host or a URL, a path included
    #[arg(long, value_name = "URL")]
    pub registry_server_address: Option<String>,
    /// Port, if the address has none. Without it: 443, or 80 for an address of http://
    #[arg(long, value_name = "PORT")]
    pub registry_port: Option<u16>,
    /// Whether a token is required and certificates are verified. Without it: yes, unless the
    /// address is one of http://
    #[arg(long, value_name = "BOOL", value_parser = boolean)]
    pub registry_is_secure: Option<bool>,
    /// Author of what is created, if the metadata names none
    #[arg(long, value_name = "NAME")]
    pub registry_author: Option<String>,
    /// Token for the model registry
    #[arg(long, value_name = "TOKEN")]
    pub registry_user_token: Option<String>,
    /// Name of a variable that holds the path of a file with the token
    #[arg(long, value_name = "VARIABLE")]
    pub registry_user_token_envvar: Option<String>,
    /// PEM file with certificates to trust beside those of the system
    #[arg(long, value_name = "FILE")]
    pub registry_custom_ca: Option<PathBuf>,
    /// Name of a variable that holds the path of such a file
    #[arg(long, value_name = "VARIABLE")]
    pub registry_custom_ca_envvar: Option<String>,
    /// Log level of what is said to the model registry: DEBUG, INFO, WARNING, ERROR, CRITICAL, or
    /// Python's number for one of them
    #[arg(long, value_name = "LEVEL", value_parser = level, default_value = "30")]
    pub registry_log_level: tracing::Level,
}

/// Signatures of model and image.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Signing")]
#[allow(missing_docs, reason = "the help of a flag is its documentation")]
pub struct SigningFlags {
    /// Whether to sign. Without it: if SIGSTORE_TUF_URL, SIGSTORE_FULCIO_URL and SIGSTORE_REKOR_URL
    /// are set
    #[arg(long, value_name = "BOOL", value_parser = boolean)]
    pub sign: Option<bool>,
    /// File with the token that says who signs. Without it, the token of the service account
    #[arg(long, value_name = "FILE")]
    pub signing_identity_token_path: Option<PathBuf>,
    /// `root.json` of the TUF repository to trust. Without it, the one that the repository serves
    #[arg(long, value_name = "FILE")]
    pub signing_tuf_root_path: Option<PathBuf>,
    /// How the signature of an image is stored: as a bundle that refers to the image (cosign 3), or
    /// under a tag (cosign 2)
    #[arg(long, value_name = "FORM", default_value = "cosign3")]
    pub image_signature_format: SignatureForm,
}

/// How the job runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Run")]
#[allow(missing_docs, reason = "the help of a flag is its documentation")]
pub struct RunFlags {
    /// Memory for data on its way, with a unit (`MiB`, `GiB`) or in bytes
    #[arg(long, value_name = "SIZE", value_parser = bytes, default_value = "128MiB")]
    pub memory_budget: u64,
    /// Whether notes in the destination let the next pod continue: `on` or `off`
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, value_parser = boolean, default_value = "on")]
    pub checkpoint: bool,
    /// What the pods of one Job share. Without it, the pod's name without its random end
    #[arg(long, value_name = "NAME")]
    pub job_id: Option<String>,
    /// Directory for files whose size their source does not tell. Nothing else is stored on disk;
    /// without it, such a file is read twice
    #[arg(long, value_name = "DIR")]
    pub storage_path: Option<PathBuf>,
    /// Print the configuration as JSON, with secrets masked, and end
    #[arg(long)]
    pub print_config: bool,
}

/// Kinds of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SourceType {
    /// A bucket.
    S3,
    /// An image registry.
    Oci,
    /// A web server, the Hugging Face hub or a directory.
    Uri,
    /// A mounted volume.
    Pvc,
}

/// Kinds of destinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DestinationType {
    /// A bucket.
    S3,
    /// An image registry.
    Oci,
}

/// What to do in the model registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum IntentName {
    /// A new model with its first version and artifact.
    CreateModel,
    /// A new version with its artifact.
    CreateVersion,
    /// Another address for an artifact.
    UpdateArtifact,
}

impl IntentName {
    /// The word that users write and that the result repeats.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CreateModel => "create_model",
            Self::CreateVersion => "create_version",
            Self::UpdateArtifact => "update_artifact",
        }
    }
}

/// How the signature of an image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SignatureForm {
    /// A Sigstore bundle that refers to the image.
    Cosign3,
    /// A tag `sha256-DIGEST.sig` beside the image.
    Cosign2,
}

/// The variable that sets a flag.
#[must_use]
pub fn variable(flag: &str) -> String {
    format!("{PREFIX}{}", flag.to_uppercase().replace('-', "_"))
}

/// The command with everything that `--help` and the table of settings show.
#[must_use]
pub fn command() -> Command {
    Flags::command()
}

/// Reads arguments (without the name of the program) and variables. The error is for the user: its
/// exit code is 2, or 0 where help was asked for.
pub fn parse(
    arguments: &[String],
    variables: &BTreeMap<String, String>,
) -> Result<Flags, clap::Error> {
    let mut command = command();
    let program = command.get_name().to_owned();
    let mut all = vec![program.clone()];
    for (name, argument) in from_variables(&command, variables) {
        command
            .clone()
            .try_get_matches_from([&program, &argument])
            .map_err(|error| in_variable(&mut command, &name, &error))?;
        all.push(argument);
    }
    all.extend(without_empty(arguments));
    Flags::from_arg_matches(&command.clone().try_get_matches_from(all)?)
        .map_err(|error| error.format(&mut command))
}

/// Variables as arguments, in the order of the flags.
fn from_variables(
    command: &Command,
    variables: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    command
        .get_arguments()
        .filter_map(Arg::get_long)
        .filter_map(|flag| {
            let name = variable(flag);
            let value = variables.get(&name).filter(|value| !value.is_empty())?;
            match flag {
                "help" | "version" => None,
                // The one flag without a value.
                "print-config" => boolean(value).ok()?.then(|| (name, format!("--{flag}"))),
                _ => Some((name, format!("--{flag}={value}"))),
            }
        })
        .collect()
}

/// The same mistake, told in terms of the variable that holds it.
fn in_variable(command: &mut Command, name: &str, error: &clap::Error) -> clap::Error {
    let text = error.to_string();
    let sentence = text.lines().next().unwrap_or_default();
    let sentence = sentence.strip_prefix("error: ").unwrap_or(sentence);
    let choices = text
        .lines()
        .find(|line| line.contains("possible values"))
        .unwrap_or_default();
    command.error(
        ErrorKind::InvalidValue,
        format!("variable {name}: {sentence} {}", choices.trim()).trim(),
    )
}

/// Arguments without those that are given as empty: `--flag=` and `--flag ''`.
fn without_empty(arguments: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let is_flag = |text: &String| text.starts_with("--") && !text.contains('=');
        if argument.is_empty() && kept.last().is_some_and(is_flag) {
            kept.pop();
        } else if !(argument.starts_with("--")
            && argument.ends_with('=')
            && argument.matches('=').count() == 1)
        {
            kept.push(argument.clone());
        }
    }
    kept
}

/// Yes and no in the words of the Python job, `on` and `off` included.
fn boolean(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "true" | "t" | "1" | "on" => Ok(true),
        "no" | "n" | "false" | "f" | "0" | "off" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// A level by its name in Python's logging, or by its number there.
pub fn level(text: &str) -> Result<tracing::Level, String> {
    use tracing::Level;
    if let Ok(number) = text.parse::<u32>() {
        return Ok(match number {
            0..20 => Level::DEBUG,
            20..30 => Level::INFO,
            30..40 => Level::WARN,
            _ => Level::ERROR,
        });
    }
    match text.to_ascii_uppercase().as_str() {
        "DEBUG" | "NOTSET" => Ok(Level::DEBUG),
        "INFO" => Ok(Level::INFO),
        "WARNING" | "WARN" => Ok(Level::WARN),
        "ERROR" | "CRITICAL" | "FATAL" => Ok(Level::ERROR),
        _ => Err("write DEBUG, INFO, WARNING, ERROR or CRITICAL".to_owned()),
    }
}

/// A size in bytes, with or without a unit of 1024.
fn bytes(text: &str) -> Result<u64, String> {
    let remedy = || "write a size such as 128MiB".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let factor: u64 = match text.strip_prefix(digits).unwrap_or_default().trim() {
        "" | "B" => 1,
        "KiB" | "Ki" => 1 << 10,
        "MiB" | "Mi" => 1 << 20,
        "GiB" | "Gi" => 1 << 30,
        _ => return Err(remedy()),
    };
    let number: u64 = digits.parse().map_err(|_| remedy())?;
    number.checked_mul(factor).ok_or_else(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Flags, clap::Error> {
        let arguments: Vec<String> = arguments.iter().map(|&a| a.to_owned()).collect();
        let variables = variables
            .iter()
            .map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        parse(&arguments, &variables)
    }

    #[test]
    fn the_command_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn arguments_win_over_variables() {
        let variables = [("MODEL_SYNC_SOURCE_TYPE", "oci")];
        let given = flags(&[], &variables).unwrap();
        assert_eq!(given.source.source_type, Some(SourceType::Oci));
        let given = flags(&["--source-type", "uri"], &variables).unwrap();
        assert_eq!(given.source.source_type, Some(SourceType::Uri));
    }

    #[test]
    fn a_beginning_is_enough_where_only_one_flag_has_it() {
        let given = flags(&["--model-upload", "create_version", "--sign=y"], &[]).unwrap();
        assert_eq!(
            given.registry.model_upload_intent,
            IntentName::CreateVersion
        );
        assert_eq!(given.signing.sign, Some(true));
        let error = flags(&["--source-aws", "x"], &[]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn empty_is_unset() {
        let given = flags(
            &[
                "--model-id",
                "",
                "--registry-port=",
                "--model-version-id",
                "2",
            ],
            &[
                ("MODEL_SYNC_SOURCE_TYPE", ""),
                ("MODEL_SYNC_REGISTRY_IS_SECURE", ""),
                ("MODEL_SYNC_SIGN", ""),
                ("MODEL_SYNC_MODEL_ARTIFACT_ID", ""),
            ],
        )
        .unwrap();
        assert_eq!(given.source.source_type, None);
        assert_eq!(given.registry.model_id, None);
        assert_eq!(given.registry.registry_port, None);
        assert_eq!(given.registry.model_artifact_id, None);
        assert_eq!(given.registry.model_version_id.as_deref(), Some("2"));
    }

    #[test]
    fn a_wrong_value_names_its_variable_and_ends_with_2() {
        for (name, value, needle) in [
            (
                "MODEL_SYNC_SOURCE_TYPE",
                "gs",
                "possible values: s3, oci, uri, pvc",
            ),
            ("MODEL_SYNC_REGISTRY_PORT", "http", "invalid digit"),
            ("MODEL_SYNC_SIGN", "maybe", "write true or false"),
            (
                "MODEL_SYNC_REGISTRY_IS_SECURE",
                "maybe",
                "write true or false",
            ),
            ("MODEL_SYNC_REGISTRY_LOG_LEVEL", "loud", "DEBUG"),
            ("MODEL_SYNC_MEMORY_BUDGET", "much", "128MiB"),
        ] {
            let error = flags(&[], &[(name, value)]).unwrap_err();
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2, "{text}");
            assert!(
                text.contains(name) && text.contains(value) && text.contains(needle),
                "{text}"
            );
        }
        let error = flags(&["--no-such-flag"], &[]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn words_for_yes_and_no() {
        for yes in ["yes", "Y", "TRUE", "t", "1", "on"] {
            assert_eq!(boolean(yes), Ok(true), "{yes}");
        }
        for no in ["no", "N", "False", "f", "0", "off"] {
            assert_eq!(boolean(no), Ok(false), "{no}");
        }
    }

    #[test]
    fn levels_by_name_and_by_number() {
        assert_eq!(level("10"), Ok(tracing::Level::DEBUG));
        assert_eq!(level("30"), Ok(tracing::Level::WARN));
        assert_eq!(level("debug"), Ok(tracing::Level::DEBUG));
        assert_eq!(level("CRITICAL"), Ok(tracing::Level::ERROR));
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(bytes("128MiB"), Ok(128 << 20));
        assert_eq!(bytes("4096"), Ok(4096));
        assert!(bytes("12 parsecs").is_err());
    }
}
