//! The environment of the service. It serves today's image and the one before, which was Java:
//! what one does not know it ignores.

use k8s_openapi::api::core::v1::EnvVar;
use resources::workload::{from_secret, literal};

use crate::service::observe::Database;
use crate::service::validated::Validated;

/// Every variable once.
pub(super) fn environment(service: &Validated) -> Vec<EnvVar> {
    let data = &service.data;
    let mut env = vec![literal("SERVICE_STORAGE_FORMAT", service.format)];
    if let Some(folder) = &service.folder {
        let filename = data.filename.as_deref().unwrap_or_default();
        env.push(literal("STORAGE_DATA_FILENAME", filename));
        env.push(literal("STORAGE_DATA_FOLDER", &folder.path));
    }
    match &service.database {
        None => {
            let format = data.format.as_deref().unwrap_or_default();
            env.push(literal("SERVICE_DATA_FORMAT", format));
            env.push(literal("QUARKUS_HIBERNATE_ORM_ACTIVE", "false"));
        }
        Some(database) => env.extend(of_database(database)),
    }
    env.push(literal("SERVICE_METRICS_SCHEDULE", &service.schedule));
    env.push(literal(
        "SERVICE_BATCH_SIZE",
        &service.batch_size.to_string(),
    ));
    if let (Some(folder), true) = (&service.folder, service.migrates()) {
        let filename = data.filename.as_deref().unwrap_or_default();
        env.push(literal(
            "STORAGE_MIGRATION_CONFIG_FROM_FOLDER",
            &folder.path,
        ));
        env.push(literal("STORAGE_MIGRATION_CONFIG_FROM_FILENAME", filename));
        env.push(literal("DATABASE_ATTEMPT_MIGRATION", "true"));
    }
    env
}

fn of_database(database: &Database) -> Vec<EnvVar> {
    let of = |variable: &str, key: &str| from_secret(variable, &database.secret, key);
    // Quarkus puts its variables in place; the kubelet knows another form.
    let mut url =
        "jdbc:${QUARKUS_DATASOURCE_DB_KIND}://${DATABASE_SERVICE}:${DATABASE_PORT}/${DATABASE_NAME}"
            .to_owned();
    if database.authority.is_some() {
        url.push_str("?requireSSL=true&sslMode=verify-ca&serverSslCert=/etc/tls/db/ca.crt");
    }
    let mut generation = of("QUARKUS_DATASOURCE_GENERATION", "databaseGeneration");
    let from = generation.value_from.as_mut();
    if let Some(key) = from.and_then(|from| from.secret_key_ref.as_mut()) {
        key.optional = Some(true);
    }
    vec![
        literal("QUARKUS_HIBERNATE_ORM_ACTIVE", "true"),
        of("QUARKUS_DATASOURCE_DB_KIND", "databaseKind"),
        literal("QUARKUS_DATASOURCE_JDBC_MAX_SIZE", "16"),
        of("QUARKUS_DATASOURCE_USERNAME", "databaseUsername"),
        of("QUARKUS_DATASOURCE_PASSWORD", "databasePassword"),
        of("DATABASE_SERVICE", "databaseService"),
        of("DATABASE_PORT", "databasePort"),
        of("DATABASE_NAME", "databaseName"),
        EnvVar {
            name: "QUARKUS_DATASOURCE_JDBC_URL".into(),
            value: Some(url),
            value_from: None,
        },
        literal("SERVICE_DATA_FORMAT", "HIBERNATE"),
        generation,
    ]
}
