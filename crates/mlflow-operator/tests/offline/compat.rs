//! Comparison with what the Go operator was recorded to do: the same objects, status and events, but
//! for the entries of `differences.yaml`.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

use std::path::Path;

use mlflow_operator::server::Server;
use operator_harness::bodies;
use operator_harness::recorded::{self, Objects, read};
use resources::Kind;
use resources::kind::{HTTP_ROUTE, SERVICE_MONITOR};
use runtime::offline::Platform;
use serde_json::Value;

use crate::walk::{Walked, walk};
use crate::world::{operator, work};

/// Where status and events stand among the objects.
const SAID: &str = "MLflow mlflow";

/// Conditions of the Go operator.
const CONDITIONS: [&str; 4] = [
    "Available",
    "Progressing",
    "Migration",
    "MLflowOperatorReady",
];

/// A recorded case.
struct Case {
    operator: Server,
    platform: Platform,
    /// Kinds that are served beside those of the platform.
    more: &'static [Kind],
    resource: Value,
    /// What was there before.
    documents: Vec<Value>,
}

impl Case {
    fn read(platform: Platform, folder: &Path) -> Self {
        let case = recorded::name(folder);
        let (resource, documents) = recorded::resource(folder);
        let more = match case {
            "servicemonitor" => &[SERVICE_MONITOR][..],
            "httproute" => &[HTTP_ROUTE, SERVICE_MONITOR],
            _ => &[],
        };
        // As the cases were recorded.
        let url = match (platform, case) {
            (Platform::Kubernetes, "httproute") | (Platform::OpenShift, _) => {
                "https://gw.example.test"
            }
            _ => "",
        };
        let mut variables = vec![("MLFLOW_URL", url)];
        if case.ends_with("-more-rights") {
            let image = "r.example.test/mlflow@sha256:1";
            variables.push(("RELATED_IMAGE_ODH_MLFLOW_IMAGE", image));
        }
        Self {
            operator: operator(&variables),
            platform,
            more,
            resource,
            documents,
        }
    }

    fn walk(&self) -> Walked {
        let Self {
            operator, platform, ..
        } = self;
        walk(
            operator,
            *platform,
            self.more,
            &self.resource,
            &self.documents,
        )
    }
}

/// Objects by kind and name, but people's access, which tests of its own compare.
fn keyed(mut objects: Vec<Value>) -> Objects {
    objects.retain(|object| object["kind"] != "RoleBinding");
    for object in &mut objects {
        // Everybody draws a picture of their own.
        if let Some(picture) = object.pointer_mut("/spec/applicationMenu/imageURL") {
            *picture = "<normalised>".into();
        }
    }
    recorded::keyed(objects, &[])
}

/// What is said of a case, in one form for both sides.
fn said(status: &Value, events: Vec<[String; 3]>) -> Value {
    recorded::said(status, &CONDITIONS, &["address", "url", "version"], events)
}

#[test]
fn objects_status_and_events_equal_the_recorded_ones() {
    let Some(root) = recorded::folder("mlflow") else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    recorded::assert_equal((package, &root), 50, |platform, folder| {
        if folder.join("rejected.txt").exists() {
            return Err("the schema refuses the resource");
        }
        if recorded::name(folder) == "module-missing" {
            return Err("the platform had not spoken");
        }
        let mut theirs = keyed(read(&folder.join("objects.yaml")));
        let resource = read(&folder.join("status.yaml")).remove(0);
        let events = std::fs::read_to_string(folder.join("events.txt")).unwrap();
        let told = said(&resource["status"], recorded::events(&events));
        theirs.insert(SAID.to_owned(), told);
        let walked = Case::read(platform, folder).walk();
        let mut ours = keyed(walked.objects);
        ours.insert(SAID.to_owned(), said(&walked.status, walked.events));
        Ok((theirs, ours))
    });
}

#[test]
fn taking_over_changes_nothing_that_cannot_change() {
    let Some(root) = recorded::folder("mlflow") else {
        return;
    };
    for case in [
        "sqlite",
        "sample-remote-storage-more-rights",
        "sample-trace-archival",
    ] {
        let folder = root.join("openshift").join(case);
        let live = read(&folder.join("objects.yaml"));
        let case = Case::read(Platform::OpenShift, &folder);
        let around = [&case.documents[..], &live].concat();
        let worked = work(
            &case.operator,
            case.platform,
            case.more,
            &case.resource,
            &around,
        );
        let plan = worked.and_then(|worked| worked.plan).unwrap();
        // A Job is never changed, and goes in its time.
        let mut theirs = keyed(live);
        theirs.retain(|object, _| !object.starts_with("Job "));
        recorded::assert_taken_over(&theirs, &keyed(bodies(&plan)), &[], &[]);
    }
}
