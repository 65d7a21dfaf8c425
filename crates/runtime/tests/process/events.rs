use k8s_openapi::api::{core::v1::ObjectReference, events::v1::Event};
use kube::{Api, api::ListParams};
use runtime::{Note, events::Recorder};
use serde_json::json;

use crate::{Account, SOON, cluster, numbers};

fn note(message: String) -> Note {
    Note {
        warning: true,
        reason: "DeployFailed",
        action: "Reconcile",
        message,
    }
}

#[tokio::test]
async fn events_are_written_once_and_a_failure_to_write_stops_nothing() {
    let account = Account::new(
        "events",
        json!([
            {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
        ]),
    )
    .await;
    let recorder = Recorder::new(
        account.client(&numbers()),
        "modelregistry-controller",
        "pod-1",
    );
    let about = |namespace: &str| ObjectReference {
        api_version: Some("modelregistry.opendatahub.io/v1beta1".to_owned()),
        kind: Some("ModelRegistry".to_owned()),
        name: Some("a".repeat(253)),
        namespace: Some(namespace.to_owned()),
        uid: Some(format!("uid-{namespace}")),
        ..ObjectReference::default()
    };
    // There is no such namespace: the API server refuses it, and the next is written.
    recorder.publish(&about("gone"), &note("lost".to_owned()));
    let long = "ü".repeat(2000);
    for _ in 0..5 {
        recorder.publish(&about(&account.namespace), &note(long.clone()));
    }
    recorder.publish(&about(&account.namespace), &note("changed".to_owned()));
    let api: Api<Event> =
        Api::namespaced(cluster().client().expect("a client"), &account.namespace);
    let events = cluster::eventually("two events", SOON, || async {
        let events = api
            .list(&ListParams::default())
            .await
            .map_err(|error| error.to_string())?;
        let of_ours = |event: &Event| {
            event.reporting_controller.as_deref() == Some("modelregistry-controller")
        };
        let ours: Vec<Event> = events.items.into_iter().filter(of_ours).collect();
        if ours.len() == 2 {
            Ok(ours)
        } else {
            Err(format!("{} events", ours.len()))
        }
    })
    .await
    .expect("written");
    for event in &events {
        assert_eq!(event.type_.as_deref(), Some("Warning"));
        assert_eq!(event.reason.as_deref(), Some("DeployFailed"));
        assert_eq!(event.reporting_instance.as_deref(), Some("pod-1"));
    }
    let mut lengths: Vec<usize> = events
        .iter()
        .filter_map(|event| event.note.as_ref().map(String::len))
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, ["changed".len(), 1024]);
}
