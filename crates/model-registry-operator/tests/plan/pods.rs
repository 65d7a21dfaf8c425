//! What the pods of a registry are made of, and when they roll.

use serde_json::{Value, json};

use crate::support::{Case, merged, mysql, secret};
use crate::{generated, printed};

#[test]
fn pods_roll_with_the_values_in_use_and_with_no_others() {
    let hash = |data: Value| {
        Case::kubernetes(mysql()).with(secret("db", &data)).object("Deployment", "sample")["spec"]["template"]
            ["metadata"]["annotations"]["modelregistry.opendatahub.io/inputs-hash"]
            .take()
    };
    let one = hash(json!({"password": "1", "other": "x"}));
    assert_eq!(one, hash(json!({"password": "1", "other": "y"})));
    assert_ne!(one, hash(json!({"password": "2", "other": "x"})));
}

#[test]
fn a_database_that_is_away_restarts_nothing() {
    let container = Case::openshift(mysql()).pod()["containers"][0].take();
    for probe in ["livenessProbe", "startupProbe"] {
        assert_eq!(container[probe]["tcpSocket"]["port"], "http-api", "{probe}");
        assert_eq!(container[probe].get("httpGet"), None);
    }
    assert_eq!(
        container["readinessProbe"]["httpGet"]["path"],
        "/readyz/health"
    );
    let startup = &container["startupProbe"];
    let patience =
        startup["periodSeconds"].as_i64().unwrap() * startup["failureThreshold"].as_i64().unwrap();
    assert!(patience > 300, "the server tries for five minutes");
}

#[test]
fn what_the_user_sets_is_kept() {
    let spec = merged(
        mysql(),
        &json!({"rest": {"image": "quay.io/opendatahub/model-registry:v1",
                         "resources": {"requests": {"cpu": "1"}}}}),
    );
    let container = Case::kubernetes(spec).pod()["containers"][0].take();
    assert_eq!(container["image"], "quay.io/opendatahub/model-registry:v1");
    assert_eq!(container["resources"], json!({"requests": {"cpu": "1"}}));
}

#[test]
fn no_image_comes_from_elsewhere_than_the_environment() {
    let case = Case::kubernetes(generated()).environment(&[
        (
            "RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE",
            "registry@sha256:1",
        ),
        ("RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE", "proxy@sha256:2"),
        ("RELATED_IMAGE_POSTGRESQL_16_IMAGE", "postgres@sha256:3"),
    ]);
    let text = printed(&case);
    let images: Vec<_> = text
        .lines()
        .filter(|line| line.trim_start().contains("image:"))
        .collect();
    assert_eq!(images.len(), 3);
    assert!(
        images.iter().all(|line| line.contains("@sha256:")),
        "{images:?}"
    );
}
