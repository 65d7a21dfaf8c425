//! APIs that a cluster may lack, and that come: used without a restart.

use std::time::{Duration, Instant};

use cluster::{Cluster, Foreign, Platform, StandIn, api_of, eventually};
use kube::ResourceExt;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use resources::Kind;
use resources::kind::{
    BACKEND_TLS_POLICY, DEFINITION, DEPLOYMENT, DESTINATION_RULE, HTTP_ROUTE, ROUTE,
    SERVICE_MONITOR, VIRTUAL_SERVICE,
};
use serde_json::{Value, json};
use trustyai_operator::wiring::logger::INFERENCE_SERVICE;

use crate::harness::{COLLECTED, INSTALLATION, SOON, TRUSTYAI, World, files, start};

/// An API that is established is used within this time, on a machine that has a processor for
/// whoever wants one.
const PROMISED: Duration = Duration::from_secs(5);

/// [`PROMISED`], as many times as there were processes for each processor in the last minute.
fn allowed() -> Duration {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: f64 = load
        .split(' ')
        .next()
        .and_then(|minute| minute.parse().ok())
        .unwrap_or(1.0);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let processors = u32::try_from(processors).expect("a number of processors");
    PROMISED.mul_f64((load / f64::from(processors)).max(1.0))
}

/// Installs a definition, and says when the server had established it.
async fn established(cluster: &Cluster, definition: &str) -> Instant {
    let client = cluster.client().expect("a client");
    let applied = cluster::apply_yaml(&client, "default", definition).await;
    let applied = applied.expect("applied");
    let definitions = api_of(&client, None, DEFINITION);
    for name in applied.iter().map(ResourceExt::name_any) {
        let is_established = |found: Option<&DynamicObject>| {
            found.is_some_and(|found| {
                let mut conditions = cluster::conditions(&found.data);
                conditions.any(|one| one["type"] == "Established" && one["status"] == "True")
            })
        };
        cluster::until(&definitions, &name, SOON, is_established)
            .await
            .expect("established");
    }
    Instant::now()
}

/// Waits until the service has an object of an API that has just come.
async fn used(
    world: &World,
    (kind, name): (Kind, &str),
    since: Instant,
    holds: impl Fn(&DynamicObject) -> bool,
) {
    world.until(kind, name, holds).await;
    let (took, allowed) = (since.elapsed(), allowed());
    println!("{kind}: used after {took:.1?} of {allowed:.1?}");
    assert!(took < allowed, "{kind} took {took:?}");
}

fn any(_: &DynamicObject) -> bool {
    true
}

/// Models of KServe and of ModelMesh, as somebody makes them once their APIs are there.
async fn create(world: &World, kind: Kind, object: &Value) {
    let object: DynamicObject = serde_json::from_value(object.clone()).expect("an object");
    let api = world.api(kind);
    eventually(&format!("{kind} is served"), SOON, || async {
        let made = api.create(&PostParams::default(), &object).await;
        made.map(drop).map_err(|error| error.to_string())
    })
    .await
    .expect("created");
}

/// What a controller says of an object of the service.
async fn answer(world: &World, kind: Kind, status: Value) -> DynamicObject {
    let patch = Patch::Merge(json!({ "status": status }));
    let params = PatchParams::default();
    let told = world.api(kind).patch_status("early", &params, &patch).await;
    told.expect("answered")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apis_that_come_one_by_one_are_used() {
    let site = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(&site.kubeconfig);
    let world = World(site.world("optional").await);
    let mut spec = files();
    spec["expose"] = json!({"hosts": ["a.example.test"], "gateways": [{"name": "public"}]});
    world.service("early", &spec).await;
    // Nothing that is missing keeps it from being there.
    for condition in ["Available", "Ready"] {
        world.condition("early", condition, "True").await;
    }
    let service = world.ready("early").await;
    let mut conditions = cluster::conditions(&service.data);
    assert!(conditions.all(|condition| condition["type"] != "RouteAvailable"));

    let missing = world.condition("early", "Exposed", "False").await;
    assert_eq!(missing["reason"], "APIMissing");

    // A model of ModelMesh is there before InferenceServices are: nobody asks for it.
    let labels = json!({"modelmesh-service": "modelmesh-serving"});
    let server = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "modelmesh-serving-a", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "mm", "image": "i"}]}}}});
    create(&world, DEPLOYMENT, &server).await;

    for (api, kind) in [
        (StandIn::ServiceMonitor, SERVICE_MONITOR),
        (StandIn::HttpRoute, HTTP_ROUTE),
        (StandIn::BackendTlsPolicy, BACKEND_TLS_POLICY),
        (StandIn::Route, ROUTE),
    ] {
        let since = established(site.cluster, api.crd()).await;
        used(&world, (kind, "early"), since, any).await;
    }
    // Gateways speak TLS to the proxy, and are told whom to trust.
    let policy = world.api(BACKEND_TLS_POLICY).get("early").await;
    let host = format!("early-tls.{}.svc", world.namespace);
    assert_eq!(
        policy.expect("a policy").data["spec"]["validation"],
        json!({"hostname": &host, "caCertificateRefs": [
            {"group": "", "kind": "ConfigMap", "name": "early-ca"}]})
    );
    world.condition("early", "Exposed", "Unknown").await;
    let parent = json!({"parentRef": {"name": "public"}, "controllerName": "example.test/gateways",
        "conditions": [{"type": "Accepted", "status": "True", "reason": "R", "message": "m"}]});
    answer(&world, HTTP_ROUTE, json!({"parents": [parent]})).await;
    world.condition("early", "Exposed", "True").await;
    // Its certificate goes on: routers are told whom to trust.
    let route = answer(
        &world,
        ROUTE,
        json!({"ingress": [{"host": "a.example.test", "routerName": "default",
            "conditions": [{"type": "Admitted", "status": "True"}]}]}),
    )
    .await;
    assert!(route.data["spec"]["tls"]["destinationCACertificate"].is_string());

    let since = established(site.cluster, StandIn::InferenceService.crd()).await;
    let is_told =
        |server: &DynamicObject| server.data["spec"].to_string().contains("early-internal");
    used(&world, (DEPLOYMENT, "modelmesh-serving-a"), since, is_told).await;
    let model = json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "model", "annotations": {
            "serving.kserve.io/deploymentMode": "Standard", "sidecar.istio.io/inject": "true"}},
        "spec": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}});
    create(&world, INFERENCE_SERVICE, &model).await;
    let logs = |model: &DynamicObject| model.data["spec"]["predictor"]["logger"].is_object();
    used(&world, (INFERENCE_SERVICE, "model"), Instant::now(), logs).await;

    let mut crds = Foreign::Istio.crds().expect("the definitions");
    crds.retain(|crd| {
        let kinds = [DESTINATION_RULE, VIRTUAL_SERVICE];
        kinds
            .iter()
            .any(|kind| crd.contains(&format!("\n  name: {}\n", kind.resource())))
    });
    assert_eq!(crds.len(), 2);
    for crd in crds {
        let since = established(site.cluster, &crd).await;
        let (kind, name) = if crd.contains(&DESTINATION_RULE.resource()) {
            (DESTINATION_RULE, "early-internal")
        } else {
            (VIRTUAL_SERVICE, "early-redirect")
        };
        used(&world, (kind, name), since, any).await;
    }

    // What somebody changes comes back, and what is asked for no more goes.
    let other = json!({"spec": {"validation": {"hostname": "other"}}});
    world.edit(BACKEND_TLS_POLICY, "early", other).await;
    let is_back =
        |policy: &DynamicObject| policy.data["spec"]["validation"]["hostname"] == host.as_str();
    world.until(BACKEND_TLS_POLICY, "early", is_back).await;
    let none = json!({"spec": {"expose": null}});
    world.edit(TRUSTYAI, "early", none).await;
    for kind in [BACKEND_TLS_POLICY, HTTP_ROUTE] {
        let gone = cluster::gone(&world.api(kind), "early", SOON).await;
        gone.expect("gone");
    }
    world.ready("early").await;
    let services = world.api(TRUSTYAI);
    cluster::remove(&services, "early", &DeleteParams::foreground(), COLLECTED)
        .await
        .expect("gone");
    // The garbage collector may learn of Routes after the service went.
    cluster::gone(&world.api(ROUTE), "early", COLLECTED)
        .await
        .expect("gone");
    operator.stop();
}
