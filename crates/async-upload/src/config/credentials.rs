//! Credential files: mounted Secrets of buckets, addresses and image registries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::{Environment, Error};
use crate::settings::{OciAuth, Secret};

/// A mounted Secret: one file for each key.
#[derive(Debug)]
pub(crate) struct Directory<'a> {
    environment: &'a Environment,
    field: &'static str,
    path: Option<&'a Path>,
}

impl<'a> Directory<'a> {
    /// The directory that a flag names, or nothing. `required`: whether it has to be there.
    pub(crate) fn open(
        environment: &'a Environment,
        field: &'static str,
        path: Option<&'a PathBuf>,
        required: bool,
    ) -> Result<Self, Error> {
        let path = path.map(PathBuf::as_path);
        let is_there = path.is_some_and(|path| environment.path(path).is_dir());
        if let Some(path) = path.filter(|_| required && !is_there) {
            let remedy = "Mount the Secret there, or leave the flag out.";
            return Err(Error::wrong(
                field,
                path.display(),
                "credentials folder not found",
                remedy,
            ));
        }
        Ok(Self {
            environment,
            field,
            path: path.filter(|_| is_there),
        })
    }

    /// The first of these keys that is there and not empty.
    pub(crate) fn value(&self, keys: &[&str]) -> Result<Option<String>, Error> {
        let Some(path) = self.path else {
            return Ok(None);
        };
        for key in keys {
            let value = self.environment.read(self.field, &path.join(key))?;
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// The part of a Docker configuration that says who may go where.
#[derive(Debug, Deserialize)]
pub(crate) struct DockerConfig {
    auths: BTreeMap<String, Entry>,
}

/// What it says about one registry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<Secret>,
    username: Option<String>,
    password: Option<Secret>,
    identitytoken: Option<Secret>,
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|value| Self::new(&value))
    }
}

/// Names of the one registry that has several.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

impl DockerConfig {
    /// Reads a file, or the one in a directory that is a mounted Secret.
    pub(crate) fn open(environment: &Environment, field: &str, path: &Path) -> Result<Self, Error> {
        let names = [".dockerconfigjson", "config.json"];
        let candidates = names.map(|name| path.join(name));
        for file in std::iter::once(path).chain(candidates.iter().map(PathBuf::as_path)) {
            if let Some(text) = environment.read(field, file)? {
                return Self::parse(field, file.display(), &text);
            }
        }
        Err(Error::wrong(
            field,
            path.display(),
            "credentials file not found",
            "Mount a Secret of type kubernetes.io/dockerconfigjson there, or leave the flag out.",
        ))
    }

    /// Reads a text; `name` says where it comes from.
    pub(crate) fn parse(
        field: &str,
        name: impl std::fmt::Display,
        text: &str,
    ) -> Result<Self, Error> {
        // The parser's own message may quote the text, which holds passwords.
        serde_json::from_str(text).map_err(|_| {
            Error::wrong(
                field,
                name,
                "Invalid docker config file",
                "Write JSON with a map `auths` from registry to `auth`, or `username` and \
                 `password`.",
            )
        })
    }

    /// The registries that it knows, for messages.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.auths.keys().map(String::as_str).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    }

    /// Who may go to a repository of a registry. The most exact key wins: the repository, a part
    /// of its path, the host. `Ok(None)`: no key fits. The second value is a warning.
    pub(crate) fn find(&self, place: &str) -> Option<(OciAuth, Option<String>)> {
        let wanted = normal(place);
        self.auths
            .iter()
            .map(|(key, entry)| (normal(key), entry))
            .filter(|(key, _)| {
                wanted
                    .strip_prefix(key.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
            .max_by_key(|(key, _)| key.len())
            .map(|(key, entry)| entry.auth(&key))
    }
}

/// A registry's name as people compare it: without scheme, without the path of an API, in small
/// letters, one name for Docker Hub.
fn normal(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let name = name
        .strip_prefix("https://")
        .or_else(|| name.strip_prefix("http://"))
        .unwrap_or(&name);
    let name = name.trim_end_matches('/');
    let name = name
        .strip_suffix("/v1")
        .or_else(|| name.strip_suffix("/v2"))
        .unwrap_or(name);
    let (host, path) = name.split_once('/').unwrap_or((name, ""));
    let host = if DOCKER_HUB.contains(&host) {
        "docker.io"
    } else {
        host
    };
    if path.is_empty() {
        host.to_owned()
    } else {
        format!("{host}/{path}")
    }
}

impl Entry {
    fn auth(&self, registry: &str) -> (OciAuth, Option<String>) {
        if let Some(token) = self
            .identitytoken
            .as_ref()
            .filter(|t| !t.reveal().is_empty())
        {
            return (OciAuth::IdentityToken(token.clone()), None);
        }
        if let (Some(username), Some(password)) = (&self.username, &self.password) {
            let username = username.clone();
            let password = password.clone();
            return (OciAuth::Basic { username, password }, None);
        }
        let Some(auth) = self
            .auth
            .as_ref()
            .map(Secret::reveal)
            .filter(|a| !a.is_empty())
        else {
            return (OciAuth::Anonymous, None);
        };
        let decoded = STANDARD
            .decode(auth)
            .or_else(|_| STANDARD_NO_PAD.decode(auth))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = |text: &str| {
            let (username, password) = text.split_once(':')?;
            Some(OciAuth::Basic {
                username: username.to_owned(),
                password: Secret::new(password),
            })
        };
        if let Some(basic) = decoded.as_deref().and_then(pair) {
            return (basic, None);
        }
        match pair(auth) {
            Some(basic) => (
                basic,
                Some(format!(
                    "`auth` of {registry} is not base64. It is read as user:password; encode it, \
                     because other programs do not read it"
                )),
            ),
            None => (
                OciAuth::Anonymous,
                Some(format!(
                    "`auth` of {registry} is neither base64 of user:password nor that itself. \
                     Requests are anonymous"
                )),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> DockerConfig {
        DockerConfig::parse("--destination-oci-credentials-path", "file", text).unwrap()
    }

    fn basic(username: &str, password: &str) -> OciAuth {
        OciAuth::Basic {
            username: username.to_owned(),
            password: Secret::new(password),
        }
    }

    #[test]
    fn every_way_to_write_a_registry_is_found() {
        for (key, place) in [
            ("quay.io", "quay.io/org/model"),
            ("https://quay.io", "quay.io"),
            ("quay.io/v2/", "quay.io/org/model"),
            ("https://index.docker.io/v1/", "docker.io/library/busybox"),
            ("docker.io", "index.docker.io"),
            ("registry:5000", "registry:5000/a"),
            ("QUAY.io", "quay.io"),
        ] {
            let config = config(&format!(r#"{{"auths":{{"{key}":{{"auth":"dTpw"}}}}}}"#));
            let found = config.find(place).map(|(auth, _)| auth);
            assert_eq!(found, Some(basic("u", "p")), "{key} for {place}");
        }
    }

    #[test]
    fn the_most_exact_key_wins_and_a_similar_host_does_not() {
        let config = config(
            r#"{"auths":{"quay.io":{"auth":"dTpw"},"quay.io/org":{"username":"o","password":"q"}}}"#,
        );
        let find = |place: &str| config.find(place).map(|(auth, _)| auth);
        assert_eq!(find("quay.io/org/model"), Some(basic("o", "q")));
        assert_eq!(find("quay.io/organ/model"), Some(basic("u", "p")));
        assert_eq!(find("quay.io.example.com"), None);
        assert_eq!(config.names(), "quay.io, quay.io/org");
    }

    #[test]
    fn auth_in_all_its_forms() {
        for (entry, expected, warned) in [
            (r#"{"auth":"dTpwOnE="}"#, basic("u", "p:q"), false),
            (r#"{"auth":"u:p"}"#, basic("u", "p"), true),
            (r#"{"auth":""}"#, OciAuth::Anonymous, false),
            ("{}", OciAuth::Anonymous, false),
            (r#"{"auth":"????"}"#, OciAuth::Anonymous, true),
            (r#"{"auth":"dTpw\n","email":"a@b"}"#, basic("u", "p"), false),
            (
                r#"{"identitytoken":"t","auth":""}"#,
                OciAuth::IdentityToken(Secret::new("t")),
                false,
            ),
        ] {
            let config = config(&format!(r#"{{"auths":{{"r":{entry}}}}}"#));
            let (auth, warning) = config.find("r").unwrap();
            assert_eq!(auth, expected, "{entry}");
            assert_eq!(warning.is_some(), warned, "{entry}");
        }
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let error = DockerConfig::parse("--x", "f", r#"{"auths": "s3cret"}"#).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        assert!(error.to_string().contains("Invalid docker config file"));
    }
}
