//! The authorities that a dashboard lets an administrator choose for the database's certificate,
//! and the database itself, which is never the registry's to remove.

use cluster::Platform;
use kube::{
    ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use operator_harness::COLLECTED;
use resources::{
    Kind,
    kind::{CONFIG_MAP, DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE},
};
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, World, world};

/// Field, object and key of each choice.
const CHOICES: [(&str, Kind, &str, &str); 5] = [
    (
        "sslRootCertificateConfigMap",
        CONFIG_MAP,
        "odh-trusted-ca-bundle",
        "ca-bundle.crt",
    ),
    (
        "sslRootCertificateConfigMap",
        CONFIG_MAP,
        "odh-trusted-ca-bundle",
        "odh-ca-bundle.crt",
    ),
    ("sslRootCertificateConfigMap", CONFIG_MAP, "mine", "any.pem"),
    ("sslRootCertificateSecret", SECRET, "mine", "any.pem"),
    (
        "sslRootCertificateConfigMap",
        CONFIG_MAP,
        "db-credential",
        "ca.crt",
    ),
];

fn pem() -> String {
    let made = rcgen::generate_simple_self_signed(["db.example.test".to_owned()]);
    made.expect("a certificate").cert.pem()
}

/// An object that holds an authority under each key.
async fn holder(world: &World, kind: Kind, name: &str, keys: &[(&str, &str)]) {
    let data: serde_json::Map<_, _> = keys
        .iter()
        .map(|(key, pem)| ((*key).to_owned(), json!(pem)))
        .collect();
    let field = if kind == SECRET { "stringData" } else { "data" };
    world
        .apply(
            &json!({"apiVersion": "v1", "kind": kind.kind, "metadata": {"name": name}, field: data})
                .to_string(),
        )
        .await;
}

fn spec(block: &str, field: &str, name: &str, key: &str) -> Value {
    let mut database = json!({"host": "db.example.test", "username": "user", "database": "registry",
        "passwordSecret": {"name": "db", "key": "password"}, field: {"name": name, "key": key}});
    if block == "postgres" {
        database["sslMode"] = json!("verify-full");
    }
    json!({"rest": {}, block: database})
}

fn template(deployment: &DynamicObject) -> Value {
    deployment.data["spec"]["template"].clone()
}

#[tokio::test]
async fn each_choice_is_used_and_its_rotation_rolls_the_pods_once() {
    for (number, (field, kind, object, key)) in CHOICES.into_iter().enumerate() {
        let block = ["mysql", "postgres"][number % 2];
        let name = format!("authority-{number}");
        let world = world(Platform::Kubernetes, &name).await;
        let first = pem();
        let keys = [(key, first.as_str()), ("unused.pem", first.as_str())];
        holder(&world, kind, object, &keys).await;
        world.registry(&name, spec(block, field, object, key)).await;
        world.available(&name).await;
        world.condition(&name, "DatabaseConfigValid", "True").await;
        let before = world.until(DEPLOYMENT, &name, |_| true).await;
        let text = template(&before).to_string();
        let mount = format!("/etc/{block}_ssl_rootcert");
        for part in [
            format!("--embedmd-database-ssl-root-cert={mount}/{key}"),
            format!("\"mountPath\":\"{mount}\""),
            format!(
                "\"{}\":\"{object}\"",
                if kind == SECRET { "secretName" } else { "name" }
            ),
        ] {
            assert!(text.contains(&part), "{part} in {text}");
        }

        // A key that nobody uses rolls nothing, and neither does a note on the object.
        let second = pem();
        holder(&world, kind, object, &[keys[0], ("unused.pem", &second)]).await;
        // The one in use rolls the pods, once.
        holder(
            &world,
            kind,
            object,
            &[(key, &second), ("unused.pem", &second)],
        )
        .await;
        let rolled = world
            .until(DEPLOYMENT, &name, |now| template(now) != template(&before))
            .await;
        world.available(&name).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let after = world.until(DEPLOYMENT, &name, |_| true).await;
        let generation = |deployment: &DynamicObject| deployment.metadata.generation;
        assert_eq!(generation(&after), generation(&rolled), "rolled once");
        assert_eq!(generation(&after), generation(&before).map(|g| g + 1));
    }
}

/// Another key of the platform's bundle is another choice, and an edit of the resource.
#[tokio::test]
async fn one_choice_becomes_another_or_none() {
    let name = "authority-edit";
    let world = world(Platform::Kubernetes, name).await;
    let (one, other) = (pem(), pem());
    let keys = [
        ("ca-bundle.crt", one.as_str()),
        ("odh-ca-bundle.crt", &other),
    ];
    holder(&world, CONFIG_MAP, "odh-trusted-ca-bundle", &keys).await;
    let field = "sslRootCertificateConfigMap";
    world
        .registry(
            name,
            spec("mysql", field, "odh-trusted-ca-bundle", keys[0].0),
        )
        .await;
    world.available(name).await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"mysql": {field: {"key": keys[1].0}}}}),
        )
        .await;
    world
        .until(DEPLOYMENT, name, |now| {
            template(now)
                .to_string()
                .contains("ssl-root-cert=/etc/mysql_ssl_rootcert/odh-ca-bundle.crt")
        })
        .await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"spec": {"mysql": {field: null}}}),
        )
        .await;
    world
        .until(DEPLOYMENT, name, |now| {
            !template(now).to_string().contains("rootcert")
        })
        .await;
    world.available(name).await;
}

/// "Databases connected to the model registry will not be removed": nothing of them is touched.
#[tokio::test]
async fn a_database_outlives_its_registry_untouched() {
    let name = "outlived";
    let world = world(Platform::Kubernetes, name).await;
    let labels = json!({"app": "their-db"});
    let pods = json!({"metadata": {"labels": labels}, "spec": {"containers": [{"name": "db", "image": "registry.test/db:1"}]}});
    for object in [
        json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "their-db"}, "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "their-db"}, "spec": {
            "selector": labels, "ports": [{"port": 3306}]}}),
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "their-db"}, "spec": {
            "replicas": 0, "selector": {"matchLabels": labels}, "template": pods}}),
    ] {
        world.apply(&object.to_string()).await;
    }
    holder(&world, CONFIG_MAP, "db-credential", &[("ca.crt", &pem())]).await;
    let mut mysql = spec(
        "mysql",
        "sslRootCertificateConfigMap",
        "db-credential",
        "ca.crt",
    );
    mysql["mysql"]["host"] = json!("their-db");
    world.registry(name, mysql).await;
    let kept = [
        (PERSISTENT_VOLUME_CLAIM, "their-db"),
        (SERVICE, "their-db"),
        (DEPLOYMENT, "their-db"),
        (CONFIG_MAP, "db-credential"),
        (SECRET, "db"),
    ];
    world.available(name).await;
    let mut before = Vec::new();
    for (kind, object) in kept {
        let found = world.until(kind, object, |_| true).await;
        assert!(found.owner_references().is_empty(), "{kind} {object}");
        before.push((
            found.uid(),
            found.data["spec"].clone(),
            found.data["data"].clone(),
        ));
    }
    let registries = world.api(MODEL_REGISTRY);
    cluster::remove(&registries, name, &DeleteParams::foreground(), COLLECTED)
        .await
        .expect("gone");
    cluster::gone(&world.api(DEPLOYMENT), name, COLLECTED)
        .await
        .expect("gone");
    for ((kind, object), before) in kept.into_iter().zip(before) {
        let found = world.api(kind).get(object).await.expect("still there");
        let now = (
            found.uid(),
            found.data["spec"].clone(),
            found.data["data"].clone(),
        );
        assert_eq!(now, before, "{kind} {object}");
        assert_eq!(found.metadata.deletion_timestamp, None);
    }
}
