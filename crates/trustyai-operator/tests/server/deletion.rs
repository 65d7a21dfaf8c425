//! A service goes while APIs that it can do without fail: in the background, in the foreground, and
//! with its namespace.

use std::time::Duration;

use cluster::{AggregatedApi, Platform, StandIn, api_of, eventually, gone};
use kube::Client;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use operator_harness::Site;
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE_BINDING, DEFINITION, DEPLOYMENT, NAMESPACE, ROUTE, SERVICE_MONITOR,
};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{COLLECTED, INSTALLATION, SOON, TRUSTYAI, World, files, root, start};

/// APIs that a service uses where they are there.
const OPTIONAL: [(StandIn, Kind); 3] = [
    (StandIn::ServiceMonitor, SERVICE_MONITOR),
    (StandIn::Route, ROUTE),
    (StandIn::InferenceService, INFERENCE_SERVICE),
];

/// Events, as operators write them.
const EVENT: Kind = Kind::namespaced("events.k8s.io", "v1", "Event", "events");

/// Nobody listens there.
const NOWHERE: &str = "https://127.0.0.1:9/";

/// How an API fails.
#[derive(Clone, Copy, Debug)]
enum Failing {
    /// No object can be written: nobody answers for validation.
    Validation,
    /// No object can be read or deleted: nobody answers for the conversion of what is stored.
    Conversion,
}

/// A service with a model that sends to it, in a namespace of its own.
struct Case {
    world: World,
    /// Of the service; in no other name.
    name: &'static str,
}

impl Case {
    async fn new(site: &Site, name: &'static str) -> Self {
        let world = World(site.world("deletion").await);
        let model = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
            "metadata": {"name": "model",
                "annotations": {"serving.kserve.io/deploymentMode": "RawDeployment"}},
            "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}});
        world.apply(&model).await;
        world.service(name, &files()).await;
        Self { world, name }
    }

    /// Waits until the service is ready, and everything there that it may have.
    async fn complete(&self) {
        let Self { world, name } = self;
        world.ready(name).await;
        world
            .until(INFERENCE_SERVICE, "model", |model| {
                !model.data["spec"]["predictor"]["logger"].is_null()
            })
            .await;
        for kind in [ROUTE, SERVICE_MONITOR] {
            world.until(kind, name, |_| true).await;
        }
    }

    /// Waits until the service is gone, and so is what is not of an API that fails.
    async fn gone(&self) {
        let Self { world, name } = self;
        gone(&world.api(TRUSTYAI), name, COLLECTED)
            .await
            .expect("the service goes");
        gone(&world.api(DEPLOYMENT), name, COLLECTED)
            .await
            .expect("its Deployment goes");
        let binding = format!("{name}-{}-proxy-rolebinding", world.namespace);
        gone(&world.api(CLUSTER_ROLE_BINDING), &binding, COLLECTED)
            .await
            .expect("its binding goes");
    }

    async fn delete(&self, how: &DeleteParams) {
        let deleted = self.world.api(TRUSTYAI).delete(self.name, how).await;
        deleted.expect("deleted");
    }

    async fn delete_namespace(&self) {
        let namespaces = api_of(&self.world.client, None, NAMESPACE);
        namespaces
            .delete(&self.world.namespace, &DeleteParams::default())
            .await
            .expect("deleted");
    }

    async fn namespace_gone(&self) {
        let namespaces = api_of(&self.world.client, None, NAMESPACE);
        gone(&namespaces, &self.world.namespace, COLLECTED)
            .await
            .expect("the namespace goes");
    }
}

fn dry_run() -> PostParams {
    PostParams {
        dry_run: true,
        ..PostParams::default()
    }
}

async fn served(client: &Client, kind: Kind) {
    let api = api_of(client, None, kind);
    eventually(&format!("{kind} served"), SOON, || async {
        let all = api.list(&ListParams::default()).await;
        all.map(drop).map_err(|error| error.to_string())
    })
    .await
    .expect("served");
}

/// Installs an API whose objects are stored in another version than the one that is used: to read
/// them takes a conversion.
async fn install_api(client: &Client, api: StandIn) {
    for mut definition in cluster::objects(api.crd()).expect("a definition") {
        let versions = definition.data["spec"]["versions"].as_array_mut();
        let versions = versions.expect("versions");
        let mut stored = versions[0].clone();
        for version in versions.iter_mut() {
            version["storage"] = false.into();
        }
        stored["name"] = "v2alpha1".into();
        versions.push(stored);
        cluster::apply(client, "", &definition)
            .await
            .expect("applied");
    }
}

impl Failing {
    async fn begin(self, client: &Client) {
        match self {
            Self::Conversion => {
                let webhook = json!({"clientConfig": {"url": NOWHERE},
                    "conversionReviewVersions": ["v1"]});
                let conversion = json!({"strategy": "Webhook", "webhook": webhook});
                let patch = Patch::Merge(json!({"spec": {"conversion": conversion}}));
                let definitions = api_of(client, None, DEFINITION);
                for (api, _) in OPTIONAL {
                    definitions
                        .patch(api.name(), &PatchParams::default(), &patch)
                        .await
                        .expect("patched");
                }
            }
            Self::Validation => {
                let groups: Vec<_> = OPTIONAL.iter().map(|(_, kind)| kind.group).collect();
                let rule = json!({"apiGroups": groups, "apiVersions": ["*"], "resources": ["*"],
                    "operations": ["CREATE", "UPDATE"]});
                let webhook = json!({"name": "nobody.example.test", "rules": [rule],
                    "clientConfig": {"url": NOWHERE}, "failurePolicy": "Fail",
                    "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "timeoutSeconds": 1});
                let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1",
                    "kind": "ValidatingWebhookConfiguration",
                    "metadata": {"name": "nobody"}, "webhooks": [webhook]});
                let text = configuration.to_string();
                cluster::apply_yaml(client, "", &text)
                    .await
                    .expect("applied");
            }
        }
        self.is(client, true).await;
    }

    /// Waits until the APIs fail, or do not any more.
    async fn is(self, client: &Client, wanted: bool) {
        for (_, kind) in OPTIONAL {
            eventually(&format!("{kind} {self:?}: {wanted}"), SOON, || async {
                let fails = self.fails(client, kind).await;
                (fails == wanted).then_some(()).ok_or(String::new())
            })
            .await
            .expect("it fails, or does not");
        }
    }

    async fn fails(self, client: &Client, kind: Kind) -> bool {
        match self {
            Self::Conversion => {
                // The client asks again for minutes where the server says that its storage begins
                // anew, which it says as long as nothing there can be read.
                let (api, params) = (api_of(client, None, kind), ListParams::default());
                let asked = tokio::time::timeout(Duration::from_secs(5), api.list(&params));
                !matches!(asked.await, Ok(Ok(_)))
            }
            // One rule is for all of them.
            Self::Validation => {
                let object = json!({"apiVersion": "serving.kserve.io/v1beta1",
                    "kind": "InferenceService", "metadata": {"name": "refused"}, "spec": {}});
                let object = serde_json::from_value(object).expect("an object");
                let made = api_of(client, Some("default"), INFERENCE_SERVICE)
                    .create(&dry_run(), &object)
                    .await;
                made.is_err_and(|error| error.to_string().contains("nobody"))
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_optional_apis_fail() {
    let site = INSTALLATION.alone(Platform::OpenShift).await;
    let client = site.cluster.client().expect("a client");
    for (api, kind) in OPTIONAL {
        install_api(&client, api).await;
        served(&client, kind).await;
    }
    let operator = start(&site.kubeconfig);
    let new = async |names: [&'static str; 3]| {
        let [background, foreground, namespace] = names;
        let cases = [
            Case::new(&site, background).await,
            Case::new(&site, foreground).await,
            Case::new(&site, namespace).await,
        ];
        for case in &cases {
            case.complete().await;
        }
        cases
    };
    let unheard = new(["unheard-bg", "unheard-fg", "unheard-ns"]).await;
    Failing::Validation.begin(&client).await;
    go(&unheard).await;
    unheard[2].namespace_gone().await;

    let delete = ["delete", "validatingwebhookconfiguration", "nobody"];
    site.cluster.kubectl(&delete).await.expect("deleted");
    Failing::Validation.is(&client, false).await;
    let unread = new(["unread-bg", "unread-fg", "unread-ns"]).await;
    Failing::Conversion.begin(&client).await;
    go(&unread).await;
    // What is left is of these APIs, which the cluster itself cannot read: it goes, and the namespace
    // with it, when they answer.
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}

/// Deletes one service in the background, one in the foreground, and one with its namespace, and waits
/// until all are gone.
async fn go(cases: &[Case; 3]) {
    let [background, foreground, namespace] = cases;
    background.delete(&DeleteParams::background()).await;
    foreground.delete(&DeleteParams::foreground()).await;
    namespace.delete_namespace().await;
    for case in cases {
        case.gone().await;
    }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_the_server_of_an_api_is_down() {
    let site = INSTALLATION.alone(Platform::Kubernetes).await;
    let routes = site.cluster.serve_aggregated(AggregatedApi::ROUTE).await;
    let routes = routes.expect("served");
    let operator = start(&site.kubeconfig);
    let new = async |name: &'static str| {
        let world = World(site.world("deletion").await);
        world.service(name, &files()).await;
        Case { world, name }
    };
    let cases = [
        new("down-bg").await,
        new("down-fg").await,
        new("down-ns").await,
    ];
    for Case { world, name } in &cases {
        world.until(ROUTE, name, |_| true).await;
        world.until(DEPLOYMENT, name, |_| true).await;
    }
    let registration = routes.name();
    drop(routes);
    go(&cases).await;
    // The cluster itself waits for every API that is registered.
    let withdraw = ["delete", "apiservice", &registration];
    site.cluster.kubectl(&withdraw).await.expect("withdrawn");
    cases[2].namespace_gone().await;
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}
