//! What each field of a database becomes.

use operator_harness::edits::{Row, Want, at, pod, row};
use serde_json::{Value, json};

use super::{address, server};

/// One field that names a key whose content becomes a file.
fn file(
    leaves: &'static [&'static str],
    set: Value,
    volume: &str,
    kind: &str,
    flag: &str,
    path: &str,
) -> Row {
    let (source, name) = match kind {
        "ConfigMap" => ("configMap", "name"),
        _ => ("secret", "secretName"),
    };
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    row(
        leaves,
        set,
        vec![
            server(&format!("/args/--embedmd-database-ssl-{flag}"), path),
            server(&format!("/volumeMounts/{volume}/mountPath"), directory),
            pod(&format!("/spec/volumes/{volume}/{source}/{name}"), "other"),
        ],
    )
}

/// Base: a Postgres with host, user, password and database.
pub(super) fn postgres() -> Vec<Row> {
    let key = |key: &str| json!({"name": "other", "key": key});
    let with = |field: &str, value: Value| json!({"postgres": {field: value}});
    vec![
        row(
            &["postgres.host"],
            with("host", json!("other.example.test")),
            vec![address(
                "postgresql://user@other.example.test:5432/registry?sslmode=disable",
            )],
        ),
        row(
            &["postgres.hostAddress"],
            json!({"postgres": {"host": null, "hostAddress": "fd00::5"}}),
            vec![address(
                "postgresql://user@[fd00::5]:5432/registry?sslmode=disable",
            )],
        ),
        row(
            &["postgres.port"],
            with("port", json!(6543)),
            vec![address(
                "postgresql://user@db.example.test:6543/registry?sslmode=disable",
            )],
        ),
        row(
            &["postgres.username"],
            with("username", json!("o'r mine")),
            vec![address(
                "postgresql://o%27r%20mine@db.example.test:5432/registry?sslmode=disable",
            )],
        ),
        row(
            &["postgres.database"],
            with("database", json!("models")),
            vec![address(
                "postgresql://user@db.example.test:5432/models?sslmode=disable",
            )],
        ),
        row(
            &[
                "postgres.passwordSecret.name",
                "postgres.passwordSecret.key",
            ],
            with("passwordSecret", key("pass")),
            vec![server(
                "/env/PGPASSWORD/valueFrom/secretKeyRef",
                key("pass"),
            )],
        ),
        row(
            &["postgres.sslMode"],
            with("sslMode", json!("verify-full")),
            vec![
                address("postgresql://user@db.example.test:5432/registry?sslmode=verify-full"),
                server("/args/--embedmd-database-ssl-verify-server-cert", "true"),
            ],
        ),
        row(
            &[
                "postgres.sslPasswordSecret.name",
                "postgres.sslPasswordSecret.key",
            ],
            with("sslPasswordSecret", key("pass")),
            vec![server(
                "/env/PGSSLPASSWORD/valueFrom/secretKeyRef",
                key("pass"),
            )],
        ),
        file(
            &[
                "postgres.sslCertificateSecret.name",
                "postgres.sslCertificateSecret.key",
            ],
            with("sslCertificateSecret", key("tls.crt")),
            "postgres-ssl-cert",
            "Secret",
            "cert",
            "/etc/postgres_ssl_cert/tls.crt",
        ),
        file(
            &["postgres.sslKeySecret.name", "postgres.sslKeySecret.key"],
            with("sslKeySecret", key("tls.key")),
            "postgres-ssl-key",
            "Secret",
            "key",
            "/etc/postgres_ssl_key/tls.key",
        ),
        file(
            &[
                "postgres.sslRootCertificateSecret.name",
                "postgres.sslRootCertificateSecret.key",
            ],
            with("sslRootCertificateSecret", key("ca.crt")),
            "postgres-ssl-rootcert",
            "Secret",
            "root-cert",
            "/etc/postgres_ssl_rootcert/ca.crt",
        ),
        file(
            &[
                "postgres.sslRootCertificateConfigMap.name",
                "postgres.sslRootCertificateConfigMap.key",
            ],
            with("sslRootCertificateConfigMap", key("ca.crt")),
            "postgres-ssl-rootcert",
            "ConfigMap",
            "root-cert",
            "/etc/postgres_ssl_rootcert/ca.crt",
        ),
    ]
}

/// Base: a MySQL with host, user, password and database.
pub(super) fn mysql() -> Vec<Row> {
    let key = |key: &str| json!({"name": "other", "key": key});
    let with = |field: &str, value: Value| json!({"mysql": {field: value}});
    let dsn = |address_| address(address_);
    let bundle = || -> Vec<Want> {
        vec![
            server(
                "/args/--embedmd-database-ssl-ca",
                "/etc/mysql_ssl_rootcerts/ca-bundle.crt",
            ),
            pod(
                "/spec/volumes/mysql-ssl-rootcerts/configMap/name",
                "N-database-ca",
            ),
            server("/args/--embedmd-database-ssl-verify-server-cert", "true"),
        ]
    };
    vec![
        row(
            &["mysql.host"],
            with("host", json!("10.1.2.3")),
            vec![dsn(
                "user:$(MYSQL_PASSWORD)@tcp(10.1.2.3:3306)/registry?charset=utf8mb4",
            )],
        ),
        row(
            &["mysql.port"],
            with("port", json!(3307)),
            vec![dsn(
                "user:$(MYSQL_PASSWORD)@tcp(db.example.test:3307)/registry?charset=utf8mb4",
            )],
        ),
        row(
            &["mysql.username"],
            with("username", json!("ann")),
            vec![dsn(
                "ann:$(MYSQL_PASSWORD)@tcp(db.example.test:3306)/registry?charset=utf8mb4",
            )],
        ),
        row(
            &["mysql.database"],
            with("database", json!("models")),
            vec![dsn(
                "user:$(MYSQL_PASSWORD)@tcp(db.example.test:3306)/models?charset=utf8mb4",
            )],
        ),
        row(
            &["mysql.passwordSecret.name", "mysql.passwordSecret.key"],
            with("passwordSecret", key("pass")),
            vec![server(
                "/env/MYSQL_PASSWORD/valueFrom/secretKeyRef",
                key("pass"),
            )],
        ),
        row(
            &["mysql.sslCipher"],
            with("sslCipher", json!("AES256-SHA:AES128-SHA")),
            vec![server(
                "/args/--embedmd-database-ssl-cipher",
                "AES256-SHA:AES128-SHA",
            )],
        ),
        row(
            &["mysql.verifyServerCert"],
            with("verifyServerCert", json!(false)),
            vec![server(
                "/args/--embedmd-database-ssl-verify-server-cert",
                "false",
            )],
        ),
        file(
            &[
                "mysql.sslCertificateSecret.name",
                "mysql.sslCertificateSecret.key",
            ],
            with("sslCertificateSecret", key("tls.crt")),
            "mysql-ssl-cert",
            "Secret",
            "cert",
            "/etc/mysql_ssl_cert/tls.crt",
        ),
        file(
            &["mysql.sslKeySecret.name", "mysql.sslKeySecret.key"],
            with("sslKeySecret", key("tls.key")),
            "mysql-ssl-key",
            "Secret",
            "key",
            "/etc/mysql_ssl_key/tls.key",
        ),
        file(
            &[
                "mysql.sslRootCertificateSecret.name",
                "mysql.sslRootCertificateSecret.key",
            ],
            with("sslRootCertificateSecret", key("ca.crt")),
            "mysql-ssl-rootcert",
            "Secret",
            "root-cert",
            "/etc/mysql_ssl_rootcert/ca.crt",
        ),
        file(
            &[
                "mysql.sslRootCertificateConfigMap.name",
                "mysql.sslRootCertificateConfigMap.key",
            ],
            with("sslRootCertificateConfigMap", key("ca.crt")),
            "mysql-ssl-rootcert",
            "ConfigMap",
            "root-cert",
            "/etc/mysql_ssl_rootcert/ca.crt",
        ),
        row(
            &["mysql.sslRootCertificatesConfigMapName"],
            with("sslRootCertificatesConfigMapName", json!("other")),
            bundle(),
        ),
        row(
            &["mysql.sslRootCertificatesSecretName"],
            with("sslRootCertificatesSecretName", json!("other")),
            bundle(),
        ),
    ]
}

/// Base: the operator's Postgres.
pub(super) fn generated() -> Vec<Row> {
    let tolerations = json!([{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]);
    let affinity = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1,
        "podAffinityTerm": {"topologyKey": "zone", "labelSelector": {"matchLabels": {"a": "b"}}}}]}});
    let database = |pointer: &str, value: Value| {
        at(
            "Deployment N-postgres",
            &format!("/spec/template{pointer}"),
            value,
        )
    };
    vec![
        // What decides whether pods can run is for the database too; what is told of them is not.
        row(
            &[
                "operand.nodeSelector",
                "operand.tolerations",
                "operand.affinity",
                "operand.imagePullSecrets",
            ],
            json!({"operand": {"nodeSelector": {"type": "kwok"}, "tolerations": tolerations, "affinity": affinity,
                "imagePullSecrets": [{"name": "pull"}], "labels": {"team": "t"}, "replicas": 2}}),
            vec![
                database("/spec/nodeSelector", json!({"type": "kwok"})),
                database("/spec/tolerations", tolerations),
                database("/spec/affinity", affinity),
                database("/spec/imagePullSecrets/pull/name", json!("pull")),
                database("/metadata/labels/team", Value::Null),
                at("Deployment N-postgres", "/spec/replicas", 1),
            ],
        ),
        row(
            &["postgres.image"],
            json!({"postgres": {"image": "registry.test/postgres:17"}}),
            vec![at(
                "Deployment N-postgres",
                "/spec/template/spec/containers/postgres/image",
                "registry.test/postgres:17",
            )],
        ),
        row(
            &["postgres.deletionPolicy"],
            json!({"postgres": {"deletionPolicy": "Retain"}}),
            vec![
                at("PersistentVolumeClaim N-postgres-storage", "/owned", false),
                at("Secret N-postgres-credentials", "/owned", false),
                at("Deployment N-postgres", "/owned", true),
            ],
        ),
    ]
}
