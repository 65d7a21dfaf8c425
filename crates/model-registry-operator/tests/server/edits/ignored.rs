//! Fields that mean nothing, or nothing beside others: the status says so, and no child changes.

use cluster::{Platform, conditions, eventually};
use operator_harness::SOON;
use serde_json::{Value, json};

use super::{
    behind_oauth_proxy, children::children, difference, generated, mysql, running, spec_of,
    there_and_back,
};
use crate::harness::{MODEL_REGISTRY, World, behind_proxy, postgres};

/// An edit of one registry, and how its status names the field.
pub(super) struct Ignored {
    pub(super) leaves: &'static [&'static str],
    base: &'static str,
    set: Value,
    names: &'static str,
}

fn row(
    base: &'static str,
    leaves: &'static [&'static str],
    set: Value,
    names: &'static str,
) -> Ignored {
    Ignored {
        leaves,
        base,
        set,
        names,
    }
}

pub(super) fn tables() -> Vec<Ignored> {
    let resources = json!({"requests": {"cpu": "1"}});
    let key = json!({"name": "other", "key": "pass"});
    vec![
        row(
            "postgres",
            &[],
            json!({"grpc": {"port": 9091}}),
            "spec.grpc",
        ),
        row(
            "postgres",
            &[],
            json!({"grpc": {"resources": resources}}),
            "spec.grpc",
        ),
        row(
            "postgres",
            &["enable_database_upgrade"],
            json!({"enable_database_upgrade": true}),
            "spec.enable_database_upgrade",
        ),
        row(
            "postgres",
            &["downgrade_db_schema_version"],
            json!({"downgrade_db_schema_version": 3}),
            "spec.downgrade_db_schema_version",
        ),
        row(
            "postgres",
            &["postgres.skipDBCreation"],
            json!({"postgres": {"skipDBCreation": true}}),
            "spec.postgres.skipDBCreation",
        ),
        row(
            "postgres",
            &["postgres.hostAddress"],
            json!({"postgres": {"hostAddress": "10.0.0.9"}}),
            "spec.postgres.hostAddress",
        ),
        row(
            "postgres",
            &["postgres.image"],
            json!({"postgres": {"image": "registry.test/postgres:17"}}),
            "spec.postgres.image",
        ),
        row(
            "postgres",
            &["postgres.storage.size"],
            json!({"postgres": {"storage": {"size": "9Gi"}}}),
            "spec.postgres.storage",
        ),
        row(
            "postgres",
            &[],
            json!({"mysql": {"host": "h", "username": "u", "database": "d"}}),
            "spec.mysql",
        ),
        row(
            "postgres",
            &["rest.serviceRoute"],
            json!({"rest": {"serviceRoute": "enabled"}}),
            "spec.rest.serviceRoute",
        ),
        row(
            "mysql",
            &["mysql.skipDBCreation"],
            json!({"mysql": {"skipDBCreation": true}}),
            "spec.mysql.skipDBCreation",
        ),
        row(
            "generated",
            &["postgres.username"],
            json!({"postgres": {"username": "ann"}}),
            "spec.postgres",
        ),
        row(
            "generated",
            &["postgres.passwordSecret.name"],
            json!({"postgres": {"passwordSecret": key}}),
            "spec.postgres",
        ),
        row(
            "generated",
            &["postgres.sslMode"],
            json!({"postgres": {"sslMode": "require"}}),
            "spec.postgres",
        ),
        row(
            "generated",
            &["postgres.port"],
            json!({"postgres": {"port": 6543}}),
            "spec.postgres",
        ),
        row(
            "generated",
            &["postgres.sslCertificateSecret.name"],
            json!({"postgres": {"sslCertificateSecret": key}}),
            "spec.postgres",
        ),
        row(
            "generated",
            &["postgres.sslRootCertificateSecret.name"],
            json!({"postgres": {"sslRootCertificateSecret": key}}),
            "spec.postgres",
        ),
        row(
            "proxy",
            &["rest.serviceRoute"],
            json!({"rest": {"serviceRoute": "enabled"}}),
            "spec.rest.serviceRoute",
        ),
        row(
            "oauth",
            &["oauthProxy.image"],
            json!({"oauthProxy": {"image": "registry.test/oauth:1"}}),
            "spec.oauthProxy.image",
        ),
    ]
}

async fn warning(world: &World, name: &str) -> Result<Option<String>, String> {
    let live = world
        .api(MODEL_REGISTRY)
        .get(name)
        .await
        .map_err(|e| e.to_string())?;
    if live.data["status"]["observedGeneration"] != json!(live.metadata.generation) {
        return Err("not seen yet".to_owned());
    }
    let found =
        conditions(&live.data).find(|c| c["type"] == "SpecWarnings" && c["status"] == "True");
    Ok(found.map(|c| c["message"].as_str().unwrap_or_default().to_owned()))
}

async fn none(world: &World, name: &str) {
    eventually(&format!("no warning for {name}"), SOON, || async {
        warning(world, name).await?.map_or(Ok(()), Err)
    })
    .await
    .expect("no warning");
}

async fn ignored(base: &'static str, spec: Value) {
    let name = format!("ignored-{base}");
    let world = running(Platform::Kubernetes, &name, spec).await;
    none(&world, &name).await;
    let before = children(&world, &name).await;
    for Ignored { set, names, .. } in tables().into_iter().filter(|row| row.base == base) {
        there_and_back(&world, &name, &set, async || {
            match warning(&world, &name).await? {
                Some(message) if message.contains(names) => Ok(()),
                other => Err(format!("{names} is not in {other:?}")),
            }?;
            difference(&before, &children(&world, &name).await).map_or(Ok(()), Err)
        })
        .await;
        none(&world, &name).await;
    }
}

#[tokio::test]
async fn what_means_nothing_beside_a_postgres_is_told() {
    ignored("postgres", postgres()).await;
}

#[tokio::test]
async fn what_means_nothing_beside_a_mysql_is_told() {
    ignored("mysql", mysql()).await;
}

#[tokio::test]
async fn what_means_nothing_beside_a_generated_postgres_is_told() {
    ignored("generated", generated()).await;
}

#[tokio::test]
async fn what_means_nothing_beside_the_proxy_is_told() {
    ignored("proxy", behind_proxy()).await;
}

#[tokio::test]
async fn what_means_nothing_in_the_old_proxy_is_told() {
    ignored("oauth", behind_oauth_proxy()).await;
}

/// Whoever wrote an image or resources keeps them, even those that are the operator's defaults.
#[tokio::test]
async fn an_image_and_resources_that_a_user_wrote_are_never_erased() {
    let mut spec = postgres();
    spec["rest"]["image"] = json!("quay.io/opendatahub/model-registry:v1");
    spec["rest"]["resources"] = json!({"requests": {"cpu": "100m", "memory": "256Mi"}});
    let world = running(Platform::Kubernetes, "kept", spec.clone()).await;
    // Passes over the resource, one of them with another image and back.
    for image in [
        "quay.io/opendatahub/model-registry:v2",
        "quay.io/opendatahub/model-registry:v1",
    ] {
        world
            .edit(
                MODEL_REGISTRY,
                "kept",
                json!({"spec": {"rest": {"image": image}}}),
            )
            .await;
        let deployment = world
            .until(resources::kind::DEPLOYMENT, "kept", |d| {
                d.data.pointer("/spec/template/spec/containers/0/image") == Some(&json!(image))
            })
            .await;
        let live = deployment
            .data
            .pointer("/spec/template/spec/containers/0/resources");
        assert_eq!(live, Some(&spec["rest"]["resources"]));
        world.available("kept").await;
    }
    let stored = spec_of(&world, "kept").await;
    assert_eq!(stored["rest"]["image"], spec["rest"]["image"]);
    assert_eq!(stored["rest"]["resources"], spec["rest"]["resources"]);
}
