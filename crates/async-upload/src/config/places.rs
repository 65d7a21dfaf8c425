//! Sources and destinations.

use std::path::{Path, PathBuf};

use url::Url;

use super::credentials::{Directory, DockerConfig};
use super::{Environment, Error, Loading};
use crate::cli::{DestinationType, SourceType};
use crate::oci::Reference;
use crate::settings::{
    Addressing, Destination, Hf, Http, OciAuth, OciDestination, OciImage, S3, S3Credentials,
    Secret, Source, Tls,
};

/// Where container engines look for the certificates of one registry.
const CERTS_D: &str = "/etc/containers/certs.d";

/// The hub of Hugging Face.
const HUB: &str = "https://huggingface.co";

/// What was given about a bucket. All texts are as written.
struct Bucket<'a> {
    /// `source` or `destination`.
    side: &'static str,
    name: Option<&'a String>,
    key: Option<&'a String>,
    region: Option<&'a String>,
    access_key_id: Option<&'a String>,
    secret_access_key: Option<&'a String>,
    session_token: Option<&'a String>,
    endpoint: Option<&'a String>,
    credentials_flag: &'static str,
    credentials_path: Option<&'a PathBuf>,
}

/// What was given about an image registry.
struct Registry<'a> {
    side: &'static str,
    uri: Option<&'a String>,
    key: Option<&'a String>,
    username: Option<&'a String>,
    password: Option<&'a String>,
    credentials_flag: &'static str,
    credentials_path: Option<&'a PathBuf>,
    verify: bool,
}

impl Loading<'_> {
    pub(super) fn source(&mut self) -> Result<Source, Error> {
        let flags = &self.flags.source;
        match self.source_type() {
            SourceType::S3 => self
                .bucket(&Bucket {
                    side: "source",
                    name: flags.source_aws_bucket.as_ref(),
                    key: flags.source_aws_key.as_ref(),
                    region: flags.source_aws_region.as_ref(),
                    access_key_id: flags.source_aws_access_key_id.as_ref(),
                    secret_access_key: flags.source_aws_secret_access_key.as_ref(),
                    session_token: flags.source_aws_session_token.as_ref(),
                    endpoint: flags.source_aws_endpoint.as_ref(),
                    credentials_flag: "--source-s3-credentials-path",
                    credentials_path: flags.source_s3_credentials_path.as_ref(),
                })
                .map(Source::S3),
            SourceType::Oci => {
                let registry = Registry {
                    side: "source",
                    uri: flags.source_oci_uri.as_ref(),
                    key: flags.source_oci_registry.as_ref(),
                    username: flags.source_oci_username.as_ref(),
                    password: flags.source_oci_password.as_ref(),
                    credentials_flag: "--source-oci-credentials-path",
                    credentials_path: flags.source_oci_credentials_path.as_ref(),
                    verify: flags.source_oci_enable_tls_verify,
                };
                let config = self.docker_config(&registry)?;
                self.image(&registry, config.as_ref()).map(Source::Oci)
            }
            SourceType::Uri => self.uri(),
            SourceType::Pvc => self.directory(),
        }
    }

    pub(super) fn destination(&mut self) -> Result<Destination, Error> {
        let flags = &self.flags.destination;
        let kind = flags.destination_type.unwrap_or_else(|| {
            if flags.destination_aws_bucket.is_some() && flags.destination_oci_uri.is_none() {
                DestinationType::S3
            } else {
                DestinationType::Oci
            }
        });
        if kind == DestinationType::S3 {
            return self
                .bucket(&Bucket {
                    side: "destination",
                    name: flags.destination_aws_bucket.as_ref(),
                    key: flags.destination_aws_key.as_ref(),
                    region: flags.destination_aws_region.as_ref(),
                    access_key_id: flags.destination_aws_access_key_id.as_ref(),
                    secret_access_key: flags.destination_aws_secret_access_key.as_ref(),
                    session_token: flags.destination_aws_session_token.as_ref(),
                    endpoint: flags.destination_aws_endpoint.as_ref(),
                    credentials_flag: "--destination-s3-credentials-path",
                    credentials_path: flags.destination_s3_credentials_path.as_ref(),
                })
                .map(Destination::S3);
        }
        let registry = Registry {
            side: "destination",
            uri: flags.destination_oci_uri.as_ref(),
            key: flags.destination_oci_registry.as_ref(),
            username: flags.destination_oci_username.as_ref(),
            password: flags.destination_oci_password.as_ref(),
            credentials_flag: "--destination-oci-credentials-path",
            credentials_path: flags.destination_oci_credentials_path.as_ref(),
            verify: flags.destination_oci_enable_tls_verify,
        };
        let config = self.docker_config(&registry)?;
        let image = self.image(&registry, config.as_ref())?;
        let base = match flags.destination_oci_base_image.as_str() {
            "none" | "scratch" => None,
            text => Some(self.base(text, &image, config.as_ref())?),
        };
        let written = registry.uri.map(|uri| without_scheme(uri).to_owned());
        Ok(Destination::Oci(OciDestination {
            image,
            written: written.unwrap_or_default(),
            base,
            layer_cap: flags.destination_oci_layer_cap,
            mount_from: flags.destination_oci_mount_from.clone(),
        }))
    }

    /// The kind that was chosen, or the one for which something was given.
    fn source_type(&self) -> SourceType {
        let flags = &self.flags.source;
        let s3 = flags.source_aws_key.is_some()
            || flags.source_aws_bucket.is_some()
            || flags.source_s3_credentials_path.is_some();
        let uri = flags.source_uri.is_some() || flags.source_uri_credentials_path.is_some();
        flags.source_type.unwrap_or({
            if flags.source_path.is_some() {
                SourceType::Pvc
            } else if s3 {
                SourceType::S3
            } else if uri {
                SourceType::Uri
            } else if flags.source_oci_uri.is_some() {
                SourceType::Oci
            } else {
                SourceType::S3
            }
        })
    }

    fn bucket(&mut self, given: &Bucket) -> Result<S3, Error> {
        let side = given.side;
        let environment = self.environment;
        let files = Directory::open(
            environment,
            given.credentials_flag,
            given.credentials_path,
            true,
        )?;
        let mut value = |name: &str, flag_value, keys: &[&str]| -> Result<_, Error> {
            Ok(self.given_or_file(
                &format!("{side}-aws-{name}"),
                flag_value,
                files.value(keys)?,
            ))
        };
        let bucket = value("bucket", given.name, &["AWS_BUCKET", "AWS_S3_BUCKET"])?;
        let region = value(
            "region",
            given.region,
            &["AWS_REGION", "AWS_DEFAULT_REGION"],
        )?;
        let endpoint = value(
            "endpoint",
            given.endpoint,
            &["AWS_ENDPOINT_URL", "AWS_S3_ENDPOINT"],
        )?;
        let id = value("access-key-id", given.access_key_id, &["AWS_ACCESS_KEY_ID"])?;
        let secret = value(
            "secret-access-key",
            given.secret_access_key,
            &["AWS_SECRET_ACCESS_KEY"],
        )?;
        let token = value("session-token", given.session_token, &["AWS_SESSION_TOKEN"])?;
        let flag = |name: &str| format!("--{side}-aws-{name}");
        let credentials = match (id, secret) {
            (Some(id), Some(secret)) => Some(S3Credentials {
                access_key_id: Secret::new(&id),
                secret_access_key: Secret::new(&secret),
                session_token: token.as_deref().map(Secret::new),
            }),
            (None, None) => {
                self.warnings.push(format!(
                    "requests to the {side} bucket are anonymous, because {} is not set",
                    flag("access-key-id")
                ));
                None
            }
            (id, _) => {
                let (there, absent) = if id.is_some() {
                    ("access-key-id", "secret-access-key")
                } else {
                    ("secret-access-key", "access-key-id")
                };
                let remedy = format!("Set it, too, or leave {} out.", flag(there));
                return Err(Error::missing(flag(absent), remedy));
            }
        };
        let remedy = |key: &str| {
            format!(
                "Set it, or mount a Secret with the key {key} at {}.",
                given.credentials_flag
            )
        };
        let bucket =
            bucket.ok_or_else(|| Error::missing(flag("bucket"), remedy("AWS_S3_BUCKET")))?;
        let key = given
            .key
            .map(|key| key.trim_matches('/'))
            .unwrap_or_default();
        if key.is_empty() {
            let remedy = "Set it to the folder of the model in the bucket, or to one object.";
            return Err(Error::missing(flag("key"), remedy));
        }
        let endpoint = endpoint
            .map(|text| s3_endpoint(&flag("endpoint"), &text))
            .transpose()?;
        Ok(S3 {
            endpoint,
            bucket,
            key: key.to_owned(),
            region,
            credentials,
            addressing: Addressing::Auto,
            tls: Tls::default(),
        })
    }

    /// The address in a flag, or in the Secret.
    fn uri(&mut self) -> Result<Source, Error> {
        let flags = &self.flags.source;
        let files = Directory::open(
            self.environment,
            "--source-uri-credentials-path",
            flags.source_uri_credentials_path.as_ref(),
            flags.source_uri.is_none(),
        )?;
        let in_file = files.value(&["URI"])?;
        let token = files.value(&["HF_TOKEN"])?;
        let Some(uri) = self.given_or_file("source-uri", flags.source_uri.as_ref(), in_file) else {
            let remedy = "Set it, or mount a Secret with the key URI at \
                          --source-uri-credentials-path.";
            return Err(Error::missing("--source-uri", remedy));
        };
        if let Some(rest) = uri.strip_prefix("hf://") {
            return self.hub(&uri, rest, token);
        }
        let remedy = "Write http://, https://, hf://ORG/NAME[:REVISION] or file:///DIR.";
        let unsupported =
            |problem: String| Err(Error::wrong("--source-uri", &uri, problem, remedy));
        match Url::parse(&uri) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(Source::Http(Http {
                url,
                token: None,
                tls: Tls::default(),
            })),
            Ok(url) if url.scheme() == "file" => match url.to_file_path() {
                Ok(path) => self.existing_directory("--source-uri", &path),
                Err(()) => unsupported("it names no path".to_owned()),
            },
            Ok(_) => unsupported(format!("Unsupported URI format: {uri}")),
            Err(error) => unsupported(format!("Unsupported URI format: {error}")),
        }
    }

    fn hub(&self, uri: &str, rest: &str, from_secret: Option<String>) -> Result<Source, Error> {
        let wrong = |problem: &str| {
            let remedy = "Write hf://ORG/NAME or hf://ORG/NAME:REVISION.";
            Error::wrong("--source-uri", uri, problem, remedy)
        };
        let (repository, revision) = rest.split_once(':').unwrap_or((rest, "main"));
        let Some((organisation, name)) = repository.split_once('/') else {
            return Err(wrong("URI must contain exactly one '/' after hf://"));
        };
        if name.contains('/') {
            return Err(wrong("URI must contain exactly one '/' after hf://"));
        }
        if organisation.is_empty() || name.is_empty() || revision.is_empty() {
            return Err(wrong("organisation, name or revision is empty"));
        }
        let endpoint = self.environment.variable("HF_ENDPOINT").unwrap_or(HUB);
        let endpoint = Url::parse(endpoint).map_err(|error| {
            let remedy = "Set it to the address of the hub, or leave it out.";
            Error::wrong("variable HF_ENDPOINT", endpoint, error.to_string(), remedy)
        })?;
        let token = match self.environment.variable("HF_TOKEN") {
            Some(token) => Some(token.to_owned()),
            None => match self.environment.variable("HF_TOKEN_PATH") {
                Some(path) => self
                    .environment
                    .read("variable HF_TOKEN_PATH", Path::new(path))?,
                None => None,
            },
        };
        Ok(Source::Hf(Hf {
            endpoint,
            repository: repository.to_owned(),
            revision: revision.to_owned(),
            token: token.or(from_secret).as_deref().map(Secret::new),
            tls: Tls::default(),
        }))
    }

    fn directory(&self) -> Result<Source, Error> {
        let flags = &self.flags.source;
        if let Some(path) = &flags.source_path {
            return self.existing_directory("--source-path", path);
        }
        let path = flags
            .source_uri
            .as_deref()
            .and_then(|uri| uri.strip_prefix("file://"));
        if let Some(path) = path {
            return self.existing_directory("--source-uri", Path::new(path));
        }
        let remedy = "Set it to where the volume is mounted.";
        Err(Error::missing("--source-path", remedy))
    }

    fn existing_directory(&self, field: &str, path: &Path) -> Result<Source, Error> {
        let there = self.environment.path(path);
        if there.is_dir() {
            return Ok(Source::Dir(there));
        }
        let remedy = "Mount the volume there, or name the directory in it.";
        Err(Error::wrong(
            field,
            path.display(),
            "there is no such directory",
            remedy,
        ))
    }

    /// The Docker configuration for one side. A variable of that very name wins over a file, as it
    /// did in the Python job.
    fn docker_config(&self, given: &Registry) -> Result<Option<DockerConfig>, Error> {
        const VARIABLE: &str = ".dockerconfigjson";
        if let Some(text) = self.environment.variable(VARIABLE) {
            let field = format!("variable {VARIABLE}");
            return DockerConfig::parse(&field, "***", text).map(Some);
        }
        given
            .credentials_path
            .map(|path| DockerConfig::open(self.environment, given.credentials_flag, path))
            .transpose()
    }

    fn image(
        &mut self,
        given: &Registry,
        config: Option<&DockerConfig>,
    ) -> Result<OciImage, Error> {
        let flag = |name: &str| format!("--{}-oci-{name}", given.side);
        let Some(uri) = given.uri else {
            let remedy = "Set it to an image, for example quay.io/org/model:v1.";
            return Err(Error::missing(flag("uri"), remedy));
        };
        let reference = reference(&flag("uri"), uri)?;
        let inline = match (given.username, given.password) {
            (Some(username), Some(password)) => Some(OciAuth::Basic {
                username: username.clone(),
                password: Secret::new(password),
            }),
            (None, None) => None,
            (username, _) => {
                let (there, absent) = if username.is_some() {
                    ("username", "password")
                } else {
                    ("password", "username")
                };
                let remedy = format!("Set it, too, or leave {} out.", flag(there));
                return Err(Error::missing(flag(absent), remedy));
            }
        };
        let place = given.key.map(|registry| {
            // The key in the credentials; the repository makes it more exact.
            format!(
                "{}/{}",
                registry.trim_end_matches('/'),
                reference.repository()
            )
        });
        let own = format!("{}/{}", reference.registry(), reference.repository());
        let in_file = match config {
            Some(config) => {
                let found = place
                    .as_deref()
                    .and_then(|place| config.find(place))
                    .or_else(|| config.find(&own));
                if found.is_none() && inline.is_none() {
                    let remedy = format!(
                        "Add an entry for it to `auths` (there: {}), or set {}.",
                        config.names(),
                        flag("registry")
                    );
                    let registry = given.key.map_or(reference.registry(), String::as_str);
                    return Err(Error::wrong(
                        given.credentials_flag,
                        path_text(given.credentials_path),
                        format!("no credentials for registry {registry}"),
                        remedy,
                    ));
                }
                found
            }
            None => None,
        };
        if let (Some(inline), Some((in_file, _))) = (&inline, &in_file)
            && inline != in_file
        {
            self.warnings.push(format!(
                "{} and the credential file differ; the flag or its variable wins",
                flag("username")
            ));
        }
        let auth = match (inline, in_file) {
            (Some(inline), _) => inline,
            (None, Some((auth, warning))) => {
                self.warnings.extend(warning);
                auth
            }
            (None, None) => OciAuth::Anonymous,
        };
        Ok(OciImage {
            tls: self.registry_tls(given.verify, reference.registry()),
            reference,
            auth,
        })
    }

    /// The base image: with the credentials that fit it, else anonymous.
    fn base(
        &mut self,
        text: &str,
        image: &OciImage,
        config: Option<&DockerConfig>,
    ) -> Result<OciImage, Error> {
        let reference = reference("--destination-oci-base-image", text)?;
        let place = format!("{}/{}", reference.registry(), reference.repository());
        let auth = if let Some((auth, _)) = config.and_then(|config| config.find(&place)) {
            auth
        } else if reference.registry() == image.reference.registry() {
            image.auth.clone()
        } else {
            OciAuth::Anonymous
        };
        Ok(OciImage {
            tls: self.registry_tls(image.tls.verify, reference.registry()),
            reference,
            auth,
        })
    }

    /// What container engines trust for a registry.
    fn registry_tls(&self, verify: bool, registry: &str) -> Tls {
        let dir = Path::new(CERTS_D).join(registry);
        let files = std::fs::read_dir(self.environment.path(&dir));
        let mut ca_files: Vec<PathBuf> = files
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|extension| extension == "crt"))
            .collect();
        ca_files.sort();
        Tls { verify, ca_files }
    }
}

fn path_text(path: Option<&PathBuf>) -> String {
    path.map_or_else(
        || ".dockerconfigjson".to_owned(),
        |path| path.display().to_string(),
    )
}

/// An image without the scheme that some callers write.
fn without_scheme(image: &str) -> &str {
    image
        .strip_prefix("oci://")
        .or_else(|| image.strip_prefix("docker://"))
        .unwrap_or(image)
}

fn reference(flag: &str, text: &str) -> Result<Reference, Error> {
    without_scheme(text).parse().map_err(|error| {
        let remedy = "Write HOST/REPOSITORY:TAG, for example quay.io/org/model:v1.";
        Error::wrong(
            flag,
            text,
            format!("it is no name of an image: {error}"),
            remedy,
        )
    })
}

/// An endpoint; one without a scheme is of https.
fn s3_endpoint(flag: &str, text: &str) -> Result<Url, Error> {
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    match Url::parse(&with_scheme) {
        Ok(url) if url.has_host() && matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => {
            let remedy = "Write http:// or https:// and a host.";
            Err(Error::wrong(
                flag,
                text,
                "it is no address of a server",
                remedy,
            ))
        }
    }
}

impl Environment {
    /// Whether a directory exists.
    pub(super) fn has_directory(&self, path: &Path) -> bool {
        self.path(path).is_dir()
    }
}
