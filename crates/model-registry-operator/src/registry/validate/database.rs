//! The database: an address, a user, and what secures the connection.

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistrySpec, MySql, Postgres};
use resources::names::ObjectName;

use super::super::observe::Observation;
use super::super::references::{Holder, filled};
use super::super::validated::{Bundle, Database, FileSource, Tls};
use super::super::values::{Ciphers, Host, MySqlDatabase, MySqlUser, Port, PostgresName};
use super::{Problem, Reader};

impl Reader {
    pub(super) fn database(
        &mut self,
        resource: &ModelRegistry,
        spec: &ModelRegistrySpec,
    ) -> Option<Database> {
        if let Some(asked) = resource
            .spec
            .postgres
            .as_ref()
            .filter(|asked| asked.is_generated())
        {
            let host = filled(asked.host.as_ref()).or(filled(asked.host_address.as_ref()));
            if let Some(host) = host {
                self.problems
                    .push(Problem::GeneratedWithHost { host: host.clone() });
            }
        }
        match (&spec.postgres, &spec.mysql) {
            (Some(postgres), _) => self.postgres(postgres),
            (None, Some(mysql)) => self.mysql(mysql),
            (None, None) => {
                for field in ["postgres", "mysql"] {
                    self.problems.push(Problem::NoDatabase { field });
                }
                None
            }
        }
    }

    fn postgres(&mut self, postgres: &Postgres) -> Option<Database> {
        let host = filled(postgres.host.as_ref()).or(filled(postgres.host_address.as_ref()));
        let field = match filled(postgres.host.as_ref()) {
            Some(_) => "spec.postgres.host",
            None => "spec.postgres.hostAddress",
        };
        let host = self.value(field, Host::parse(host.map_or("", String::as_str)));
        let port = self.value("spec.postgres.port", Port::parse(postgres.port));
        let user = match filled(postgres.username.as_ref()) {
            Some(user) => Some(self.value("spec.postgres.username", PostgresName::parse(user))?),
            None => None,
        };
        let database = match filled(postgres.database.as_ref()) {
            Some(database) => {
                Some(self.value("spec.postgres.database", PostgresName::parse(database))?)
            }
            None => None,
        };
        let tls = Tls {
            certificate: self.secret_key(
                "spec.postgres.sslCertificateSecret",
                postgres.ssl_certificate_secret.as_ref(),
            ),
            key: self.secret_key(
                "spec.postgres.sslKeySecret",
                postgres.ssl_key_secret.as_ref(),
            ),
            root: self.root(
                "spec.postgres",
                postgres.ssl_root_certificate_config_map.as_ref(),
                postgres.ssl_root_certificate_secret.as_ref(),
            ),
            ..Tls::default()
        };
        Some(Database::Postgres {
            host: host?,
            port: port?,
            user,
            password: self.secret_key(
                "spec.postgres.passwordSecret",
                postgres.password_secret.as_ref(),
            ),
            database,
            ssl_mode: (!postgres.is_generated()).then_some(postgres.ssl_mode),
            passphrase: self.secret_key(
                "spec.postgres.sslPasswordSecret",
                postgres.ssl_password_secret.as_ref(),
            ),
            tls,
        })
    }

    fn mysql(&mut self, mysql: &MySql) -> Option<Database> {
        let host = self.value("spec.mysql.host", Host::parse(&mysql.host));
        let port = self.value("spec.mysql.port", Port::parse(mysql.port));
        let user = self.value("spec.mysql.username", MySqlUser::parse(&mysql.username));
        let database = self.value("spec.mysql.database", MySqlDatabase::parse(&mysql.database));
        let ciphers = match filled(mysql.ssl_cipher.as_ref()) {
            Some(ciphers) => Some(self.value("spec.mysql.sslCipher", Ciphers::parse(ciphers))?),
            None => None,
        };
        let tls = Tls {
            certificate: self.secret_key(
                "spec.mysql.sslCertificateSecret",
                mysql.ssl_certificate_secret.as_ref(),
            ),
            key: self.secret_key("spec.mysql.sslKeySecret", mysql.ssl_key_secret.as_ref()),
            root: self.root(
                "spec.mysql",
                mysql.ssl_root_certificate_config_map.as_ref(),
                mysql.ssl_root_certificate_secret.as_ref(),
            ),
            bundle: None,
            ciphers,
            verify: mysql.verify_server_cert,
        };
        for (field, name) in [
            (
                "spec.mysql.sslRootCertificatesConfigMapName",
                &mysql.ssl_root_certificates_config_map_name,
            ),
            (
                "spec.mysql.sslRootCertificatesSecretName",
                &mysql.ssl_root_certificates_secret_name,
            ),
        ] {
            if let Some(name) = filled(name.as_ref()) {
                self.keep(
                    ObjectName::parse(name).map_err(|source| Problem::Reference {
                        field: field.to_owned(),
                        source,
                    }),
                );
            }
        }
        Some(Database::MySql {
            host: host?,
            port: port?,
            user: user?,
            password: self.secret_key("spec.mysql.passwordSecret", mysql.password_secret.as_ref()),
            database: database?,
            tls,
        })
    }

    /// The ConfigMap wins over the Secret.
    fn root(
        &mut self,
        block: &str,
        map: Option<&api::common::ConfigMapKeyValue>,
        secret: Option<&api::common::SecretKeyValue>,
    ) -> Option<FileSource> {
        if let Some(map) = map {
            let field = format!("{block}.sslRootCertificateConfigMap");
            let (name, key) = self.reference(&field, &map.name, &map.key)?;
            return Some(FileSource::ConfigMap { name, key });
        }
        self.secret_key(&format!("{block}.sslRootCertificateSecret"), secret)
            .map(FileSource::Secret)
    }
}

impl Database {
    pub(super) fn set_bundle(
        &mut self,
        spec: &ModelRegistrySpec,
        observation: &Observation,
        config_map: ObjectName,
    ) {
        let Self::MySql { tls, .. } = self else {
            return;
        };
        let Some(mysql) = &spec.mysql else { return };
        let directory = filled(mysql.ssl_root_certificates_config_map_name.as_ref())
            .map(|name| Holder::ConfigMap(name.clone()))
            .or_else(|| {
                filled(mysql.ssl_root_certificates_secret_name.as_ref())
                    .map(|name| Holder::Secret(name.clone()))
            });
        if let Some(directory) = directory {
            let there = observation
                .referenced
                .get(&directory)
                .is_some_and(Option::is_some);
            let content = observation.authorities.clone().filter(|_| there);
            tls.bundle = Some(Bundle {
                config_map,
                content,
            });
        }
    }
}
