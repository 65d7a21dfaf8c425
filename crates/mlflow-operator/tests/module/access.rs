//! The platform's groups in labelled namespaces.

use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use mlflow_operator::access::{EDIT, VIEW};
use mlflow_operator::kinds::MLFLOW;
use operator_harness::SOON;
use resources::kind::ROLE_BINDING;
use serde_json::{Value, json};

use crate::world::{OPERATOR, World, subjects, world};

/// Annotation that stops an MLflow when its value is `paused`.
const PAUSE: &str = "mlflow.opendatahub.io/reconcile";

/// Whether a binding is for exactly these groups.
fn is_for(groups: &[&str]) -> impl Fn(Option<&DynamicObject>) -> bool {
    move |binding| binding.is_some() && subjects(binding) == groups
}

/// A binding as somebody else makes one.
fn foreign(name: &str, role: &str) -> DynamicObject {
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "theirs"}]});
    serde_json::from_value(binding).expect("a binding")
}

impl World {
    async fn neither(&self, namespace: &str) {
        for name in [VIEW, EDIT] {
            self.binding(namespace, name, |binding| binding.is_none())
                .await;
        }
    }

    async fn change(&self, namespace: &str, name: &str, patch: Value) {
        self.within(namespace, ROLE_BINDING)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await
            .expect("changed");
    }
}

#[tokio::test]
async fn groups_have_access_while_namespace_mlflow_and_auth_say_so() {
    let world = world().await;
    let first = world.namespace("ws-first", Some("mlflow")).await;
    let second = world.namespace("ws-second", Some("mlflow")).await;
    let unlabelled = world.namespace("ws-none", None).await;
    let others = world.namespace("ws-others", Some("another")).await;
    world.mlflow().await;
    // The API of the groups comes later than everything else.
    world
        .groups(&["system:authenticated"], &["odh-admins"])
        .await;
    for namespace in [&first, &second] {
        let everybody = ["system:authenticated", "odh-admins"];
        let view = world.binding(namespace, VIEW, is_for(&everybody)).await;
        let edit = world
            .binding(namespace, EDIT, is_for(&["odh-admins"]))
            .await;
        for (binding, role) in [(view, "view"), (edit, "edit")] {
            let binding = binding.expect("a binding");
            let role = format!("mlflow-operator-mlflow-{role}");
            assert_eq!(binding.data["roleRef"]["name"], role.as_str());
            let owner = &binding.owner_references()[0];
            assert_eq!(
                (owner.kind.as_str(), owner.name.as_str()),
                ("MLflow", "mlflow")
            );
            assert_eq!(owner.controller, Some(true));
            assert_eq!(
                binding.labels()["app.kubernetes.io/managed-by"],
                "mlflow-operator"
            );
        }
    }
    operator_harness::at_rest(world.cluster, OPERATOR).await;

    // The platform's groups change, and become none.
    world.groups(&["all"], &["all", "few"]).await;
    world.binding(&first, VIEW, is_for(&["all", "few"])).await;
    world.binding(&second, EDIT, is_for(&["all", "few"])).await;
    world.groups(&[], &[]).await;
    world.binding(&first, VIEW, is_for(&[])).await;
    world.groups(&["all"], &["few"]).await;
    world.binding(&first, VIEW, is_for(&["all", "few"])).await;

    // The label goes, and comes back.
    world.label(&first, None).await;
    world.neither(&first).await;
    world
        .binding(&second, VIEW, |binding| binding.is_some())
        .await;
    world.label(&first, Some("")).await;
    world.label(&first, Some("mlflow")).await;
    world.binding(&first, EDIT, is_for(&["few"])).await;
    world.label(&first, Some("another")).await;
    world.neither(&first).await;

    // Auth goes, and comes back.
    world.no_groups().await;
    world.neither(&second).await;
    world.groups(&["all"], &["few"]).await;
    world.binding(&second, EDIT, is_for(&["few"])).await;

    // A namespace that goes is waited for by nobody.
    world
        .cluster
        .kubectl(&["delete", "namespace", &second])
        .await
        .expect("deleted");
    world.label(&unlabelled, Some("mlflow")).await;
    world.binding(&unlabelled, EDIT, is_for(&["few"])).await;

    // The MLflow goes, and everything with it.
    world.delete(MLFLOW, "mlflow").await;
    world.neither(&unlabelled).await;
    world.neither(&others).await;
}

#[tokio::test]
async fn what_is_ours_is_repaired_and_what_is_not_stays() {
    let world = world().await;
    world.groups(&["all"], &["few"]).await;
    world.mlflow().await;
    let namespace = world.namespace("ws-drift", Some("mlflow")).await;
    let bindings = world.within(&namespace, ROLE_BINDING);
    let view = is_for(&["all", "few"]);
    let first = world
        .binding(&namespace, VIEW, &view)
        .await
        .expect("a binding");

    // Its groups, its label, itself.
    world
        .change(&namespace, VIEW, json!({"subjects": []}))
        .await;
    world.binding(&namespace, VIEW, &view).await;
    bindings
        .delete(VIEW, &DeleteParams::default())
        .await
        .expect("deleted");
    let second = world
        .binding(&namespace, VIEW, &view)
        .await
        .expect("a binding");
    assert_ne!(first.uid(), second.uid());

    // A role cannot change: a binding of ours that is for another goes, and is made again. While the
    // MLflow is paused nothing is repaired.
    let paused = |value: Option<&str>| json!({"metadata": {"annotations": {PAUSE: value}}});
    world.edit(MLFLOW, "mlflow", paused(Some("paused"))).await;
    let mut wrong = foreign(EDIT, "view");
    wrong.metadata.owner_references = Some(second.owner_references().to_vec());
    bindings
        .delete(EDIT, &DeleteParams::default())
        .await
        .expect("deleted");
    bindings
        .create(&PostParams::default(), &wrong)
        .await
        .expect("nothing is made while it is paused");
    world.edit(MLFLOW, "mlflow", paused(None)).await;
    world
        .binding(&namespace, EDIT, |binding| {
            binding.is_some_and(|b| b.data["roleRef"]["name"] == "mlflow-operator-mlflow-edit")
        })
        .await;

    // One of somebody else is in the place of ours.
    world.label(&namespace, None).await;
    world.neither(&namespace).await;
    bindings
        .create(&PostParams::default(), &foreign(VIEW, "view"))
        .await
        .expect("a foreign binding");
    world.label(&namespace, Some("mlflow")).await;
    world.binding(&namespace, EDIT, is_for(&["few"])).await;
    let said = cluster::eventually("the event", SOON, || async {
        let args = ["get", "events.events.k8s.io", "-A", "-o", "json"];
        let events = world
            .cluster
            .kubectl(&args)
            .await
            .map_err(|e| e.to_string())?;
        let events: Value = serde_json::from_str(&events).map_err(|e| e.to_string())?;
        let events = events["items"].as_array().cloned().unwrap_or_default();
        let note = |event: &Value| event["note"].as_str().unwrap_or_default().to_owned();
        let mut notes = events.iter().map(note);
        let about = format!("{namespace}/{VIEW} belongs to somebody else");
        notes
            .find(|note| note.contains(&about))
            .ok_or("no event".to_owned())
    });
    said.await.expect("an event");
    world.label(&namespace, None).await;
    world
        .binding(&namespace, EDIT, |binding| binding.is_none())
        .await;
    world.binding(&namespace, VIEW, is_for(&["theirs"])).await;
    world.delete(MLFLOW, "mlflow").await;
    world.binding(&namespace, VIEW, is_for(&["theirs"])).await;
}

/// Whether a user may do this in a namespace: `create gatewaysecrets/use`.
async fn may(world: &World, namespace: &str, user: &str, right: &str) -> bool {
    let (verb, resource) = right.split_once(' ').expect("verb and resource");
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let review = serde_json::from_value(json!({"spec": {"user": user, "resourceAttributes": {
        "namespace": namespace, "verb": verb, "group": "mlflow.kubeflow.org",
        "resource": resource, "subresource": subresource,
    }}}));
    let reviews: Api<SubjectAccessReview> = Api::all(world.client.clone());
    let answer = reviews
        .create(&PostParams::default(), &review.expect("a review"))
        .await
        .expect("an answer");
    answer.status.is_some_and(|status| status.allowed)
}

#[tokio::test]
async fn people_get_mlflow_with_their_kubernetes_role() {
    let world = world().await;
    let namespace = world.namespace("ws-people", None).await;
    for (user, role) in [
        ("viewer", "view"),
        ("editor", "edit"),
        ("program", "mlflow-operator-mlflow-integration"),
    ] {
        let args = ["create", "rolebinding", user, "-n", &namespace];
        let of = ["--clusterrole", role, "--user", user];
        let made = world.cluster.kubectl(&[&args[..], &of].concat()).await;
        made.expect("a binding");
    }
    for (user, right, allowed) in [
        ("viewer", "list experiments", true),
        ("viewer", "watch mlflowconfigs", true),
        ("viewer", "create experiments", false),
        ("viewer", "get gatewaysecrets", false),
        ("editor", "delete registeredmodels", true),
        ("editor", "create mlflowconfigs", true),
        ("editor", "get gatewaysecrets", true),
        ("editor", "create gatewaysecrets/use", true),
        ("program", "update experiments", true),
        ("program", "create gatewayendpoints/use", true),
        ("program", "delete experiments", false),
        ("program", "create gatewaysecrets/use", false),
        ("program", "get mlflowconfigs", false),
    ] {
        // A controller adds up what view and edit give, and the authorizer learns of it a moment later.
        let what = format!("{user}: {right}");
        let answer = cluster::eventually(&what, SOON, || async {
            let answer = may(&world, &namespace, user, right).await;
            (answer == allowed)
                .then_some(())
                .ok_or(format!("it is {answer}"))
        });
        answer.await.expect("the right answer");
    }
}
