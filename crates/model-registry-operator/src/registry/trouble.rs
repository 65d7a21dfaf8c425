//! What the resource refers to and is not as it should be. It stops nothing, and should be known.

use std::fmt;

use api::modelregistry::v1beta1::{ModelRegistrySpec, Postgres};
use resources::content::short;
use sha2::{Digest, Sha256};

use super::names;
use super::observe::{Awaited, Certificate, Credentials, Entry, Observation, Oddity};
use super::references::{Purpose, Reference, references};
use super::status::ways::NO_CERT_MANAGER;

/// Something wrong with what the resource refers to. The pods wait for it, or fail by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Path of the field that refers to it.
    pub field: String,
    /// `Secret` or `ConfigMap`.
    pub kind: &'static str,
    /// Name of the object.
    pub name: String,
    /// What the value is for.
    pub purpose: Purpose,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong with a reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The object is not there.
    Missing,
    /// The object is there, the key is not.
    MissingKey(String),
    /// The value is empty.
    Empty(String),
    /// The value has a character that its place cannot hold.
    Character(String, Oddity),
    /// No key holds a certificate.
    NoCertificate,
    /// cert-manager is asked for it and is not there.
    NoCertManager,
    /// OpenShift's service CA should have made it.
    NoServiceCa,
}

impl Trouble {
    /// Whether it is about the database, and not about the proxy.
    #[must_use]
    pub fn is_database(&self) -> bool {
        !matches!(self.purpose, Purpose::ProxyCertificate | Purpose::ProxyKey)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            field,
            kind,
            name,
            cause,
            ..
        } = self;
        match cause {
            Cause::Missing => write!(f, "{field}: {kind} {name} does not exist; create it"),
            Cause::MissingKey(key) => {
                write!(
                    f,
                    "{field}: {kind} {name} has no key {key}; add it or name another key"
                )
            }
            Cause::Empty(key) => write!(f, "{field}: key {key} of {kind} {name} is empty"),
            Cause::Character(key, oddity) => {
                let what = match oddity {
                    Oddity::QuestionMark => {
                        "the character '?', which the registry cannot pass on to MySQL"
                    }
                    Oddity::Nul => "a NUL character, which no environment variable can hold",
                    Oddity::NotText => {
                        "bytes that are not UTF-8, which no environment variable can hold"
                    }
                    Oddity::Empty => "nothing",
                };
                write!(
                    f,
                    "{field}: key {key} of {kind} {name} has {what}; choose another value"
                )
            }
            Cause::NoCertificate => {
                write!(
                    f,
                    "{field}: no key of {kind} {name} holds a PEM certificate; add one"
                )
            }
            Cause::NoCertManager => f.write_str(NO_CERT_MANAGER),
            Cause::NoServiceCa => write!(
                f,
                "{field}: {kind} {name} is not there: the cluster has Routes, and no service CA has \
                 made it; name a certificate in tlsCertificateSecret and tlsKeySecret, or set certManager"
            ),
        }
    }
}

/// Several problems in one sentence, as the API server writes them.
pub(super) fn join<T: fmt::Display>(problems: &[T]) -> String {
    match problems {
        [one] => one.to_string(),
        many => format!(
            "[{}]",
            many.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// What is wrong with the references of `spec`, which has its defaults.
pub(super) fn troubles(spec: &ModelRegistrySpec, observation: &Observation) -> Vec<Trouble> {
    let is_mysql = spec.postgres.is_none();
    let references = references(spec).into_iter();
    references
        .filter_map(|reference| {
            let cause = cause(&reference, is_mysql, observation)?;
            Some(Trouble {
                kind: reference.holder.kind().kind,
                name: reference.holder.name().to_owned(),
                field: reference.field,
                purpose: reference.purpose,
                cause,
            })
        })
        .collect()
}

fn cause(reference: &Reference, is_mysql: bool, observation: &Observation) -> Option<Cause> {
    if reference.purpose == Purpose::ProxyCertificate {
        match observation.certificate {
            Certificate::CertManager if !observation.platform.certificates => {
                return Some(Cause::NoCertManager);
            }
            Certificate::ServiceCa if observation.awaited == Awaited::Overdue => {
                return Some(Cause::NoServiceCa);
            }
            _ => {}
        }
    }
    // What was not looked at is made by the operator or by the platform.
    let Some(seen) = observation.referenced.get(&reference.holder)? else {
        return Some(Cause::Missing);
    };
    let Some(key) = &reference.key else {
        let found = observation
            .authorities
            .as_ref()
            .is_some_and(|bundle| !bundle.is_empty());
        return (!found).then_some(Cause::NoCertificate);
    };
    let Some(Entry { oddity, .. }) = seen.keys.get(key) else {
        return Some(Cause::MissingKey(key.clone()));
    };
    let is_environment = matches!(reference.purpose, Purpose::Password | Purpose::Passphrase);
    match oddity {
        Some(Oddity::Empty) => Some(Cause::Empty(key.clone())),
        Some(oddity @ (Oddity::Nul | Oddity::NotText)) if is_environment => {
            Some(Cause::Character(key.clone(), *oddity))
        }
        Some(Oddity::QuestionMark) if is_mysql && reference.purpose == Purpose::Password => {
            Some(Cause::Character(key.clone(), Oddity::QuestionMark))
        }
        _ => None,
    }
}

/// Hash of the values that the server reads once, when it starts. `None` when there are none.
///
/// Whoever sees pods sees the hash: `salt`, which no other registry has, keeps equal passwords from
/// showing as such, and tables of passwords from being of use.
pub(super) fn inputs_hash(
    spec: &ModelRegistrySpec,
    observation: &Observation,
    salt: &str,
) -> Option<String> {
    let mut hash = Sha256::new();
    hash.update(salt);
    let mut any = false;
    if spec.postgres.as_ref().is_some_and(Postgres::is_generated)
        && let Some(credentials) = &observation.credentials
    {
        any = true;
        hash.update(credentials_hash(credentials, salt));
    }
    for reference in references(spec) {
        if matches!(
            reference.purpose,
            Purpose::ProxyCertificate | Purpose::ProxyKey
        ) {
            continue;
        }
        let Some(Some(seen)) = observation.referenced.get(&reference.holder) else {
            continue;
        };
        // Of a directory only the certificates are used, whatever their keys are called.
        let (key, digest) = if let Some(key) = &reference.key {
            let entry = seen.keys.get(key);
            (key.as_str(), entry.map(|entry| entry.digest.to_vec()))
        } else {
            let bundle = observation.authorities.as_ref();
            ("", bundle.map(|bundle| Sha256::digest(bundle).to_vec()))
        };
        if let Some(digest) = digest {
            any = true;
            for part in [
                reference.field.as_bytes(),
                &[0],
                key.as_bytes(),
                &[0],
                &digest,
            ] {
                hash.update(part);
            }
        }
    }
    any.then(|| short(&hash.finalize()))
}

/// Hash of the credentials of the generated Postgres, with salt as in [`inputs_hash`].
pub(super) fn credentials_hash(credentials: &Credentials, salt: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    for key in [names::USERNAME, names::PASSWORD] {
        let value = credentials
            .data
            .get(key)
            .map(|value| value.0.as_slice())
            .unwrap_or_default();
        hash.update(Sha256::digest(value));
    }
    short(&hash.finalize())
}
