//! A service goes while APIs that it can do without fail: in the background, in the foreground, and
//! with its namespace.

use cluster::{AggregatedApi, Cluster, Options, Platform, StandIn, api_of, eventually, gone};
use kube::Client;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use resources::Kind;
use resources::kind::{
    CLUSTER_ROLE_BINDING, DEFINITION, DEPLOYMENT, NAMESPACE, ROUTE, SERVICE_MONITOR,
};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{COLLECTED, SOON, TRUSTYAI, World, files, install, start};
use crate::leftovers::nothing_left;

/// APIs that a service uses where they are there.
const OPTIONAL: [(StandIn, Kind); 3] = [
    (StandIn::ServiceMonitor, SERVICE_MONITOR),
    (StandIn::Route, ROUTE),
    (StandIn::InferenceService, INFERENCE_SERVICE),
];

/// Nobody listens there.
const NOWHERE: &str = "https://127.0.0.1:9/";

/// How an API fails.
#[derive(Clone, Copy, Debug)]
enum Failing {
    /// No object can be read: nobody answers for the conversion of what is stored.
    Conversion,
    /// No object can be written or deleted: nobody answers for validation.
    Validation,
}

/// A service with a model that sends to it, in a namespace of its own.
struct Case {
    world: World,
    /// Of the service; in no other name.
    name: &'static str,
}

impl Case {
    async fn new(cluster: &'static Cluster, name: &'static str) -> Self {
        let world = World::on(cluster, name).await;
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
        let deleted = namespaces.delete(&self.world.namespace, &DeleteParams::default());
        deleted.await.expect("deleted");
    }

    async fn namespace_gone(&self) {
        let namespaces = api_of(&self.world.client, None, NAMESPACE);
        gone(&namespaces, &self.world.namespace, COLLECTED)
            .await
            .expect("the namespace goes");
    }
}

/// A cluster of its own: what fails, fails for everybody in it.
async fn own() -> &'static Cluster {
    let options = Options {
        platform: Platform::Kubernetes,
        ..Options::default()
    };
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&options))
        .await
        .expect("no panic")
        .expect("a cluster");
    // Its servers end with the process.
    Box::leak(Box::new(cluster))
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
                convert(client, json!({"strategy": "Webhook", "webhook": webhook})).await;
            }
            Self::Validation => {
                let groups: Vec<_> = OPTIONAL.iter().map(|(_, kind)| kind.group).collect();
                let rule = json!({"apiGroups": groups, "apiVersions": ["*"], "resources": ["*"],
                    "operations": ["*"]});
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
        for (_, kind) in OPTIONAL {
            eventually(&format!("{kind} fails"), SOON, || async {
                if self.fails(client, kind).await {
                    Ok(())
                } else {
                    Err("it does not".to_owned())
                }
            })
            .await
            .expect("it fails");
        }
    }

    async fn fails(self, client: &Client, kind: Kind) -> bool {
        match self {
            Self::Conversion => {
                let all = api_of(client, None, kind).list(&ListParams::default());
                all.await.is_err()
            }
            Self::Validation => {
                let object = json!({"apiVersion": kind.api_version(), "kind": kind.kind,
                    "metadata": {"name": "refused"}});
                let object = serde_json::from_value(object).expect("an object");
                let made = cluster::apply(client, "default", &object).await;
                made.is_err_and(|error| format!("{error:?}").contains("nobody"))
            }
        }
    }

    async fn end(self, cluster: &Cluster, client: &Client) {
        match self {
            Self::Conversion => {
                convert(client, json!({"strategy": "None", "webhook": null})).await;
            }
            Self::Validation => {
                let delete = ["delete", "validatingwebhookconfiguration", "nobody"];
                cluster.kubectl(&delete).await.expect("deleted");
            }
        }
        for (_, kind) in OPTIONAL {
            served(client, kind).await;
        }
    }
}

/// Sets how objects of the optional APIs are converted.
async fn convert(client: &Client, conversion: Value) {
    let definitions = api_of(client, None, DEFINITION);
    let patch = Patch::Merge(json!({"spec": {"conversion": conversion}}));
    for (api, _) in OPTIONAL {
        let patched = definitions.patch(api.name(), &PatchParams::default(), &patch);
        patched.await.expect("patched");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_optional_apis_fail() {
    let cluster = own().await;
    let client = cluster.client().expect("a client");
    for (api, _) in OPTIONAL {
        install_api(&client, api).await;
    }
    let kubeconfig = install(cluster).await;
    for kind in OPTIONAL.map(|(_, kind)| kind).into_iter().chain([TRUSTYAI]) {
        served(&client, kind).await;
    }
    let operator = start(&kubeconfig);
    for (failing, [background, foreground, namespace]) in [
        (Failing::Conversion, ["unread-bg", "unread-fg", "unread-ns"]),
        (
            Failing::Validation,
            ["unheard-bg", "unheard-fg", "unheard-ns"],
        ),
    ] {
        let background = Case::new(cluster, background).await;
        let foreground = Case::new(cluster, foreground).await;
        let namespace = Case::new(cluster, namespace).await;
        let all = [&background, &foreground, &namespace];
        for case in all {
            case.complete().await;
        }
        failing.begin(&client).await;
        background.delete(&DeleteParams::background()).await;
        foreground.delete(&DeleteParams::foreground()).await;
        namespace.delete_namespace().await;
        for case in all {
            case.gone().await;
        }
        // What is left is of these APIs. It goes when they answer, and the namespace with it, which
        // is the cluster's own work.
        failing.end(cluster, &client).await;
        for case in [&background, &foreground] {
            nothing_left(&case.world, case.name).await;
        }
        namespace.namespace_gone().await;
    }
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_goes_while_the_server_of_an_api_is_down() {
    let cluster = own().await;
    let client = cluster.client().expect("a client");
    let kubeconfig = install(cluster).await;
    let routes = cluster.serve_aggregated(AggregatedApi::ROUTE).await;
    let routes = routes.expect("served");
    served(&client, TRUSTYAI).await;
    let operator = start(&kubeconfig);
    let mut cases = Vec::new();
    for name in ["down-bg", "down-fg", "down-ns"] {
        let world = World::on(cluster, name).await;
        world.service(name, &files()).await;
        cases.push(Case { world, name });
    }
    for Case { world, name } in &cases {
        world.until(ROUTE, name, |_| true).await;
        world.until(DEPLOYMENT, name, |_| true).await;
    }
    let registration = routes.name();
    drop(routes);
    let [background, foreground, namespace] = &cases[..] else {
        panic!("three cases");
    };
    background.delete(&DeleteParams::background()).await;
    foreground.delete(&DeleteParams::foreground()).await;
    namespace.delete_namespace().await;
    for case in &cases {
        case.gone().await;
    }
    // The cluster itself waits for every API that is registered.
    let withdraw = ["delete", "apiservice", &registration];
    cluster.kubectl(&withdraw).await.expect("withdrawn");
    namespace.namespace_gone().await;
    for case in [background, foreground] {
        nothing_left(&case.world, case.name).await;
    }
    tokio::task::spawn_blocking(move || operator.stop())
        .await
        .expect("it ended");
}
