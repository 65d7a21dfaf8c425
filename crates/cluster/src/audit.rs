//! The API server's audit log: who asked what, and with which body.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::Error;

/// Names that [`crate::Cluster::audit_mark`] asks for, to find its place in the log.
pub(crate) const MARKER: &str = "audit-marker-";

/// One request, as the API server recorded it when it was answered; a watch, when it began.
#[derive(Debug, Clone)]
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

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl From<Line> for Record {
    fn from(line: Line) -> Self {
        Self {
            user: line.impersonated_user.unwrap_or(line.user).username,
            verb: line.verb,
            group: line.object_ref.api_group,
            resource: line.object_ref.resource,
            subresource: line.object_ref.subresource,
            namespace: line.object_ref.namespace,
            name: line.object_ref.name,
            code: line.response_status.map_or(0, |status| status.code),
            uri: line.request_uri,
            user_agent: line.user_agent,
            body: line.request_object,
            received: line.request_received_timestamp,
            answered: line.stage_timestamp,
        }
    }
}
