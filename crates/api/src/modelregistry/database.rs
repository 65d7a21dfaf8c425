//! The databases that a registry can keep its data in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::{ConfigMapKeyValue, DeletionPolicy, SecretKeyValue, Storage};
use crate::{rules, schema};

/// How much a Postgres client insists on TLS.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = schema::described_by_field)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS only where the server demands it.
    Allow,
    /// TLS where the server offers it.
    Prefer,
    /// TLS, with any certificate.
    Require,
    /// TLS, with a certificate of a trusted authority.
    VerifyCa,
    /// TLS, with a certificate of a trusted authority for the server's host name.
    VerifyFull,
}

impl SslMode {
    /// The word that libpq knows the mode by, as in the resource.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// A Postgres database, given or generated.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules::extension(rules::POSTGRES)))]
pub struct Postgres {
    /// Host name of the database server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// IP address of the database server, used where `host` is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_address: Option<String>,
    /// Port of the database server.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// User that the registry connects as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Secret key with the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKeyValue>,
    /// Name of the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Accepted for compatibility. Has no effect.
    #[serde(rename = "skipDBCreation")]
    pub skip_db_creation: bool,
    /// Whether the operator runs a Postgres of its own for this registry, with a generated
    /// password and a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generate_deployment: Option<bool>,
    /// How much the connection insists on TLS, in the words of libpq. With `verify-ca` the
    /// server's certificate is checked, with `verify-full` its host name too.
    pub ssl_mode: SslMode,
    /// Secret key with the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_certificate_secret: Option<SecretKeyValue>,
    /// Secret key with the private key of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_secret: Option<SecretKeyValue>,
    /// Secret key with the passphrase of the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_password_secret: Option<SecretKeyValue>,
    /// Secret key with the certificates of the authorities that the server's certificate
    /// is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificate_secret: Option<SecretKeyValue>,
    /// ConfigMap key with the certificates of the authorities that the server's
    /// certificate is checked against. Wins over `sslRootCertificateSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificate_config_map: Option<ConfigMapKeyValue>,
    /// Image of the generated Postgres. Absent means the one that the operator is
    /// configured with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Volume of the generated Postgres.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// What becomes of the generated Postgres's volume and password. `Delete`: they go when
    /// `generateDeployment` is switched off or the registry is deleted. `Retain`: they stay,
    /// until someone deletes them by hand. Absent: they go when the registry is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

impl Postgres {
    /// Whether the operator runs the server.
    #[must_use]
    pub fn is_generated(&self) -> bool {
        self.generate_deployment.unwrap_or(false)
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            host: None,
            host_address: None,
            port: 5432,
            username: None,
            password_secret: None,
            database: None,
            skip_db_creation: false,
            generate_deployment: None,
            ssl_mode: SslMode::Disable,
            ssl_certificate_secret: None,
            ssl_key_secret: None,
            ssl_password_secret: None,
            ssl_root_certificate_secret: None,
            ssl_root_certificate_config_map: None,
            image: None,
            storage: None,
            deletion_policy: None,
        }
    }
}

const fn mysql_port() -> i32 {
    3306
}

/// A MySQL or MariaDB database.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MySql {
    /// Host name of the database server.
    pub host: String,
    /// Port of the database server.
    #[serde(default = "mysql_port")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// User that the registry connects as.
    pub username: String,
    /// Secret key with the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_secret: Option<SecretKeyValue>,
    /// Name of the database.
    pub database: String,
    /// Accepted for compatibility. Has no effect.
    #[serde(default, rename = "skipDBCreation")]
    pub skip_db_creation: bool,
    /// Secret key with the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_certificate_secret: Option<SecretKeyValue>,
    /// Secret key with the private key of the client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_secret: Option<SecretKeyValue>,
    /// Secret key with the certificates of the authorities that the server's certificate
    /// is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificate_secret: Option<SecretKeyValue>,
    /// ConfigMap key with the certificates of the authorities that the server's
    /// certificate is checked against. Wins over `sslRootCertificateSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificate_config_map: Option<ConfigMapKeyValue>,
    /// ConfigMap whose keys each hold certificates of authorities. Wins over
    /// `sslRootCertificatesSecretName`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificates_config_map_name: Option<String>,
    /// Secret whose keys each hold certificates of authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_root_certificates_secret_name: Option<String>,
    /// Ciphers that the connection may use, separated by colons.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_cipher: Option<String>,
    /// Whether the server's certificate is verified. Absent means yes where certificates
    /// of authorities are given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_server_cert: Option<bool>,
}
