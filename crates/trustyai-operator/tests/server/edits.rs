//! Every field of the spec, in both versions: an edit reaches the children, and taking it back leaves
//! no trace.

mod tables;

use cluster::Platform;
use kube::Api;
use kube::api::DynamicObject;
use operator_harness::edits::{self, Row, none_is_forgotten, unmet};
use resources::Kind;
use resources::kind::POD_DISRUPTION_BUDGET;
use serde_json::{Value, json};

use crate::children::compared;
use crate::harness::{TRUSTYAI, World, credentials, database, files, world};

const VERSIONS: [&str; 2] = ["v1", "v1alpha1"];

/// Services in one version.
fn services(world: &World, version: &'static str) -> Api<DynamicObject> {
    world.api(Kind {
        version,
        ..TRUSTYAI
    })
}

async fn edit_all(platform: Platform, name: &str, spec: Value, rows: Vec<Row>) {
    let both = VERSIONS.map(|version| {
        let (spec, rows) = (&spec, &rows);
        async move {
            let world = world(platform, "edits").await;
            world.apply(&credentials("one")).await;
            let mut second = credentials("two");
            second["metadata"]["name"] = "second".into();
            world.apply(&second).await;
            world.service(name, spec).await;
            world.ready(name).await;
            let services = services(&world, version);
            for Row { set, want, .. } in rows {
                let children = async || compared(&world, name).await;
                let reached = async || unmet(want, &children().await);
                edits::there_and_back(&services, name, set, children, reached).await;
            }
            world.ready(name).await;
        }
    });
    let [new, old] = both;
    tokio::join!(new, old);
}

#[tokio::test]
async fn edits_of_a_service_reach_its_pods() {
    let mut rows = tables::files();
    rows.extend(tables::operand());
    edit_all(Platform::Kubernetes, "edited-files", files(), rows).await;
}

#[tokio::test]
async fn edits_of_a_database_reach_the_pods() {
    let rows = tables::database();
    edit_all(Platform::Kubernetes, "edited-db", database(), rows).await;
}

#[tokio::test]
async fn edits_of_the_other_name_of_metrics_reach_the_pods() {
    let mut spec = database();
    let fields = spec.as_object_mut().expect("a spec");
    let metrics = fields.remove("metrics").expect("metrics");
    fields.insert("trustyaiMetrics".to_owned(), metrics);
    let rows = tables::other_name();
    edit_all(Platform::Kubernetes, "edited-other", spec, rows).await;
}

#[tokio::test]
async fn edits_of_the_ways_in_and_of_the_monitor_reach_them() {
    let mut rows = tables::ways();
    rows.extend(tables::monitoring());
    edit_all(Platform::OpenShift, "edited-ways", files(), rows).await;
}

/// A budget is changed in its place.
#[tokio::test]
async fn a_budget_follows_the_spec() {
    let world = world(Platform::Kubernetes, "budget").await;
    let budget = |least: i32| json!({"podDisruptionBudget": {"minAvailable": least}});
    let mut spec = files();
    spec["operand"] = budget(1);
    world.service("budget", &spec).await;
    let says = |least: i32| {
        world.until(POD_DISRUPTION_BUDGET, "budget", move |budget| {
            budget.data["spec"]["minAvailable"] == least
        })
    };
    let made = says(1).await;
    world
        .edit(TRUSTYAI, "budget", json!({"spec": {"operand": budget(2)}}))
        .await;
    assert_eq!(says(2).await.metadata.uid, made.metadata.uid);
}

/// Fields that cannot go there and back, or that reach somebody else's objects, with their tests:
/// FILE::FUNCTION, as in `upstream.yaml`.
const APART: &[(&str, &str)] = &[
    (
        "storage.format",
        "storage::data_moves_to_the_database_and_the_claim_stays",
    ),
    ("storage.size", "storage::a_volume_grows_and_never_shrinks"),
    (
        "storage.pv",
        "storage::a_volume_that_is_there_is_bound_by_its_name",
    ),
    (
        "storage.storageClassName",
        "storage::what_a_claim_is_made_with_is_chosen_once",
    ),
    (
        "storage.accessModes",
        "storage::what_a_claim_is_made_with_is_chosen_once",
    ),
    (
        "storage.existingClaim",
        "storage::somebody_elses_claim_is_used_and_stays",
    ),
    (
        "modelMesh.method",
        "modelmesh::the_config_map_is_the_way_where_the_controller_runs",
    ),
    (
        "kserve.existingLoggers",
        "wiring::models_of_kserve_send_to_the_service_until_it_goes",
    ),
];

#[test]
fn no_field_of_the_schema_is_forgotten() {
    let tables = [
        tables::files(),
        tables::operand(),
        tables::ways(),
        tables::monitoring(),
        tables::database(),
        tables::other_name(),
    ];
    let leaves = tables.iter().flatten().flat_map(|row| row.leaves).copied();
    let tried: Vec<_> = leaves.chain(APART.iter().map(|(leaf, _)| *leaf)).collect();
    for version in VERSIONS {
        let fields = edits::fields(&api::trustyai(), version);
        assert!(fields.len() > 35, "{fields:?}");
        none_is_forgotten(&fields, tried.iter().copied());
    }
    for (leaf, test) in APART {
        let (file, function) = test.split_once("::").expect("FILE::FUNCTION");
        let file = format!("{}/tests/server/{file}.rs", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&file).expect("a file of tests");
        assert!(
            text.contains(&format!("async fn {function}(")),
            "{leaf}: {test}"
        );
    }
}
