//! Secrets and ConfigMaps that a resource refers to.

use api::common::{ConfigMapKeyValue, SecretKeyValue};
use api::modelregistry::v1beta1::ModelRegistrySpec;
use resources::Kind;
use resources::kind::{CONFIG_MAP, SECRET};

/// An object with keys, in the namespace of the resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A Secret of this name.
    Secret(String),
    /// A ConfigMap of this name.
    ConfigMap(String),
}

impl Holder {
    /// Kind of the object.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Secret(_) => SECRET,
            Self::ConfigMap(_) => CONFIG_MAP,
        }
    }

    /// Name of the object.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Secret(name) | Self::ConfigMap(name) => name,
        }
    }
}

/// What a referenced value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Password of the database user.
    Password,
    /// Client certificate for the database.
    ClientCertificate,
    /// Private key of the client certificate.
    ClientKey,
    /// Passphrase of the private key.
    Passphrase,
    /// Authorities that the database server's certificate is checked against.
    Authorities,
    /// Serving certificate of the proxy. It reads a changed one by itself.
    ProxyCertificate,
    /// Private key of the serving certificate.
    ProxyKey,
}

/// One field that refers to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Path of the field: `spec.postgres.passwordSecret`.
    pub field: String,
    /// The object.
    pub holder: Holder,
    /// The key in it; `None` for all keys.
    pub key: Option<String>,
    /// What the value is for.
    pub purpose: Purpose,
}

/// Collects references of one block of the spec.
struct Block {
    path: &'static str,
    found: Vec<Reference>,
}

impl Block {
    fn add(&mut self, field: &str, holder: Holder, key: Option<&String>, purpose: Purpose) {
        let field = format!("{}.{field}", self.path);
        self.found.push(Reference {
            field,
            holder,
            key: key.cloned(),
            purpose,
        });
    }

    fn secret(&mut self, field: &str, reference: Option<&SecretKeyValue>, purpose: Purpose) {
        if let Some(SecretKeyValue { name, key }) = reference {
            self.add(field, Holder::Secret(name.clone()), Some(key), purpose);
        }
    }

    /// What a client of any database shows.
    fn client(
        &mut self,
        password: Option<&SecretKeyValue>,
        certificate: Option<&SecretKeyValue>,
        key: Option<&SecretKeyValue>,
    ) {
        self.secret("passwordSecret", password, Purpose::Password);
        self.secret(
            "sslCertificateSecret",
            certificate,
            Purpose::ClientCertificate,
        );
        self.secret("sslKeySecret", key, Purpose::ClientKey);
    }

    /// The ConfigMap wins over the Secret.
    fn root(&mut self, map: Option<&ConfigMapKeyValue>, secret: Option<&SecretKeyValue>) {
        if let Some(ConfigMapKeyValue { name, key }) = map {
            let holder = Holder::ConfigMap(name.clone());
            self.add(
                "sslRootCertificateConfigMap",
                holder,
                Some(key),
                Purpose::Authorities,
            );
        } else {
            self.secret("sslRootCertificateSecret", secret, Purpose::Authorities);
        }
    }
}

/// What `spec`, with its defaults, refers to. Of what is given twice only what is used.
#[must_use]
pub fn references(spec: &ModelRegistrySpec) -> Vec<Reference> {
    let mut found = Vec::new();
    if let Some(postgres) = spec
        .postgres
        .as_ref()
        .filter(|postgres| !postgres.is_generated())
    {
        let mut block = Block {
            path: "spec.postgres",
            found,
        };
        block.client(
            postgres.password_secret.as_ref(),
            postgres.ssl_certificate_secret.as_ref(),
            postgres.ssl_key_secret.as_ref(),
        );
        block.secret(
            "sslPasswordSecret",
            postgres.ssl_password_secret.as_ref(),
            Purpose::Passphrase,
        );
        block.root(
            postgres.ssl_root_certificate_config_map.as_ref(),
            postgres.ssl_root_certificate_secret.as_ref(),
        );
        found = block.found;
    } else if let (None, Some(mysql)) = (&spec.postgres, &spec.mysql) {
        let mut block = Block {
            path: "spec.mysql",
            found,
        };
        block.client(
            mysql.password_secret.as_ref(),
            mysql.ssl_certificate_secret.as_ref(),
            mysql.ssl_key_secret.as_ref(),
        );
        block.root(
            mysql.ssl_root_certificate_config_map.as_ref(),
            mysql.ssl_root_certificate_secret.as_ref(),
        );
        if let Some(name) = filled(mysql.ssl_root_certificates_config_map_name.as_ref()) {
            let holder = Holder::ConfigMap(name.clone());
            block.add(
                "sslRootCertificatesConfigMapName",
                holder,
                None,
                Purpose::Authorities,
            );
        } else if let Some(name) = filled(mysql.ssl_root_certificates_secret_name.as_ref()) {
            let holder = Holder::Secret(name.clone());
            block.add(
                "sslRootCertificatesSecretName",
                holder,
                None,
                Purpose::Authorities,
            );
        }
        found = block.found;
    }
    if let Some(proxy) = &spec.kube_rbac_proxy {
        let mut block = Block {
            path: "spec.kubeRBACProxy",
            found,
        };
        block.secret(
            "tlsCertificateSecret",
            proxy.tls_certificate_secret.as_ref(),
            Purpose::ProxyCertificate,
        );
        block.secret(
            "tlsKeySecret",
            proxy.tls_key_secret.as_ref(),
            Purpose::ProxyKey,
        );
        found = block.found;
    }
    found
}

/// A text that is there and not empty.
pub(super) fn filled(text: Option<&String>) -> Option<&String> {
    text.filter(|text| !text.is_empty())
}
