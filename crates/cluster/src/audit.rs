//! The API server's audit log: who asked what, and with which body.

use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// Names that [`crate::Cluster::audit_mark`] asks for, to find its place in the log.
pub(crate) const MARKER: &str = "audit-marker-";

/// One request, as the API server recorded it when it was answered; a watch, when it began.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Who asked, `system:serviceaccount:NAMESPACE:NAME` for a service account; with
    /// impersonation, who was impersonated.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural resource name; empty for paths that are no resource.
    pub resource: String,
    /// `status`, `scale` and so on; empty for the object itself.
    pub subresource: String,
    /// Empty for cluster-scoped requests.
    pub namespace: String,
    /// Empty where a request names no object.
    pub name: String,
    /// The HTTP status.
    pub code: u16,
    /// What the API server said to a request that failed.
    pub message: String,
    /// Path and query.
    pub uri: String,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// What was sent, for requests that write (Secrets included: this is a test cluster).
    pub body: Option<Value>,
    /// When the request arrived.
    pub received: Timestamp,
    /// When it was answered; for a watch, when it began.
    pub answered: Timestamp,
}

impl Record {
    /// Whether the request changes objects, as opposed to reading, watching or asking for a review.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ) && !matches!(
            self.group.as_str(),
            "authorization.k8s.io" | "authentication.k8s.io"
        )
    }

    /// The right that the request takes, as `kubectl auth can-i` takes it:
    /// `patch modelregistries.example.org/status`. `None` for a path that is no resource.
    #[must_use]
    pub fn right(&self) -> Option<String> {
        if self.resource.is_empty() {
            return None;
        }
        let mut right = format!("{} {}", self.verb, self.resource);
        for (mark, part) in [(".", &self.group), ("/", &self.subresource)] {
            if !part.is_empty() {
                right.push_str(mark);
                right.push_str(part);
            }
        }
        Some(right)
    }

    /// Whether the API server refused it for want of a right. It answers in the same way when the
    /// namespace or the kind is about to go, which no right helps against.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let going = [
            "because it is being terminated",
            "while custom resource definition is terminating",
        ];
        self.code == 403 && !going.iter().any(|words| self.message.contains(words))
    }
}

/// Stands for all rights where refusals are expected.
pub const ANY_RIGHT: &str = "*";

/// The log of one cluster, kept after its end.
#[derive(Debug, Clone, Default)]
pub struct Collected {
    /// The requests, without their bodies.
    pub log: AuditLog,
    /// Rights that its tests expect to be refused.
    pub expected: Vec<String>,
}

impl Collected {
    /// Whether a test of this cluster expects that this right is refused.
    #[must_use]
    pub fn expects(&self, right: &str) -> bool {
        self.expected
            .iter()
            .any(|expected| expected == right || expected == crate::ANY_RIGHT)
    }

    /// All logs in the directory of [`crate::COLLECTED_AUDIT`], with the requests of these users.
    pub fn read(dir: &Path, users: &[&str]) -> Result<Vec<Self>, Error> {
        let io = || Error::io(dir.display().to_string());
        let mut all = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(io())? {
            let path = entry.map_err(io())?.path();
            if path.extension().is_some_and(|extension| extension == "log") {
                all.push(Self::of(&path, users)?);
            }
        }
        Ok(all)
    }

    fn of(path: &Path, users: &[&str]) -> Result<Self, Error> {
        let io = || Error::io(path.display().to_string());
        let mut records = Vec::new();
        for line in BufReader::new(std::fs::File::open(path).map_err(io())?).lines() {
            let line = line.map_err(io())?;
            // Most lines are of others, and parsing takes most of the time.
            if !users.iter().any(|user| line.contains(user)) {
                continue;
            }
            // A server that was killed may leave half a line.
            let Ok(line) = serde_json::from_str::<Line>(&line) else {
                continue;
            };
            let record = Record::from(Line {
                request_object: None,
                ..line
            });
            if users.contains(&record.user.as_str()) {
                records.push(record);
            }
        }
        let expected = match std::fs::read_to_string(refusals_path(path)) {
            Ok(text) => text.lines().map(str::to_owned).collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(io()(error)),
        };
        Ok(Self {
            log: AuditLog { records },
            expected,
        })
    }
}

/// Where the refusals are that the tests of a cluster expect.
pub(crate) fn refusals_path(audit: &Path) -> PathBuf {
    audit.with_extension("refusals")
}

/// A part of the log, in the order of answers.
#[derive(Debug, Clone, Default)]
pub struct AuditLog {
    /// The requests.
    pub records: Vec<Record>,
}

impl AuditLog {
    /// The requests of one user.
    pub fn by<'a>(&'a self, user: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records
            .iter()
            .filter(move |record| record.user == user)
    }

    /// The requests of one service account.
    #[must_use]
    pub fn by_service_account(&self, namespace: &str, name: &str) -> Vec<&Record> {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        self.records
            .iter()
            .filter(|record| record.user == user)
            .collect()
    }

    /// Reads a log file from a byte offset on; a last line without its end is left out.
    pub(crate) fn read(path: &Path, offset: u64) -> Result<Self, Error> {
        let records = text(path, offset)?
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .filter_map(|line| serde_json::from_str::<Line>(line).ok())
            .map(Record::from)
            .filter(|record| !record.name.starts_with(MARKER))
            .collect();
        Ok(Self { records })
    }

    /// Where the first line with `word` ends, from a byte offset on; `None` until it is written
    /// whole.
    pub(crate) fn end_of_line_with(
        path: &Path,
        offset: u64,
        word: &str,
    ) -> Result<Option<u64>, Error> {
        let mut end = offset;
        for line in text(path, offset)?.split_inclusive('\n') {
            end += line.len() as u64;
            if line.ends_with('\n') && line.contains(word) {
                return Ok(Some(end));
            }
        }
        Ok(None)
    }
}

/// A file from a byte offset on. What is not UTF-8, half a character at the end, is not read.
fn text(path: &Path, offset: u64) -> Result<String, Error> {
    let what = || Error::io(path.display().to_string());
    let mut file = std::fs::File::open(path).map_err(what())?;
    file.seek(SeekFrom::Start(offset)).map_err(what())?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(what())?;
    let valid = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
    bytes.truncate(valid);
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    object_ref: ObjectRef,
    response_status: Option<ResponseStatus>,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    user_agent: String,
    request_object: Option<Value>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
    message: String,
}

impl From<Line> for Record {
    fn from(line: Line) -> Self {
        let response = line.response_status.unwrap_or_default();
        Self {
            user: line.impersonated_user.unwrap_or(line.user).username,
            verb: line.verb,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: response.code,
            message: response.message,
            uri: line.request_uri,
            user_agent: line.user_agent,
            body: line.request_object,
            received: line.request_received_timestamp,
            answered: line.stage_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_to_go_is_not_a_matter_of_rights() {
        let refused = |code, message: &str| {
            let message = message.to_owned();
            let record = Record {
                code,
                message,
                ..Record::default()
            };
            record.is_refused()
        };
        assert!(refused(
            403,
            r#"pods is forbidden: User "u" cannot list resource"#
        ));
        assert!(!refused(404, ""));
        for message in [
            "unable to create new content in namespace a because it is being terminated",
            "create not allowed while custom resource definition is terminating",
        ] {
            assert!(!refused(403, message), "{message}");
        }
    }

    #[test]
    fn a_right_is_said_as_kubectl_takes_it() {
        let right = |group: &str, resource: &str, subresource: &str| {
            let record = Record {
                verb: "patch".to_owned(),
                group: group.to_owned(),
                resource: resource.to_owned(),
                subresource: subresource.to_owned(),
                ..Record::default()
            };
            record.right()
        };
        assert_eq!(right("", "pods", ""), Some("patch pods".to_owned()));
        assert_eq!(
            right("example.org", "things", "status"),
            Some("patch things.example.org/status".to_owned())
        );
        assert_eq!(right("", "", ""), None);
    }
}
