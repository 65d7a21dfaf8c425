//! A service goes while APIs that it can do without fail: in the background, in the foreground, and
//! with its namespace.

mod failing;

use cluster::{Platform, api_of, eventually, gone};
use kube::Api;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use operator_harness::Site;
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE_BINDING, DEPLOYMENT, NAMESPACE, PERSISTENT_VOLUME_CLAIM, POD_DISRUPTION_BUDGET,
    SERVICE,
};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{COLLECTED, INSTALLATION, SOON, TRUSTYAI, World, files, root, start};
use failing::{Failing, OPTIONAL};

/// Events, as operators write them.
const EVENT: Kind = Kind::namespaced("events.k8s.io", "v1", "Event", "events");

/// A service in a namespace of its own.
struct Case {
    world: World,
    /// Of the service; in no other name.
    name: &'static str,
}

impl Case {
    /// A service that uses every API that there is, with a model that sends to it.
    async fn new(site: &Site, name: &'static str) -> Self {
        let world = World(site.world("deletion").await);
        let model = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "model", "annotations": {
                "serving.kserve.io/deploymentMode": "RawDeployment",
                "sidecar.istio.io/inject": "true"}},
            "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}});
        world.apply(&model).await;
        let mut spec = files();
        spec["operand"] = json!({"podDisruptionBudget": {"maxUnavailable": 1}});
        spec["expose"] = json!({"hosts": ["a.example.test"], "gateways": [{"name": "g"}]});
        world.service(name, &spec).await;
        Self { world, name }
    }

    /// Waits until the service is ready, and everything there that it may have.
    async fn complete(&self) {
        let Self { world, name } = self;
        world.ready(name).await;
        let logs = |model: &DynamicObject| !model.data["spec"]["predictor"]["logger"].is_null();
        world.until(INFERENCE_SERVICE, "model", logs).await;
        for (kind, end) in OPTIONAL {
            if kind != INFERENCE_SERVICE {
                world.until(kind, &format!("{name}{end}"), |_| true).await;
            }
        }
        world.until(POD_DISRUPTION_BUDGET, name, |_| true).await;
    }

    /// Waits until the service is gone, and so is what is not of an API that fails.
    async fn gone(&self) {
        let Self { world, name } = self;
        let binding = format!("{name}-{}-proxy-rolebinding", world.namespace);
        for (kind, name) in [
            (TRUSTYAI, *name),
            (DEPLOYMENT, name),
            (SERVICE, name),
            (PERSISTENT_VOLUME_CLAIM, &format!("{name}-pvc")),
            (POD_DISRUPTION_BUDGET, name),
            (CLUSTER_ROLE_BINDING, &binding),
        ] {
            let what = format!("{kind} {name} goes");
            gone(&world.api(kind), name, COLLECTED).await.expect(&what);
        }
    }

    fn namespaces(&self) -> Api<DynamicObject> {
        api_of(&self.world.client, None, NAMESPACE)
    }

    async fn delete_namespace(&self, how: &DeleteParams) {
        let deleted = self.namespaces().delete(&self.world.namespace, how).await;
        deleted.expect("deleted");
    }

    /// Waits until the namespace is gone, or what keeps it is none of ours: the cluster itself waits
    /// for APIs that do not answer.
    async fn namespace_is_free(&self) {
        let (name, all) = (&self.world.namespace, self.namespaces());
        // An edit is looked at within seconds, and what failed some time ago within a minute.
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"test": "looked at"}}}));
        match all.patch(name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => return,
            edited => drop(edited.expect("edited")),
        }
        eventually("nothing of ours keeps the namespace", COLLECTED, || async {
            let found = all.get_opt(name).await.map_err(|error| error.to_string())?;
            let Some(found) = found else { return Ok(()) };
            let mut conditions = cluster::conditions(&found.data);
            let kept = conditions.find(|one| one["type"] == "NamespaceFinalizersRemaining");
            match kept {
                Some(kept) if kept["status"] != "True" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .expect("free");
    }

    async fn namespace_gone(&self) {
        let name = &self.world.namespace;
        let gone = gone(&self.namespaces(), name, COLLECTED).await;
        gone.expect("the namespace goes");
    }

    /// Waits until nothing of the service is left in the namespace, which stays.
    async fn nothing_left(&self) {
        for (kind, end) in OPTIONAL {
            if kind != INFERENCE_SERVICE {
                let object = format!("{}{end}", self.name);
                let gone = gone(&self.world.api(kind), &object, COLLECTED).await;
                gone.expect("collected");
            }
        }
    }
}

/// Services that are deleted in the background and in the foreground, and with their namespace in
/// both ways.
struct Cases([Case; 4]);

impl Cases {
    async fn new(site: &Site, names: [&'static str; 4]) -> Self {
        let cases = names.map(|name| Case::new(site, name));
        let cases: Vec<_> = futures::future::join_all(cases).await;
        for case in &cases {
            case.complete().await;
        }
        Self(cases.try_into().ok().expect("four"))
    }

    /// Deletes all of them, and waits until all are gone.
    async fn go(&self, failing: Failing) {
        let [background, foreground, with_namespace, with_all_in_it] = &self.0;
        let ways = || [DeleteParams::background(), DeleteParams::foreground()];
        for (case, how) in [background, foreground].into_iter().zip(ways()) {
            let deleted = case.world.api(TRUSTYAI).delete(case.name, &how).await;
            deleted.expect("deleted");
        }
        for (case, how) in [with_namespace, with_all_in_it].into_iter().zip(ways()) {
            case.delete_namespace(&how).await;
        }
        for case in &self.0 {
            case.gone().await;
        }
        if failing.is_deleting() {
            for case in [with_namespace, with_all_in_it] {
                case.namespace_gone().await;
            }
            for case in [background, foreground] {
                case.nothing_left().await;
            }
        } else {
            // What is left is of these APIs, which the cluster itself can neither read nor delete.
            for case in [with_namespace, with_all_in_it] {
                case.namespace_is_free().await;
            }
        }
    }
}

fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_nobody_answers_for_optional_apis() {
    goes(
        Failing::Validation,
        ["unheard-bg", "unheard-fg", "unheard-ns", "unheard-nf"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_optional_apis_cannot_be_read() {
    goes(
        Failing::Conversion,
        ["unread-bg", "unread-fg", "unread-ns", "unread-nf"],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_the_servers_of_optional_apis_are_down() {
    goes(
        Failing::Server,
        ["down-bg", "down-fg", "down-ns", "down-nf"],
    )
    .await;
}

async fn goes(failing: Failing, names: [&'static str; 4]) {
    let site = INSTALLATION.alone(Platform::OpenShift).await;
    let client = site.cluster.client().expect("a client");
    failing::install(&client).await;
    let operator = start(&site.kubeconfig);
    let cases = Cases::new(&site, names).await;
    failing.begin(&client).await;
    cases.go(failing).await;
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}

/// Kubernetes 1.29 checks the whole object at every write, newer ones only what changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_breaks_a_newer_rule_is_told_of_and_goes() {
    let site = INSTALLATION.alone(Platform::Kubernetes).await;
    let client = site.cluster.client().expect("a client");
    let file = root().join(INSTALLATION.definition);
    let text = std::fs::read_to_string(file).expect("the definition");
    let definition = cluster::objects(&text).expect("a document").remove(0);
    let mut older = definition.clone();
    without_rules(&mut older.data);
    cluster::apply(&client, "", &older).await.expect("applied");
    let world = World(site.world("older").await);
    let names = ["older-bg", "older-fg"];
    for name in names {
        let mut spec = files();
        spec["storage"]["folder"] = "".into();
        let stored = json!({"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
            "metadata": {"name": name, "finalizers": ["trustyai.opendatahub.io/finalizer"]},
            "spec": spec});
        eventually("stored without rules", SOON, || async {
            let text = stored.to_string();
            let stored = cluster::apply_yaml(&client, &world.namespace, &text).await;
            stored.map(drop).map_err(|error| error.to_string())
        })
        .await
        .expect("stored");
    }
    cluster::apply(&client, "", &definition)
        .await
        .expect("applied");
    eventually("the rule", SOON, || async {
        let new = json!({"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
            "metadata": {"name": "new"}, "spec": {"storage": {"format": "PVC"},
                "metrics": {"schedule": "5s"}}});
        let new = serde_json::from_value(new).expect("an object");
        match world.api(TRUSTYAI).create(&dry_run(), &new).await {
            Err(error) if error.to_string().contains("needs folder") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("refused");
    let operator = start(&site.kubeconfig);
    for name in names {
        eventually("an event", SOON, || async {
            let told = world.api(EVENT).list(&ListParams::default()).await;
            let told = told.map_err(|error| error.to_string())?;
            let of = |event: &DynamicObject| {
                event.data["regarding"]["name"] == name && event.data["reason"] == "InvalidSpec"
            };
            let any = told.iter().any(of);
            any.then_some(())
                .ok_or_else(|| format!("{} others", told.items.len()))
        })
        .await
        .expect("told");
    }
    for (name, how) in names
        .into_iter()
        .zip([DeleteParams::background(), DeleteParams::foreground()])
    {
        cluster::remove(&world.api(TRUSTYAI), name, &how, COLLECTED)
            .await
            .expect("gone");
    }
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}

/// Takes every rule in CEL from a definition.
fn without_rules(value: &mut Value) {
    if let Value::Object(map) = value {
        map.remove("x-kubernetes-validations");
    }
    match value {
        Value::Object(map) => map.values_mut().for_each(without_rules),
        Value::Array(list) => list.iter_mut().for_each(without_rules),
        _ => {}
    }
}
