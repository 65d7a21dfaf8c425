//! The generated Postgres and its data.

use model_registry_operator::registry::validate::LeftData;
use serde_json::{Value, json};

use crate::generated;
use crate::support::{Case, UID, find, merged, mysql};

/// The Deployment, Secret and volume as the cluster has them, made by `case`.
fn live(case: &Case) -> Vec<Value> {
    let plan = case.plan();
    [
        ("Deployment", "sample-postgres"),
        ("Secret", "sample-postgres-credentials"),
        ("PersistentVolumeClaim", "sample-postgres-storage"),
    ]
    .map(|(kind, name)| find(&plan, kind, name))
    .into()
}

fn with_all(mut case: Case, documents: &[Value]) -> Case {
    case.documents.extend_from_slice(documents);
    case
}

#[test]
fn taking_over_a_postgres_changes_nothing_in_its_pods() {
    let mut found = live(&Case::kubernetes(generated()));
    // The Go operator sets neither.
    found[0]["spec"]["template"]["spec"]["securityContext"]
        .as_object_mut()
        .unwrap()
        .remove("fsGroup");
    found[0]["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    let taken =
        with_all(Case::kubernetes(generated()), &found).object("Deployment", "sample-postgres");
    assert_eq!(taken["spec"], found[0]["spec"]);
    let baseline = "modelregistry.opendatahub.io/credentials-baseline";
    assert!(taken["metadata"]["annotations"][baseline].is_string());
}

#[test]
fn a_new_password_restarts_postgres_and_the_registry_once() {
    let first = Case::kubernetes(generated());
    let mut found = live(&first);
    let same = with_all(Case::kubernetes(generated()), &found);
    let stable = same.object("Deployment", "sample-postgres");
    assert_eq!(stable, found[0]);
    assert_eq!(
        same.object("Secret", "sample-postgres-credentials")["data"],
        found[1]["data"]
    );

    found[1]["data"]["password"] = "bmV3".into();
    let changed = with_all(Case::kubernetes(generated()), &found);
    let rolled = changed.object("Deployment", "sample-postgres");
    let hash = "modelregistry.opendatahub.io/inputs-hash";
    assert!(rolled["spec"]["template"]["metadata"]["annotations"][hash].is_string());
    assert_eq!(rolled["metadata"], stable["metadata"], "the baseline stays");
    let template =
        |case: &Case| case.object("Deployment", "sample")["spec"]["template"]["metadata"].take();
    assert_ne!(template(&same), template(&changed));

    found[0] = rolled.clone();
    assert_eq!(
        with_all(Case::kubernetes(generated()), &found).object("Deployment", "sample-postgres"),
        rolled
    );
}

#[test]
fn the_class_of_a_volume_is_fixed_and_its_size_only_grows() {
    let asks = |size: &str, class: &str| {
        merged(
            generated(),
            &json!({"postgres": {"storage": {"size": size, "storageClassName": class}}}),
        )
    };
    let mut found = live(&Case::kubernetes(asks("2Gi", "fast")));
    assert_eq!(found[2]["spec"]["storageClassName"], "fast");
    found[2]["spec"]["storageClassName"] = "chosen-by-the-cluster".into();
    for (size, planned, warnings) in [("10Gi", "10Gi", 1), ("500Mi", "2Gi", 2)] {
        let case = with_all(Case::kubernetes(asks(size, "fast")), &found);
        let spec = case.object("PersistentVolumeClaim", "sample-postgres-storage")["spec"].take();
        assert_eq!(spec["resources"]["requests"]["storage"], planned);
        assert_eq!(spec["storageClassName"], "chosen-by-the-cluster");
        assert_eq!(case.validate().unwrap().warnings.len(), warnings);
    }
}

#[test]
fn data_outlives_its_use_as_the_resource_says() {
    let policy = |policy: &str| {
        merged(
            generated(),
            &json!({"postgres": {"deletionPolicy": policy}}),
        )
    };
    let owner = |case: &Case, kind: &str, name: &str| {
        let object = case.object(kind, name);
        object
            .pointer("/metadata/ownerReferences/0/uid")
            .cloned()
            .unwrap_or_default()
    };
    let data = [
        ("PersistentVolumeClaim", "sample-postgres-storage"),
        ("Secret", "sample-postgres-credentials"),
    ];
    for (kind, name) in data {
        assert_eq!(owner(&Case::kubernetes(generated()), kind, name), UID);
        assert_eq!(
            owner(&Case::kubernetes(policy("Retain")), kind, name),
            Value::Null
        );
    }

    let found = live(&Case::kubernetes(generated()));
    let off = |deletion_policy: Option<&str>| {
        let spec = json!({"rest": {}, "kubeRBACProxy": {}, "postgres": {"host": "db",
                          "generateDeployment": false, "deletionPolicy": deletion_policy}});
        with_all(Case::kubernetes(spec), &found)
    };
    for (deletion_policy, kept, fate) in [
        (None, true, LeftData::Kept),
        (Some("Retain"), true, LeftData::Retained),
        (Some("Delete"), false, LeftData::Deleted),
    ] {
        let case = off(deletion_policy);
        let plan = case.plan();
        assert_eq!(case.validate().unwrap().left_data, Some(fate));
        for (kind, name) in [
            (
                resources::kind::PERSISTENT_VOLUME_CLAIM,
                "sample-postgres-storage",
            ),
            (resources::kind::SECRET, "sample-postgres-credentials"),
        ] {
            assert_eq!(
                plan.has(kind, Some("ns"), name),
                kept,
                "{deletion_policy:?} {name}"
            );
        }
        assert!(!plan.has(resources::kind::DEPLOYMENT, Some("ns"), "sample-postgres"));
    }
    assert_eq!(
        owner(
            &off(Some("Retain")),
            "PersistentVolumeClaim",
            "sample-postgres-storage"
        ),
        Value::Null
    );
    // The other database is used now, and nobody said anything about the data.
    assert_eq!(
        with_all(Case::kubernetes(mysql()), &found)
            .validate()
            .unwrap()
            .left_data,
        Some(LeftData::Kept)
    );
}
