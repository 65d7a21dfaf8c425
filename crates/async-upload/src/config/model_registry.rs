//! The model registry: where it is, who asks, and what is to be registered.

use std::path::{Path, PathBuf};

use url::Url;

use super::metadata::{Entity, Metadata};
use super::signing::SERVICE_ACCOUNT_TOKEN;
use super::{Error, Loading};
use crate::cli::IntentName;
use crate::settings::{Destination, Secret, Tls};

/// Below the address of every model registry.
const API: &str = "api/model_registry/v1alpha3/";

/// Where the metadata is mounted unless told otherwise.
const METADATA: &str = "/etc/model-metadata";

/// The name of a version that has none.
const FIRST_VERSION: &str = "1.0.0";

/// How to reach the model registry.
#[derive(Debug, Clone)]
pub struct ModelRegistry {
    /// The address of its API, with a slash at the end.
    pub api: Url,
    /// Who asks.
    pub token: Option<Secret>,
    /// Whom to trust.
    pub tls: Tls,
    /// What a retry of the same Job has in common with it: written to what is created, and looked
    /// for before anything else is.
    pub mark: String,
}

/// What to register.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// A model with its first version and artifact.
    CreateModel {
        /// The model; it has a name.
        model: New,
        /// The version.
        version: New,
        /// The artifact.
        artifact: New,
    },
    /// A version with its artifact.
    CreateVersion {
        /// The model's id.
        model_id: String,
        /// The version.
        version: New,
        /// The artifact; without a name it has the model's.
        artifact: New,
    },
    /// Another address for an artifact.
    UpdateArtifact {
        /// The artifact's id.
        artifact_id: String,
        /// The version's id, for the result.
        version_id: Option<String>,
        /// The model's id, for the result.
        model_id: Option<String>,
    },
}

impl Intent {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> IntentName {
        match self {
            Self::CreateModel { .. } => IntentName::CreateModel,
            Self::CreateVersion { .. } => IntentName::CreateVersion,
            Self::UpdateArtifact { .. } => IntentName::UpdateArtifact,
        }
    }
}

/// Something to create.
#[derive(Debug, Clone, PartialEq)]
pub struct New {
    /// Its name; empty means that of its model.
    pub name: String,
    /// Everything else.
    pub rest: Entity,
}

impl Loading<'_> {
    /// The metadata, from where it is said to be or from the usual place if something is there.
    pub(super) fn metadata(&mut self) -> Result<Option<Metadata>, Error> {
        let flag = "--metadata-configmap-path";
        let usual = Path::new(METADATA);
        let dir = match &self.flags.registry.metadata_configmap_path {
            Some(dir) => dir.as_path(),
            None if self.environment.has_directory(usual) => usual,
            None => return Ok(None),
        };
        let metadata = Metadata::read(self.environment, flag, dir)?;
        if !metadata.unknown.is_empty() {
            self.warnings.push(format!(
                "keys of the metadata that nothing reads: {}",
                metadata.unknown.join(", ")
            ));
        }
        Ok(Some(metadata))
    }

    pub(super) fn intent(&self, metadata: Option<&Metadata>) -> Result<Intent, Error> {
        let flags = &self.flags.registry;
        let none = Metadata::default();
        let said = metadata.unwrap_or(&none);
        let id = |flag: &Option<String>, entity: &Entity| {
            flag.clone().or_else(|| entity.get("id").map(str::to_owned))
        };
        let model_id = id(&flags.model_id, &said.model);
        let intent = flags.model_upload_intent;
        if metadata.is_none() && intent != IntentName::UpdateArtifact {
            return Err(Error::wrong(
                "--model-upload-intent",
                intent.as_str(),
                format!(
                    "Intent {} requires ConfigMap metadata but none provided",
                    intent.as_str()
                ),
                "Mount the ConfigMap and set --metadata-configmap-path.",
            ));
        }
        let version = |name: Option<&str>| New {
            name: name.unwrap_or(FIRST_VERSION).to_owned(),
            rest: self.with_author(&said.version),
        };
        let artifact = |model: &str| New {
            name: said.artifact.get("name").unwrap_or(model).to_owned(),
            rest: said.artifact.clone(),
        };
        match intent {
            IntentName::UpdateArtifact => {
                let Some(artifact_id) = id(&flags.model_artifact_id, &said.artifact) else {
                    let remedy = "Set it to the artifact to update, or choose another \
                                  --model-upload-intent.";
                    return Err(Error::missing("--model-artifact-id", remedy));
                };
                numeric("--model-artifact-id", &artifact_id)?;
                Ok(Intent::UpdateArtifact {
                    artifact_id,
                    version_id: id(&flags.model_version_id, &said.version),
                    model_id,
                })
            }
            IntentName::CreateVersion => {
                let Some(model_id) = model_id else {
                    let remedy = "Set it to the model that gets the version.";
                    return Err(Error::missing("--model-id", remedy));
                };
                numeric("--model-id", &model_id)?;
                let name = said.version.get("name");
                let name = name.ok_or_else(|| key_missing("ModelVersion.name"))?;
                Ok(Intent::CreateVersion {
                    model_id,
                    version: version(Some(name)),
                    artifact: artifact(""),
                })
            }
            IntentName::CreateModel => {
                let name = said.model.get("name");
                let name = name.ok_or_else(|| key_missing("RegisteredModel.name"))?;
                Ok(Intent::CreateModel {
                    model: New {
                        name: name.to_owned(),
                        rest: said.model.clone(),
                    },
                    version: version(said.version.get("name")),
                    artifact: artifact(name),
                })
            }
        }
    }

    fn with_author(&self, version: &Entity) -> Entity {
        let mut version = version.clone();
        if let Some(author) = &self.flags.registry.registry_author {
            let fields = &mut version.fields;
            fields.entry("author").or_insert_with(|| author.clone());
        }
        version
    }

    pub(super) fn model_registry(
        &mut self,
        job_id: &str,
        destination: &Destination,
    ) -> Result<ModelRegistry, Error> {
        let flags = &self.flags.registry;
        let Some(address) = &flags.registry_server_address else {
            let remedy = "Set it to the address of the model registry, for example \
                          https://registry.example.com.";
            return Err(Error::missing("--registry-server-address", remedy));
        };
        let (api, secure) = api(address, flags.registry_port, flags.registry_is_secure)?;
        if !secure && api.scheme() == "https" {
            self.warnings.push(
                "--registry-is-secure=false: the certificate of the model registry is not verified"
                    .to_owned(),
            );
        }
        let token = self.registry_token()?;
        if secure && token.is_none() {
            return Err(Error::missing(
                "--registry-user-token",
                "user token must be provided for secure connection: set it, name a file with \
                 --registry-user-token-envvar, or mount the token of the service account.",
            ));
        }
        if secure && api.scheme() == "http" {
            self.warnings
                .push(format!("the token is sent to {api} without encryption"));
        }
        let tls = Tls {
            verify: secure,
            ca_files: self.registry_ca().into_iter().collect(),
        };
        let place = match destination {
            Destination::Oci(oci) => oci.written.clone(),
            Destination::S3(s3) => format!("s3://{}/{}", s3.bucket, s3.key),
        };
        Ok(ModelRegistry {
            api,
            token,
            tls,
            mark: format!("{job_id} {place}"),
        })
    }

    /// The token, by the order of the Python job: given, in a named file, in the file of pipelines,
    /// of the service account.
    fn registry_token(&self) -> Result<Option<Secret>, Error> {
        let flags = &self.flags.registry;
        let environment = self.environment;
        if let Some(token) = &flags.registry_user_token {
            return Ok(Some(Secret::new(token)));
        }
        let read = |field: &str, path: &str| {
            let token = environment.read(field, Path::new(path))?;
            Ok(token
                .filter(|token| !token.is_empty())
                .map(|token| Secret::new(&token)))
        };
        let unreadable = |field: &str, path: &str| {
            let remedy = "Mount the token there, or set --registry-user-token.";
            Error::wrong(field, path, "there is no token in that file", remedy)
        };
        if let Some(name) = &flags.registry_user_token_envvar {
            let field = format!("variable {name} (--registry-user-token-envvar)");
            let Some(path) = environment.variable(name) else {
                return Err(Error::missing(
                    field,
                    "Set it to the path of a file with the token.",
                ));
            };
            let token: Option<Secret> = read(&field, path)?;
            return token.map(Some).ok_or_else(|| unreadable(&field, path));
        }
        let pipelines = "KF_PIPELINES_SA_TOKEN_PATH";
        if let Some(path) = environment.variable(pipelines) {
            let field = format!("variable {pipelines}");
            let token: Option<Secret> = read(&field, path)?;
            return token.map(Some).ok_or_else(|| unreadable(&field, path));
        }
        read("token of the service account", SERVICE_ACCOUNT_TOKEN)
    }

    /// The file with certificates for the model registry. One that is missing is no mistake: it
    /// comes from an optional ConfigMap.
    fn registry_ca(&mut self) -> Option<PathBuf> {
        let flags = &self.flags.registry;
        let named = flags
            .registry_custom_ca_envvar
            .as_deref()
            .and_then(|name| self.environment.variable(name))
            .map(PathBuf::from);
        let given = flags.registry_custom_ca.clone().or(named)?;
        let path = self.environment.path(&given);
        if path.is_file() {
            return Some(path);
        }
        self.warnings.push(format!(
            "--registry-custom-ca {} is no file; it is ignored",
            given.display()
        ));
        None
    }
}

/// The server takes ids that are numbers of 32 bits.
fn numeric(flag: &str, id: &str) -> Result<(), Error> {
    id.parse::<i32>().map(drop).map_err(|_| {
        let remedy = "Write the number that the model registry shows.";
        Error::wrong(flag, id, "ids of the model registry are numbers", remedy)
    })
}

fn key_missing(key: &str) -> Error {
    let remedy = "Add it to the ConfigMap.";
    Error::missing(format!("key {key} of the metadata"), remedy)
}

/// The address of the API, and whether a token and verified certificates are required.
fn api(address: &str, port: Option<u16>, secure: Option<bool>) -> Result<(Url, bool), Error> {
    let flag = "--registry-server-address";
    let with_scheme = if address.contains("://") {
        address.to_owned()
    } else if secure == Some(false) {
        format!("http://{address}")
    } else {
        format!("https://{address}")
    };
    let wrong = |problem: String| {
        let remedy = "Write a host or a URL, for example https://registry.example.com.";
        Error::wrong(flag, address, problem, remedy)
    };
    let mut url = Url::parse(&with_scheme).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it is no address of http or https".to_owned()));
    }
    // The parser drops the usual port of a scheme, so the text is asked.
    let has_port = url.port().is_some()
        || with_scheme
            .split('/')
            .nth(2)
            .is_some_and(|authority| authority.ends_with(":443") || authority.ends_with(":80"));
    if !has_port && url.set_port(port).is_err() {
        return Err(wrong("it cannot have a port".to_owned()));
    }
    let secure = secure.unwrap_or_else(|| url.scheme() == "https");
    let path = format!("{}/{API}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    Ok((url, secure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_and_a_port() {
        let api = |address, port, secure| {
            api(address, port, secure).map(|(url, secure)| {
                let text = url.as_str().trim_end_matches(API).to_owned();
                (text, secure)
            })
        };
        for (address, port, secure, expected) in [
            ("https://h", None, None, ("https://h/", true)),
            ("https://h", Some(443), Some(true), ("https://h/", true)),
            ("https://h:8443", Some(443), None, ("https://h:8443/", true)),
            ("https://h:443/", Some(8080), None, ("https://h/", true)),
            ("http://h", None, None, ("http://h/", false)),
            ("http://h", Some(8080), None, ("http://h:8080/", false)),
            (
                "http://h:8080/prefix/",
                Some(443),
                None,
                ("http://h:8080/prefix/", false),
            ),
            (
                "http://h/prefix",
                Some(8080),
                None,
                ("http://h:8080/prefix/", false),
            ),
            ("h", None, None, ("https://h/", true)),
            ("h", Some(8080), Some(false), ("http://h:8080/", false)),
            (
                "h.ns.svc:8080",
                Some(443),
                Some(false),
                ("http://h.ns.svc:8080/", false),
            ),
            ("https://h", Some(443), Some(false), ("https://h/", false)),
        ] {
            let (text, is_secure) = api(address, port, secure).unwrap();
            assert_eq!((text.as_str(), is_secure), expected, "{address} {port:?}");
        }
        for address in ["ftp://h", "http://", "::"] {
            let error = api(address, None, None).unwrap_err().to_string();
            assert!(error.contains("--registry-server-address") && error.contains(address));
        }
    }
}
