//! What must hold after our operator took over, and what would not stop the Go operator from
//! coming back.

use cluster::conditions;
use kube::{
    ResourceExt,
    api::{DynamicObject, PostParams},
};
use resources::{Kind, kind};
use serde_json::Value;

use crate::{
    case::{GO, LAST_APPLIED, LONG_AGO, Placed, THEIRS, place_of, replica_sets},
    harness::World,
};

const REVISION: &str = "deployment.kubernetes.io/revision";

/// What the Go operator makes and we do not, and why.
fn goes(case: &str, kind: Kind, name: &str) -> bool {
    // Beside a proxy this Route leads to a port that the Service does not have.
    kind == kind::ROUTE && name.ends_with("-http") && ["proxy-rest-route", "routed"].contains(&case)
}

/// Everything that is wrong.
pub(crate) async fn check(world: &World, placed: &Placed) -> Vec<String> {
    let mut wrong = Vec::new();
    registry(world, placed, &mut wrong).await;
    for (kind, before) in &placed.before {
        let sent = placed.sent.iter().find(|sent| {
            sent["kind"] == kind.kind && sent["metadata"]["name"] == before.name_any()
        });
        let sent = sent.expect("it was sent");
        let (_, api, name) = place_of(&world.client, sent);
        let mut found = Vec::new();
        match api.get_opt(&name).await.expect("an answer") {
            None if goes(&placed.case.name, *kind, &name) => {}
            None => found.push("was deleted".to_owned()),
            Some(_) if goes(&placed.case.name, *kind, &name) => {
                found.push("is still there".to_owned());
            }
            Some(now) if placed.case.is_refused() => untouched(before, &now, &mut found),
            Some(now) => {
                adopted(*kind, before, &now, &mut found);
                if *kind == kind::DEPLOYMENT {
                    rollouts(world, before, &now, &mut found).await;
                }
                let mut body: DynamicObject =
                    serde_json::from_value(sent.clone()).expect("an object");
                body.types = Some(kube::core::TypeMeta {
                    api_version: kind.api_version(),
                    kind: kind.kind.to_owned(),
                });
                body.metadata.resource_version = now.resource_version();
                if *kind == kind::PERSISTENT_VOLUME_CLAIM {
                    // No update may take from a claim what the server put in. The Go operator sends one
                    // only where a label or the size differs.
                    for field in ["volumeName", "storageClassName"] {
                        body.data["spec"][field] = now.data["spec"][field].clone();
                    }
                    let size = "/spec/resources/requests/storage";
                    if now.labels() != before.labels()
                        || now.data.pointer(size) != before.data.pointer(size)
                    {
                        found.push(
                            "would be updated by the Go operator, which the server refuses"
                                .to_owned(),
                        );
                    }
                }
                let by_go = PostParams {
                    field_manager: Some(GO.to_owned()),
                    dry_run: true,
                };
                if let Err(error) = api.replace(&name, &by_go, &body).await {
                    found.push(format!("the Go operator cannot put it back: {error}"));
                }
            }
        }
        wrong.extend(
            found
                .into_iter()
                .map(|found| format!("{} {name} {found}", kind.kind)),
        );
    }
    wrong
}

fn untouched(before: &DynamicObject, now: &DynamicObject, wrong: &mut Vec<String>) {
    if now.uid() != before.uid() || now.data.get("spec") != before.data.get("spec") {
        wrong.push("was changed, although the resource is refused".to_owned());
    }
}

fn adopted(kind: Kind, before: &DynamicObject, now: &DynamicObject, wrong: &mut Vec<String>) {
    if now.uid() != before.uid() {
        wrong.push("is another object".to_owned());
    }
    for pointer in ["/spec/selector", "/spec/podSelector"] {
        if kind != kind::PERSISTENT_VOLUME_CLAIM
            && now.data.pointer(pointer) != before.data.pointer(pointer)
        {
            wrong.push(format!("{pointer} is {:?}", now.data.pointer(pointer)));
        }
    }
    let left = now
        .managed_fields()
        .iter()
        .filter(|entry| entry.manager.as_deref() == Some(GO) && entry.subresource.is_none());
    for entry in left {
        wrong.push(format!(
            "has fields of the Go operator: {:?}",
            entry.fields_v1
        ));
    }
    if !now
        .managed_fields()
        .iter()
        .any(|entry| entry.manager.as_deref() == Some("model-registry-operator"))
    {
        wrong.push("has no field of ours".to_owned());
    }
    if now.annotations().contains_key(LAST_APPLIED) {
        wrong.push(format!("still has {LAST_APPLIED}"));
    }
    if now.annotations().get(THEIRS.0).map(String::as_str) != Some(THEIRS.1) {
        wrong.push(format!("lost the annotation {}", THEIRS.0));
    }
    if kind == kind::GROUP && now.data["users"] != before.data["users"] {
        wrong.push(format!("has the members {}", now.data["users"]));
    }
    if kind == kind::SECRET && now.data["data"] != before.data["data"] {
        wrong.push("has other data".to_owned());
    }
}

/// One rolling update of the server at most, none of Postgres.
async fn rollouts(
    world: &World,
    before: &DynamicObject,
    now: &DynamicObject,
    wrong: &mut Vec<String>,
) {
    let revision = |object: &DynamicObject| {
        object
            .annotations()
            .get(REVISION)
            .and_then(|text| text.parse::<u64>().ok())
    };
    let (was, is) = (revision(before), revision(now));
    let postgres = now.name_any().ends_with("-postgres")
        && before.data["spec"]["strategy"]["type"] == "Recreate";
    let allowed = if postgres {
        was
    } else {
        was.map(|was| was + 1)
    };
    if is > allowed {
        wrong.push(format!("was rolled out from revision {was:?} to {is:?}"));
    }
    if postgres && now.data["spec"]["template"] != before.data["spec"]["template"] {
        wrong.push("has another pod template".to_owned());
    }
    let sets = replica_sets(world, &now.namespace().unwrap_or_default()).await;
    let owned = sets.iter().filter(|set| {
        set.owner_references()
            .iter()
            .any(|owner| Some(&owner.uid) == now.metadata.uid.as_ref())
    });
    let count = owned.count();
    if count > if postgres { 1 } else { 2 } {
        wrong.push(format!("has {count} ReplicaSets"));
    }
}

async fn registry(world: &World, placed: &Placed, wrong: &mut Vec<String>) {
    let now = placed.now(world).await;
    if now.finalizers() != placed.registry.finalizers() {
        wrong.push(format!("the finalizers are {:?}", now.finalizers()));
    }
    if now.data["spec"] != placed.registry.data["spec"] {
        wrong.push("the spec was changed".to_owned());
    }
    if let Err(error) = placed.at_rest(world).await {
        wrong.push(format!("is not done: {error}"));
    }
    if conditions(&now.data).any(|condition| condition["observedGeneration"].is_null()) {
        wrong.push("has a condition without observedGeneration".to_owned());
    }
    let same =
        |old: &Value, new: &Value| old["type"] == new["type"] && old["status"] == new["status"];
    if !placed.case.is_incomplete() {
        // Its pods are replaced, and until the Deployment has seen that it is not Available.
        return;
    }
    for old in conditions(&placed.registry.data).filter(|old| old["type"] != "Progressing") {
        for new in conditions(&now.data).filter(|new| same(old, new)) {
            if new["lastTransitionTime"] != LONG_AGO {
                wrong.push(format!(
                    "condition {} of the same status has a new transition time",
                    old["type"]
                ));
            }
        }
    }
}
