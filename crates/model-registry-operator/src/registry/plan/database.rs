//! How the server reaches its database.
//!
//! The address goes through the environment, where it can be put together with the password
//! without appearing in the argument list. The server reads every flag from a variable with
//! prefix `MR_` too; its Postgres driver reads the password from `PGPASSWORD`.

use api::modelregistry::v1beta1::SslMode;
use k8s_openapi::api::core::v1::{ConfigMap, EnvVar, Volume, VolumeMount};
use resources::kind::CONFIG_MAP;
use resources::meta::pairs;
use resources::workload::{
    PRIVATE, config_map_volume, from_secret, literal, mount, secret_volume, unexpanded,
};
use resources::{Plan, PlanError, Planned};

use super::metadata::called;
use crate::registry::validate::{Database, FileSource, SecretKey, Tls, Validated};
use crate::registry::values::PostgresName;

/// Environment variable of the server with the address.
const DSN: &str = "MR_EMBEDMD_DATABASE_DSN";
/// Key of the ConfigMap with authorities from many keys.
pub(super) const BUNDLE_KEY: &str = "ca-bundle.crt";

/// What a container needs to reach the database.
#[derive(Debug, Default)]
pub(super) struct Access {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<EnvVar>,
    pub(super) mounts: Vec<VolumeMount>,
    pub(super) volumes: Vec<Volume>,
}

/// ConfigMap with authorities from many keys in one file: the server reads a file.
pub(super) fn bundle(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    if let Some(bundle) = &registry.database.tls().bundle
        && let Some(content) = &bundle.content
    {
        let map = ConfigMap {
            metadata: called(registry, bundle.config_map.as_str()),
            data: Some(pairs([(BUNDLE_KEY, content.as_str())])),
            ..ConfigMap::default()
        };
        plan.push(Planned::new(CONFIG_MAP, &map)?);
    }
    Ok(())
}

/// The files that a server needs to reach `database`: of this only volumes and mounts.
pub(super) fn files(database: &Database) -> Access {
    let mut access = Access::default();
    let name = match database {
        Database::Postgres { .. } => "postgres",
        Database::MySql { .. } => "mysql",
    };
    access.files(name, database.tls());
    access
}

/// What the server needs to reach `database`.
pub(super) fn access(database: &Database) -> Access {
    match database {
        Database::Postgres {
            host,
            port,
            user,
            password,
            database,
            ssl_mode,
            passphrase,
            tls,
        } => {
            let user = user
                .as_ref()
                .map(|user| escaped(user) + "@")
                .unwrap_or_default();
            let database = database.as_ref().map(escaped).unwrap_or_default();
            let mode = ssl_mode
                .map(|mode| format!("?sslmode={}", mode.as_str()))
                .unwrap_or_default();
            let dsn = format!(
                "postgresql://{user}{}:{port}/{database}{mode}",
                host.as_str()
            );
            let mut access = Access::default();
            access.args.push("--embedmd-database-type=postgres".into());
            access
                .env
                .extend(password.as_ref().map(|key| variable("PGPASSWORD", key)));
            access.env.extend(
                passphrase
                    .as_ref()
                    .map(|key| variable("PGSSLPASSWORD", key)),
            );
            access.env.push(literal(DSN, &dsn));
            access.files("postgres", tls);
            access.verify(postgres_verifies(ssl_mode.unwrap_or(SslMode::Disable), tls));
            access
        }
        Database::MySql {
            host,
            port,
            user,
            password,
            database,
            tls,
        } => {
            let mut access = Access::default();
            access.args.push("--embedmd-database-type=mysql".into());
            access
                .env
                .extend(password.as_ref().map(|key| variable("MYSQL_PASSWORD", key)));
            let secret = if password.is_some() {
                ":$(MYSQL_PASSWORD)"
            } else {
                ""
            };
            let dsn = format!(
                "{}{secret}@tcp({}:{port})/{}?charset=utf8mb4",
                unexpanded(user.as_str()),
                host.as_str(),
                unexpanded(database.as_str())
            );
            access.env.push(EnvVar {
                name: DSN.into(),
                value: Some(dsn),
                value_from: None,
            });
            access.files("mysql", tls);
            if let Some(ciphers) = &tls.ciphers {
                access
                    .args
                    .push(format!("--embedmd-database-ssl-cipher={ciphers}"));
            }
            let authorities = tls.root.is_some() || tls.bundle.is_some();
            access.verify(tls.verify.or(authorities.then_some(true)));
            access
        }
    }
}

/// Whether the server is told to verify a Postgres certificate and its host name.
///
/// As soon as it is given a certificate or an authority, the server replaces the mode: with
/// `verify-full` when told to verify, else with `require`, which the driver takes for `verify-ca`
/// when there is an authority. So the authority alone says `verify-ca` and `require`, and the
/// modes that would not look at it become `verify-full`.
fn postgres_verifies(mode: SslMode, tls: &Tls) -> Option<bool> {
    let authority = tls.root.is_some();
    let client = tls.certificate.is_some() || tls.key.is_some();
    let verifies = match mode {
        SslMode::VerifyFull => true,
        SslMode::VerifyCa => client && !authority,
        SslMode::Require => false,
        SslMode::Disable | SslMode::Allow | SslMode::Prefer => authority,
    };
    verifies.then_some(true)
}

fn variable(name: &str, key: &SecretKey) -> EnvVar {
    from_secret(name, key.name.as_str(), key.key.as_str())
}

/// A part of a URL: everything but letters, digits and four signs as `%XX`.
fn escaped(name: &PostgresName) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let escape = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    name.as_str().bytes().map(escape).collect()
}

impl Access {
    fn files(&mut self, database: &str, tls: &Tls) {
        let secret = |key: &Option<SecretKey>| key.clone().map(FileSource::Secret);
        for (name, flag, source) in [
            ("cert", "cert", secret(&tls.certificate)),
            ("key", "key", secret(&tls.key)),
            ("rootcert", "root-cert", tls.root.clone()),
        ] {
            let Some(source) = source else { continue };
            let volume = volume_name(database, name);
            let key = match &source {
                FileSource::Secret(SecretKey { name, key }) => {
                    self.volumes.push(secret_volume(&volume, name.as_str()));
                    key
                }
                FileSource::ConfigMap { name, key } => {
                    self.volumes
                        .push(config_map_volume(&volume, name.as_str(), Some(PRIVATE)));
                    key
                }
            };
            self.file(database, name, flag, key.as_str());
        }
        if let Some(bundle) = &tls.bundle {
            let volume = volume_name(database, "rootcerts");
            self.volumes.push(config_map_volume(
                &volume,
                bundle.config_map.as_str(),
                Some(PRIVATE),
            ));
            self.file(database, "rootcerts", "ca", BUNDLE_KEY);
        }
    }

    fn file(&mut self, database: &str, name: &str, flag: &str, key: &str) {
        let directory = format!("/etc/{database}_ssl_{name}");
        self.mounts
            .push(mount(&volume_name(database, name), &directory, true));
        self.args
            .push(format!("--embedmd-database-ssl-{flag}={directory}/{key}"));
    }

    fn verify(&mut self, verify: Option<bool>) {
        if let Some(verify) = verify {
            self.args.push(format!(
                "--embedmd-database-ssl-verify-server-cert={verify}"
            ));
        }
    }
}

fn volume_name(database: &str, name: &str) -> String {
    // The names that the Go operator gives: "postgres-ssl-rootcert" for root-cert.
    format!("{database}-ssl-{name}")
}
