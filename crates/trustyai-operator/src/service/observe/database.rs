//! The Secrets of the database.

use std::fmt;

use api::trustyai::v1::Storage;
use resources::content::{data, short};
use resources::kind::SECRET;
use runtime::inputs::{InputError, Inputs};
use sha2::{Digest, Sha256};

use super::super::names::{DATABASE_CA, DATABASE_CA_KEY, DATABASE_CREDENTIALS};
use super::digest;

/// Keys that the Secret with the credentials must have.
const KEYS: [&str; 6] = [
    "databaseKind",
    "databaseUsername",
    "databasePassword",
    "databaseService",
    "databasePort",
    "databaseName",
];
/// A key that it may have.
const GENERATION: &str = "databaseGeneration";

/// The Secrets of the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Database {
    /// Name of the Secret with address and credentials.
    pub secret: String,
    /// What is wrong with it.
    pub problem: Option<DatabaseProblem>,
    /// Digest of its values. `None` when it is not there.
    pub digest: Option<String>,
    /// Digest of the authority of the database's certificate; without one, TLS is not asked for.
    pub authority: Option<String>,
}

/// What is wrong with the Secret of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseProblem {
    /// It is not there.
    Missing,
    /// These keys are not there, or empty.
    Keys(Vec<&'static str>),
    /// A key has a value that an environment variable cannot hold.
    NotText(&'static str),
    /// The port is no number of a port.
    Port,
    /// The Secret with the authority has no certificate in its key.
    Authority(String),
}

impl fmt::Display for DatabaseProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "create it with the keys {}", KEYS.join(", ")),
            Self::Keys(keys) => write!(f, "it has no {}; add it", keys.join(", ")),
            Self::NotText(key) => write!(
                f,
                "its {key} has bytes that no environment variable can hold; correct it"
            ),
            Self::Port => {
                f.write_str("its databasePort is no port; write a number from 1 to 65535")
            }
            Self::Authority(secret) => write!(
                f,
                "key {DATABASE_CA_KEY} of Secret {secret} holds no PEM certificate; add one, or \
                 delete that Secret to connect without TLS"
            ),
        }
    }
}

/// Reads the Secrets of the database.
pub(super) async fn database<I: Inputs>(
    name: &str,
    storage: &Storage,
    inputs: &I,
) -> Result<Database, InputError> {
    let named = storage.database_configurations.clone();
    let secret = named
        .filter(|named| !named.is_empty())
        .unwrap_or_else(|| format!("{name}{DATABASE_CREDENTIALS}"));
    let credentials = inputs.get(SECRET, &secret).await?;
    // A Secret that cannot be read is an error: no connection goes without TLS by a mistake.
    let ca = format!("{name}{DATABASE_CA}");
    let authority = inputs.get(SECRET, &ca).await?;
    let authority = authority.map(|secret| data(SECRET, &secret));
    let certificate = authority.as_ref().map(|data| {
        let found = data.get(DATABASE_CA_KEY);
        found.filter(|value| String::from_utf8_lossy(&value.0).contains("-----BEGIN CERTIFICATE"))
    });
    let Some(credentials) = credentials else {
        return Ok(Database {
            secret,
            problem: Some(DatabaseProblem::Missing),
            ..Database::default()
        });
    };
    let values = data(SECRET, &credentials);
    let mut hash = Sha256::new();
    for key in KEYS.into_iter().chain([GENERATION]) {
        if let Some(value) = values.get(key) {
            hash.update(key);
            hash.update(Sha256::digest(&value.0));
        }
    }
    let missing: Vec<_> = KEYS
        .into_iter()
        .filter(|key| values.get(*key).is_none_or(|value| value.0.is_empty()))
        .collect();
    let not_text = KEYS.into_iter().find(|key| {
        let value = values.get(*key);
        value.is_some_and(|v| std::str::from_utf8(&v.0).is_err() || v.0.contains(&0))
    });
    let port = values.get("databasePort");
    let is_port = port
        .and_then(|port| std::str::from_utf8(&port.0).ok())
        .and_then(|port| port.trim().parse::<u16>().ok())
        .is_some_and(|port| port > 0);
    let problem = if !missing.is_empty() {
        Some(DatabaseProblem::Keys(missing))
    } else if let Some(key) = not_text {
        Some(DatabaseProblem::NotText(key))
    } else if !is_port {
        Some(DatabaseProblem::Port)
    } else if certificate == Some(None) {
        Some(DatabaseProblem::Authority(ca))
    } else {
        None
    };
    Ok(Database {
        secret,
        problem,
        digest: Some(short(&hash.finalize())),
        authority: certificate.flatten().map(|value| digest(&value.0)),
    })
}
