//! Comparison with what the Go operator was recorded to do: the same objects, but for the entries
//! of `differences.yaml`.
//!
//! The recordings are not part of the project. Where they are missing, one line says so.

use std::path::Path;

use mlflow_operator::server::error::Error;
use operator_harness::bodies;
use operator_harness::recorded::{self, Objects, read};
use resources::kind::{HTTP_ROUTE, SERVICE_MONITOR};
use runtime::offline::Platform;
use serde_json::Value;

use crate::world::{operator, work};

/// What is made of the case; no objects when the resource is refused.
fn ours(platform: Platform, folder: &Path, live: Vec<Value>) -> Vec<Value> {
    let case = recorded::name(folder);
    let (resource, mut documents) = recorded::resource(folder);
    documents.extend(live);
    let more = match case {
        "servicemonitor" => &[SERVICE_MONITOR][..],
        "httproute" => &[HTTP_ROUTE, SERVICE_MONITOR],
        _ => &[],
    };
    // As the cases were recorded.
    let url = match (platform, case) {
        (Platform::Kubernetes, "httproute") | (Platform::OpenShift, _) => "https://gw.example.test",
        _ => "",
    };
    let mut variables = vec![("MLFLOW_URL", url)];
    if case.ends_with("-more-rights") {
        let image = "r.example.test/mlflow@sha256:1";
        variables.push(("RELATED_IMAGE_ODH_MLFLOW_IMAGE", image));
    }
    let operator = operator(&variables);
    let worked = work(&operator, platform, more, &resource, &documents);
    match worked.and_then(|worked| worked.plan) {
        Ok(plan) => bodies(&plan),
        Err(Error::Invalid(_) | Error::CaBundle { .. }) => Vec::new(),
        Err(error) => panic!("{}: {error}", folder.display()),
    }
}

/// Objects by kind and name. What a migration makes is compared by tests of its own, and people's
/// access too.
fn keyed(mut objects: Vec<Value>) -> Objects {
    objects.retain(|object| {
        let job = object["kind"] == "Job" || object["metadata"]["name"] == "mlflow-migration";
        !job && object["kind"] != "RoleBinding"
    });
    for object in &mut objects {
        // Everybody draws a picture of their own.
        if let Some(picture) = object.pointer_mut("/spec/applicationMenu/imageURL") {
            *picture = "<normalised>".into();
        }
    }
    recorded::keyed(objects, &[])
}

#[test]
fn objects_equal_the_recorded_ones() {
    let Some(root) = recorded::folder("mlflow") else {
        return;
    };
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    recorded::assert_equal((package, &root), 50, |platform, folder| {
        let case = recorded::name(folder);
        // Nothing was made where the schema refused the resource, or the platform had not spoken.
        if folder.join("rejected.txt").exists()
            || !folder.join("objects.yaml").exists()
            || case == "module-missing"
        {
            return Err("nothing was made");
        }
        let theirs = keyed(read(&folder.join("objects.yaml")));
        Ok((theirs, keyed(ours(platform, folder, Vec::new()))))
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
        let taken = keyed(ours(Platform::OpenShift, &folder, live.clone()));
        recorded::assert_taken_over(&keyed(live), &taken, &[], &[]);
    }
}
