//! The metadata store of v0.2: a gRPC server beside the REST server, which then speaks to it
//! instead of to the database.
//!
//! The flags are the store's own. It takes the password of the database in one of them, and from
//! nowhere else: the pod names the variable, and the kubelet fills it in.

use api::modelregistry::v1beta1::SslMode;
use k8s_openapi::api::core::v1::{Container, ContainerPort, EnvVar};
use resources::workload::{Timing, from_secret, restricted_container, tcp_probe, unexpanded};

use super::database::files;
use crate::registry::validated::{Database, FileSource, MetadataStore, SecretKey, Tls};

/// Name of its container.
pub(crate) const CONTAINER: &str = "grpc-container";
/// Name of its port.
pub(super) const PORT: &str = "grpc-api";

/// When both servers of that time are asked whether they listen.
pub(super) const ALIVE: Timing = Timing {
    delay: 30,
    period: 5,
    timeout: 2,
    failures: 3,
};
/// And whether they may be called.
pub(super) const READY: Timing = Timing { delay: 15, ..ALIVE };

/// The store's container. Its volumes are those that the REST server would have.
pub(super) fn container(store: &MetadataStore, database: &Database) -> Container {
    let (mut args, env) = source(database);
    args.insert(0, format!("--grpc_port={}", store.port));
    args.push("--enable_database_upgrade=true".into());
    let mounts = files(database).mounts;
    Container {
        name: CONTAINER.into(),
        image: Some(store.image.to_string()),
        command: Some(vec!["/bin/metadata_store_server".into()]),
        args: Some(args),
        env: Some(env).filter(|env| !env.is_empty()),
        ports: Some(vec![ContainerPort {
            container_port: store.port.number(),
            name: Some(PORT.into()),
            ..ContainerPort::default()
        }]),
        liveness_probe: Some(tcp_probe(PORT, ALIVE)),
        readiness_probe: Some(tcp_probe(PORT, READY)),
        resources: Some(store.resources.clone()),
        security_context: Some(restricted_container()),
        termination_message_policy: Some("FallbackToLogsOnError".into()),
        volume_mounts: Some(mounts).filter(|mounts| !mounts.is_empty()),
        ..Container::default()
    }
}

/// Flags of the REST server that has a store.
pub(super) fn rest_args(store: &MetadataStore) -> [String; 2] {
    [
        "--mlmd-hostname=localhost".into(),
        format!("--mlmd-port={}", store.port),
    ]
}

/// Flags that the store is started with, and the variables in them.
struct Flags {
    prefix: &'static str,
    args: Vec<String>,
    env: Vec<EnvVar>,
}

impl Flags {
    fn of(kind: &str, prefix: &'static str) -> Self {
        Self {
            prefix,
            args: vec![format!("--metadata_source_config_type={kind}")],
            env: Vec::new(),
        }
    }

    /// What a user wrote: nothing in it is filled in.
    fn text(&mut self, flag: &str, value: &str) {
        self.args
            .push(format!("--{}_{flag}={}", self.prefix, unexpanded(value)));
    }

    fn secret(&mut self, flag: &str, variable: &str, key: Option<&SecretKey>) {
        if let Some(key) = key {
            self.args
                .push(format!("--{}_{flag}=$({variable})", self.prefix));
            self.env
                .push(from_secret(variable, key.name.as_str(), key.key.as_str()));
        }
    }

    /// The files are where those of the REST server would be.
    fn files(&mut self, database: &str, tls: &Tls) {
        let file = |name: &str, key: &str| format!("/etc/{database}_ssl_{name}/{key}");
        if let Some(certificate) = &tls.certificate {
            self.text("sslcert", &file("cert", certificate.key.as_str()));
        }
        if let Some(key) = &tls.key {
            self.text("sslkey", &file("key", key.key.as_str()));
        }
        match &tls.root {
            Some(FileSource::Secret(SecretKey { key, .. }) | FileSource::ConfigMap { key, .. }) => {
                self.text("sslrootcert", &file("rootcert", key.as_str()));
            }
            None => {}
        }
    }
}

fn source(database: &Database) -> (Vec<String>, Vec<EnvVar>) {
    let flags = match database {
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
            let mut flags = Flags::of("postgresql", "postgres_config");
            if let Some(database) = database {
                flags.text("dbname", database.as_str());
            }
            // In brackets it is the part of a URL; here it is an address.
            let host = host.as_str().trim_matches(['[', ']']);
            flags.text("host", host);
            flags.text("port", &port.to_string());
            if let Some(user) = user {
                flags.text("user", user.as_str());
            }
            flags.secret("password", "POSTGRES_PASSWORD", password.as_ref());
            let mode = ssl_mode.unwrap_or(SslMode::Disable);
            // An authority is there to be used.
            let mode = match mode {
                SslMode::Disable | SslMode::Allow | SslMode::Prefer if tls.root.is_some() => {
                    SslMode::VerifyFull
                }
                mode => mode,
            };
            flags.text("sslmode", mode.as_str());
            flags.files("postgres", tls);
            flags.secret("sslpassword", "POSTGRES_SSLPASSWORD", passphrase.as_ref());
            flags
        }
        Database::MySql {
            host,
            port,
            user,
            password,
            database,
            tls,
        } => {
            let mut flags = Flags::of("mysql", "mysql_config");
            flags.text("database", database.as_str());
            flags.text("host", host.as_str().trim_matches(['[', ']']));
            flags.text("port", &port.to_string());
            flags.text("user", user.as_str());
            flags.secret("password", "MYSQL_PASSWORD", password.as_ref());
            flags.files("mysql", tls);
            if tls.bundle.is_some() {
                flags.text(
                    "sslrootcert",
                    &format!("/etc/mysql_ssl_rootcerts/{}", super::database::BUNDLE_KEY),
                );
            }
            if let Some(ciphers) = &tls.ciphers {
                flags.text("sslcipher", ciphers.as_str());
            }
            let authorities = tls.root.is_some() || tls.bundle.is_some();
            if let Some(verify) = tls.verify.or(authorities.then_some(true)) {
                flags.text("verify_server_cert", &verify.to_string());
            }
            flags
        }
    };
    (flags.args, flags.env)
}
