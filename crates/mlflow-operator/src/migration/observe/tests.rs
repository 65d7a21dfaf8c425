#![allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_wraps,
    reason = "cases read better with values in place"
)]

use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-01-02T03:04:05Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn subject() -> Subject<'static> {
    Subject {
        instance: "mlflow",
        deployment: "mlflow",
        generation: 2,
        supported: "3.14.0",
        recorded: Some("3.10.1"),
        always: false,
        force: None,
        conditions: &[],
        replicas: 2,
    }
}

fn deployment(generation: i64, replicas: i32, status: Value) -> Option<Deployment> {
    let deployment = json!({"metadata": {"name": "mlflow", "generation": generation},
        "spec": {"replicas": replicas, "selector": {}, "template": {}}, "status": status});
    Some(serde_json::from_value(deployment).unwrap())
}

fn job(name: &str, role: Role, condition: &str) -> Job {
    let conditions = json!([{"type": condition, "status": "True", "lastTransitionTime": NOW}]);
    serde_json::from_value(json!({
        "metadata": {"name": name, "labels": names::labels("mlflow", role)},
        "status": {"conditions": conditions}
    }))
    .unwrap()
}

fn pod(name: &str, labels: Value, status: Value) -> Pod {
    let pod = json!({"metadata": {"name": name, "labels": labels}, "status": status});
    serde_json::from_value(pod).unwrap()
}

fn job_pod(job: &str, role: Role, status: Value) -> Pod {
    let mut labels = json!(names::labels("mlflow", role));
    labels["job-name"] = job.into();
    pod(&format!("{job}-x"), labels, status)
}

fn seen(live: &Live) -> Observed {
    observed(&subject(), live, now())
}

fn server_of(deployment: Option<Deployment>, pods: Vec<Pod>) -> Server {
    let live = Live {
        deployment,
        pods,
        ..Live::default()
    };
    seen(&live).server
}

#[test]
fn no_deployment_is_no_server() {
    assert_eq!(server_of(None, Vec::new()), Server::default());
}

#[test]
fn pods_that_are_on_their_way_out_count() {
    let gone = json!({"observedGeneration": 2});
    let app = || json!({"app": "mlflow"});
    let leaving = pod("leaving", app(), json!({"phase": "Running"}));
    let over = pod("over", app(), json!({"phase": "Failed"}));
    let other = pod(
        "gc",
        json!({"app": "mlflow-gc"}),
        json!({"phase": "Running"}),
    );
    let server = server_of(deployment(2, 0, gone), vec![leaving, over, other]);
    assert_eq!(
        (server.up, server.pods, server.unsettled),
        (false, 1, false)
    );
    // A user's label may hide them from us, not from the Deployment.
    let counted = json!({"observedGeneration": 2, "replicas": 3});
    assert_eq!(server_of(deployment(2, 0, counted), Vec::new()).pods, 3);
}

#[test]
fn a_server_is_complete_when_all_pods_of_the_newest_edit_are_ready() {
    let status = |seen: i64, all: i32, updated: i32, ready: i32| {
        json!({"observedGeneration": seen, "replicas": all, "updatedReplicas": updated,
            "readyReplicas": ready})
    };
    for (status, wanted, complete) in [
        (status(3, 2, 2, 2), 2, true),
        (status(2, 2, 2, 2), 2, false),
        (status(3, 3, 2, 3), 2, false),
        (status(3, 2, 1, 2), 2, false),
        (status(3, 2, 2, 1), 2, false),
        (status(3, 1, 1, 1), 1, false),
        (status(3, 0, 0, 0), 0, false),
    ] {
        let server = server_of(deployment(3, wanted, status.clone()), Vec::new());
        assert_eq!(server.complete, complete, "{status} of {wanted}");
        assert_eq!(server.up, wanted > 0);
    }
}

#[test]
fn jobs_are_known_by_name_and_label() {
    let mut failed = job("mlflow-mg-3140-g2", Role::Migrate, "Failed");
    failed.metadata.annotations = Some([(FORCED_BY.to_owned(), "x".to_owned())].into());
    let mut strange = job("mlflow-pc-3140-g2", Role::Check, "Complete");
    strange.metadata.labels = Some(names::labels("other", Role::Check));
    let live = Live {
        jobs: vec![failed, strange],
        ..Live::default()
    };
    let seen = seen(&live);
    let found = seen.job.unwrap();
    assert_eq!(found.forced_by.as_deref(), Some("x"));
    assert!(matches!(found.state, JobState::Failed(_)));
    assert_eq!(seen.check, None);
}

#[test]
fn a_job_says_what_keeps_its_pod() {
    let name = "mlflow-mg-3140-g2";
    let waiting = json!({"phase": "Pending", "containerStatuses": [{"name": "db-migrate",
        "ready": false, "restartCount": 0, "image": "i", "imageID": "",
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]});
    let live = Live {
        jobs: vec![job(name, Role::Migrate, "Suspended")],
        pods: vec![job_pod(name, Role::Migrate, waiting)],
        ..Live::default()
    };
    let Some(JobState::Running(Some(problem))) = seen(&live).job.map(|job| job.state) else {
        panic!("a problem");
    };
    assert!(problem.contains("ImagePullBackOff"), "{problem}");
}

#[test]
fn jobs_of_other_generations_are_others_until_they_end() {
    let running = json!({"phase": "Running", "containerStatuses": [{"name": "db-migrate",
        "ready": true, "restartCount": 0, "image": "i", "imageID": "i",
        "state": {"running": {}}}]});
    let mut leaving = job("mlflow-mg-3140-g0", Role::Migrate, "Suspended");
    leaving.metadata.deletion_timestamp =
        Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now()));
    let live = Live {
        jobs: vec![
            job("mlflow-mg-3140-g1", Role::Migrate, "Suspended"),
            job("mlflow-mg-3100-g1", Role::Migrate, "Suspended"),
            job("mlflow-mg-3130-g1", Role::Migrate, "Complete"),
            leaving,
            job("mlflow-pc-3140-g1", Role::Check, "Suspended"),
            job("mlflow-pc-3130-g1", Role::Check, "Failed"),
        ],
        pods: vec![job_pod("mlflow-mg-3100-g1", Role::Migrate, running)],
        ..Live::default()
    };
    let seen = seen(&live);
    let others = seen.others.iter();
    let others: Vec<_> = others.map(|o| (o.name.as_str(), o.unstarted)).collect();
    assert_eq!(
        others,
        [
            ("mlflow-mg-3140-g1", true),
            ("mlflow-mg-3100-g1", false),
            ("mlflow-mg-3140-g0", false)
        ]
    );
    assert_eq!(seen.stale_checks, ["mlflow-pc-3140-g1"]);
}

#[test]
fn pods_without_a_job_are_waited_for() {
    let pods = || {
        vec![
            job_pod("a", Role::Migrate, json!({"phase": "Running"})),
            job_pod("b", Role::Migrate, json!({"phase": "Succeeded"})),
            job_pod("c", Role::Check, json!({"phase": "Running"})),
        ]
    };
    let names = |jobs: Vec<Job>| {
        let live = Live {
            jobs,
            pods: pods(),
            ..Live::default()
        };
        let others = seen(&live).others.into_iter();
        others.map(|other| other.name).collect::<Vec<_>>()
    };
    assert_eq!(names(Vec::new()), ["pod a-x"]);
    assert_eq!(names(vec![job("a", Role::Migrate, "Failed")]), ["pod a-x"]);
    // The pod's own event is still to come.
    assert!(names(vec![job("a", Role::Migrate, "Complete")]).is_empty());
}

#[test]
fn the_condition_is_read_as_it_was_told() {
    let told: Condition = serde_json::from_value(json!({"type": "Migration", "status": "False",
        "reason": "MigrationFailed", "message": "m", "observedGeneration": 1,
        "lastTransitionTime": NOW}))
    .unwrap();
    let conditions = [told];
    let subject = Subject {
        conditions: &conditions,
        ..subject()
    };
    let told = observed(&subject, &Live::default(), now()).told.unwrap();
    assert!(!told.holds);
    assert_eq!(
        (told.reason.as_str(), told.generation),
        ("MigrationFailed", Some(1))
    );
}
