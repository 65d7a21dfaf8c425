//! What does not stop a registry but should be known: missing references, ignored fields.

use std::collections::BTreeSet;
use std::fmt;

use api::modelregistry::v1beta1::{Grpc, ModelRegistrySpec, Postgres, ServiceRoute, SslMode};
use sha2::{Digest, Sha256};

use super::names;
use super::observe::{Credentials, Entry, Observation, Oddity};
use super::references::{Purpose, Reference, filled, references};

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
        }
    }
}

/// Something that is written in the resource and means nothing, or means something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The field has no effect.
    Ignored {
        /// Path of the field.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A Postgres authority is given, and the mode would not look at it.
    VerifiesAnyway {
        /// The mode that is written.
        mode: &'static str,
    },
    /// MySQL's authority is given and verification is switched off.
    NotVerified,
    /// The volume is larger than asked for, and cannot shrink.
    VolumeLarger,
    /// The volume has another storage class, which is fixed.
    StorageClassFixed,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored { field, reason } => write!(f, "{field} has no effect: {reason}"),
            Self::VerifiesAnyway { mode } => write!(
                f,
                "spec.postgres.sslMode {mode} is raised to verify-full, because a root certificate is given; \
                 set sslMode to verify-full, or remove the root certificate"
            ),
            Self::NotVerified => f.write_str(
                "spec.mysql.verifyServerCert is false: the root certificate is not used to verify the server; \
                 set it to true",
            ),
            Self::VolumeLarger => f.write_str(
                "spec.postgres.storage.size is smaller than the volume, which cannot shrink; \
                 it keeps its size",
            ),
            Self::StorageClassFixed => f.write_str(
                "spec.postgres.storage.storageClassName differs from that of the volume, which is fixed once it \
                 exists; the volume keeps its class",
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
pub(super) fn inputs_hash(spec: &ModelRegistrySpec, observation: &Observation) -> Option<String> {
    let mut hash = Sha256::new();
    let mut any = false;
    if spec.postgres.as_ref().is_some_and(Postgres::is_generated)
        && let Some(credentials) = &observation.credentials
    {
        any = true;
        hash.update(credentials_hash(credentials));
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
        let keys: BTreeSet<&String> = match &reference.key {
            Some(key) => BTreeSet::from([key]),
            None => seen.keys.keys().collect(),
        };
        for key in keys {
            if let Some(entry) = seen.keys.get(key) {
                any = true;
                for part in [
                    reference.field.as_bytes(),
                    &[0],
                    key.as_bytes(),
                    &[0],
                    &entry.digest,
                ] {
                    hash.update(part);
                }
            }
        }
    }
    any.then(|| short(&hash.finalize()))
}

/// Hash of the credentials of the generated Postgres.
pub(super) fn credentials_hash(credentials: &Credentials) -> String {
    let mut hash = Sha256::new();
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

/// 64 bits are enough to see a change.
fn short(digest: &[u8]) -> String {
    digest
        .iter()
        .take(8)
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// Whether quantity `a` is smaller than `b`. `false` when one cannot be read.
pub(super) fn is_smaller(a: &str, b: &str) -> bool {
    bytes(a).zip(bytes(b)).is_some_and(|(a, b)| a < b)
}

fn bytes(quantity: &str) -> Option<f64> {
    let end = quantity.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')));
    let (number, unit) = quantity.split_at(end.unwrap_or(quantity.len()));
    let number: f64 = number.parse().ok()?;
    let factor = match unit {
        "" => 1.0,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        "Ti" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(number * factor)
}

/// What is written in `stored` and means nothing. `spec` has its defaults.
pub(super) fn warnings(
    stored: &ModelRegistrySpec,
    spec: &ModelRegistrySpec,
    observation: &Observation,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut ignored = |when: bool, field: &'static str, reason: &'static str| {
        if when {
            found.push(Warning::Ignored { field, reason });
        }
    };
    let grpc = stored
        .grpc
        .as_ref()
        .is_some_and(|grpc| *grpc != Grpc::default());
    ignored(
        grpc,
        "spec.grpc",
        "the registry has no gRPC endpoint any more; remove it",
    );
    ignored(
        stored.enable_database_upgrade.is_some(),
        "spec.enable_database_upgrade",
        "the registry migrates its schema by itself; remove it",
    );
    ignored(
        stored.downgrade_db_schema_version.is_some(),
        "spec.downgrade_db_schema_version",
        "the registry cannot go back to an older schema; remove it",
    );
    ignored(
        spec.kube_rbac_proxy.is_some() && stored.rest.service_route == ServiceRoute::Enabled,
        "spec.rest.serviceRoute",
        "the proxy has a Route of its own; use spec.kubeRBACProxy.serviceRoute",
    );
    ignored(
        stored
            .oauth_proxy
            .as_ref()
            .is_some_and(|old| old.image.is_some()),
        "spec.oauthProxy.image",
        "the proxy is a kube-rbac-proxy; use spec.kubeRBACProxy.image",
    );
    ignored(
        spec.postgres.is_some() && spec.mysql.is_some(),
        "spec.mysql",
        "spec.postgres is used; remove one of the two",
    );
    if let Some(mysql) = spec.mysql.as_ref().filter(|_| spec.postgres.is_none()) {
        ignored(
            mysql.skip_db_creation,
            "spec.mysql.skipDBCreation",
            "the registry never creates the database; remove it",
        );
        ignored(
            filled(mysql.ssl_root_certificates_config_map_name.as_ref()).is_some()
                && filled(mysql.ssl_root_certificates_secret_name.as_ref()).is_some(),
            "spec.mysql.sslRootCertificatesSecretName",
            "sslRootCertificatesConfigMapName is used; remove one of the two",
        );
    }
    if let Some(postgres) = stored.postgres.as_ref().filter(|_| spec.postgres.is_some()) {
        ignored(
            postgres.skip_db_creation,
            "spec.postgres.skipDBCreation",
            "the registry never creates the database; remove it",
        );
        ignored(
            filled(postgres.host.as_ref()).is_some()
                && filled(postgres.host_address.as_ref()).is_some(),
            "spec.postgres.hostAddress",
            "spec.postgres.host is used; remove one of the two",
        );
        if postgres.is_generated() {
            ignored(
                filled(postgres.username.as_ref()).is_some()
                    || filled(postgres.database.as_ref()).is_some()
                    || postgres.password_secret.is_some()
                    || postgres.ssl_mode != SslMode::Disable,
                "spec.postgres",
                "user, database, password and sslMode of the generated Postgres are chosen by the operator; \
                 remove them",
            );
        }
    }
    if let Some(proxy) = stored
        .kube_rbac_proxy
        .as_ref()
        .filter(|_| !observation.platform.openshift)
    {
        ignored(
            proxy.domain.is_some() && proxy.service_route == ServiceRoute::Disabled,
            "spec.kubeRBACProxy.domain",
            "spec.kubeRBACProxy.serviceRoute is disabled",
        );
    }
    tls_warnings(spec, &mut found);
    storage_warnings(stored, observation, &mut found);
    found
}

fn tls_warnings(spec: &ModelRegistrySpec, found: &mut Vec<Warning>) {
    if let Some(postgres) = &spec.postgres {
        let root = postgres.ssl_root_certificate_config_map.is_some()
            || postgres.ssl_root_certificate_secret.is_some();
        if root
            && matches!(
                postgres.ssl_mode,
                SslMode::Disable | SslMode::Allow | SslMode::Prefer
            )
        {
            found.push(Warning::VerifiesAnyway {
                mode: postgres.ssl_mode.as_str(),
            });
        }
    } else if let Some(mysql) = &spec.mysql {
        let root = mysql.ssl_root_certificate_config_map.is_some()
            || mysql.ssl_root_certificate_secret.is_some()
            || filled(mysql.ssl_root_certificates_config_map_name.as_ref()).is_some()
            || filled(mysql.ssl_root_certificates_secret_name.as_ref()).is_some();
        if root && mysql.verify_server_cert == Some(false) {
            found.push(Warning::NotVerified);
        }
    }
}

fn storage_warnings(
    stored: &ModelRegistrySpec,
    observation: &Observation,
    found: &mut Vec<Warning>,
) {
    let storage = stored
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.storage.as_ref());
    let Some((storage, live)) = storage.zip(observation.volume.as_ref()) else {
        return;
    };
    if let Some((asked, live)) = storage.size.as_ref().zip(live.size.as_ref())
        && is_smaller(&asked.0, live)
    {
        found.push(Warning::VolumeLarger);
    }
    if let Some(asked) = filled(storage.storage_class_name.as_ref())
        && live.storage_class.as_ref() != Some(asked)
    {
        found.push(Warning::StorageClassFixed);
    }
}
