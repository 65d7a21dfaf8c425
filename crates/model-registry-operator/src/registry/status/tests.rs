use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use resources::Plan;
use resources::kind::{INGRESS_CONFIG, NETWORK_POLICY};
use runtime::offline::{OfflineInputs, Platform};
use runtime::outcome::{Outcome, Target};
use serde_json::{Value, json};

use super::super::config::Config;
use super::super::error::Error;
use super::super::observe::Observation;
use super::*;

const NAME: &str = "r";
const NAMESPACE: &str = "ns";

/// A resource and the cluster that it is in.
struct World {
    registry: Registry,
    resource: ModelRegistry,
    documents: Vec<Value>,
    platform: Platform,
    outcome: Outcome,
    missing_rules: Vec<String>,
    paused: bool,
    now: Timestamp,
}

impl World {
    fn new(mut spec: Value) -> Self {
        spec["rest"] = json!({});
        let lookup = |_: &str| None;
        Self {
            registry: Registry {
                config: Config::from_lookup(lookup).unwrap(),
            },
            resource: serde_json::from_value(json!({
                "apiVersion": "modelregistry.opendatahub.io/v1beta1",
                "kind": "ModelRegistry",
                "metadata": {"name": NAME, "namespace": NAMESPACE, "uid": "u", "generation": 4},
                "spec": spec,
            }))
            .unwrap(),
            documents: vec![json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": NAMESPACE},
                "stringData": {"password": "secret"},
            })],
            platform: Platform::Kubernetes,
            outcome: Outcome::default(),
            missing_rules: Vec::new(),
            paused: false,
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn env(mut self, variables: &[(&str, &str)]) -> Self {
        let lookup = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        self.registry.config = Config::from_lookup(lookup).unwrap();
        self
    }

    fn on_openshift(mut self) -> Self {
        self.platform = Platform::OpenShift;
        self.with(json!({
            "apiVersion": "config.openshift.io/v1", "kind": "Ingress", "metadata": {"name": "cluster"},
            "spec": {"domain": "apps.example.test"},
        }))
    }

    fn with(mut self, document: Value) -> Self {
        self.documents.push(document);
        self
    }

    fn with_all(mut self, documents: impl IntoIterator<Item = Value>) -> Self {
        self.documents.extend(documents);
        self
    }

    /// One pass. What it says is what the next one starts from.
    fn pass(&mut self) -> ModelRegistryStatus {
        let capabilities = self
            .platform
            .capabilities(&self.registry, &[INGRESS_CONFIG]);
        let inputs = OfflineInputs::new(
            &self.registry,
            &self.resource,
            &self.documents,
            capabilities,
            self.now,
        );
        let observed: Result<Observation, Error> = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(self.registry.observe(&self.resource, &inputs));
        let planned = observed
            .as_ref()
            .ok()
            .map(|seen| self.registry.plan(&self.resource, seen));
        let planned = planned.unwrap_or_else(|| Ok(Plan::default()));
        let attempt = Attempt {
            observation: observed.as_ref().ok(),
            plan: planned.as_ref().ok(),
            failure: observed.as_ref().err().or(planned.as_ref().err()),
            outcome: &self.outcome,
            paused: self.paused,
            missing_rules: &self.missing_rules,
            now: self.now,
        };
        let status = status(&self.registry, &self.resource, &attempt, &inputs);
        self.resource.status = Some(status.clone());
        status
    }
}

fn mysql() -> Value {
    json!({"mysql": {"host": "h", "database": "d", "username": "u", "passwordSecret": {"name": "db", "key": "password"}}})
}

fn proxied() -> Value {
    let mut spec = mysql();
    spec["kubeRBACProxy"] = json!({});
    spec
}

fn labels(name: &str) -> Value {
    json!({"app": NAME, "component": "model-registry", "app.kubernetes.io/name": name})
}

/// A Deployment as the loop keeps it: without `apiVersion`, `kind` and most of the metadata in a
/// cluster, with them here.
fn deployment(generation: i64, observed: i64, counts: [i32; 3], conditions: Value) -> Value {
    let [replicas, updated, unavailable] = counts;
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "generation": generation, "labels": labels(NAME)},
        "spec": {"replicas": 1, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": observed, "replicas": replicas, "updatedReplicas": updated,
            "unavailableReplicas": unavailable, "conditions": conditions,
        },
    })
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message})
}

fn minimum(status: &str) -> Value {
    let message = if status == "True" {
        "has"
    } else {
        "does not have"
    };
    condition(
        "Available",
        status,
        "MinimumReplicas",
        &format!("Deployment {message} minimum availability."),
    )
}

fn rolling() -> Value {
    condition("Progressing", "True", "ReplicaSetUpdated", "is progressing")
}

fn rolled_out() -> Value {
    condition(
        "Progressing",
        "True",
        "NewReplicaSetAvailable",
        "has successfully progressed",
    )
}

fn up() -> Value {
    deployment(1, 1, [1, 1, 0], json!([minimum("True"), rolled_out()]))
}

fn broken() -> Value {
    deployment(1, 1, [1, 1, 1], json!([minimum("False"), rolling()]))
}

fn slice(ready: bool) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "r-x", "namespace": NAMESPACE, "labels": {
            "app": NAME, "component": "model-registry", "kubernetes.io/service-name": NAME}},
        "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
    })
}

fn pod(name: &str, of: &str, containers: &[&str], statuses: Value) -> Value {
    let containers: Vec<_> = containers
        .iter()
        .map(|name| json!({"name": name}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels(of)},
        "spec": {"containers": containers},
        "status": {"containerStatuses": statuses},
    })
}

fn container(name: &str, ready: bool, state: Value) -> Value {
    json!({"name": name, "ready": ready, "restartCount": 0, "image": "", "imageID": "", "state": state})
}

fn running(name: &str, ready: bool) -> Value {
    container(name, ready, json!({"running": {}}))
}

fn waiting(name: &str, reason: &str, message: &str) -> Value {
    container(
        name,
        false,
        json!({"waiting": {"reason": reason, "message": message}}),
    )
}

const BOTH: &[&str] = &["rest-container", "kube-rbac-proxy"];

fn good_pod(name: &str) -> Value {
    pod(
        name,
        NAME,
        BOTH,
        json!([
            running("rest-container", true),
            running("kube-rbac-proxy", true)
        ]),
    )
}

fn get<'a>(status: &'a ModelRegistryStatus, type_: &str) -> &'a Condition {
    status
        .conditions
        .iter()
        .find(|c| c.type_ == type_)
        .unwrap_or_else(|| panic!("no {type_}: {status:?}"))
}

fn has(status: &ModelRegistryStatus, type_: &str) -> bool {
    status.conditions.iter().any(|c| c.type_ == type_)
}

fn brief(status: &ModelRegistryStatus, type_: &str) -> (String, String, String) {
    let condition = get(status, type_);
    (
        condition.status.clone(),
        condition.reason.clone(),
        condition.message.clone(),
    )
}

fn expect(status: &str, reason: &str, message: &str) -> (String, String, String) {
    (status.to_owned(), reason.to_owned(), message.to_owned())
}

fn down(documents: impl IntoIterator<Item = Value>) -> String {
    let status = World::new(mysql()).with_all(documents).pass();
    let (available, reason, message) = brief(&status, "Available");
    assert_eq!(
        (available.as_str(), reason.as_str()),
        ("False", "DeploymentUnavailable")
    );
    message
}

#[test]
fn a_registry_that_starts_is_told_of_twice() {
    let starting = |statuses| pod("p", NAME, BOTH, statuses);
    let stages = [
        vec![],
        vec![deployment(1, 0, [0, 0, 0], json!([]))],
        vec![deployment(
            1,
            1,
            [0, 0, 1],
            json!([condition("Progressing", "True", "NewReplicaSetCreated", "")]),
        )],
        vec![broken(), starting(json!([]))],
        vec![
            broken(),
            starting(json!([
                waiting("rest-container", "ContainerCreating", ""),
                waiting("kube-rbac-proxy", "PodInitializing", "")
            ])),
            slice(false),
        ],
        vec![
            broken(),
            starting(json!([
                running("rest-container", false),
                running("kube-rbac-proxy", true)
            ])),
            slice(false),
        ],
        vec![up(), good_pod("p"), slice(false)],
        vec![up(), good_pod("p"), slice(true)],
    ];
    let mut world = World::new(proxied());
    let given = world.documents.len();
    let mut told = Vec::new();
    for stage in stages {
        world.documents.truncate(given);
        world.documents.extend(stage);
        world.now += jiff::SignedDuration::from_secs(1);
        told.push(world.pass());
    }
    told.dedup();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(
        brief(&told[0], "Available"),
        expect("False", "DeploymentUnavailable", STARTING)
    );
    assert_eq!(
        brief(&told[0], "Progressing"),
        expect("True", "CreatingDeployment", "Creating deployment")
    );
    assert_eq!(
        brief(&told[0], "KubeRBACProxyAvailable"),
        expect("False", "ResourcesUnavailable", STARTING)
    );
    assert!(STARTING.contains("ContainerCreating"));
}

#[test]
fn a_registry_at_rest_says_what_the_go_operator_said() {
    let mut world = World::new(proxied()).with_all([up(), good_pod("p"), slice(true)]);
    let status = world.pass();
    assert_eq!(
        brief(&status, "Progressing"),
        expect(
            "False",
            "CreatedDeployment",
            "Deployment was successfully created"
        )
    );
    assert_eq!(
        brief(&status, "Available"),
        expect("True", "DeploymentAvailable", "Deployment is available")
    );
    assert_eq!(
        brief(&status, "KubeRBACProxyAvailable"),
        expect(
            "True",
            "ResourcesAvailable",
            "kube-rbac-proxy was successfully created"
        )
    );
    assert_eq!(get(&status, "Ready").status, "True");
    assert_eq!(get(&status, "DatabaseConfigValid").status, "True");
    assert_eq!(status.conditions.len(), 5, "{status:?}");
    assert_eq!(status.observed_generation, Some(4));
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.observed_generation == Some(4))
    );
    world.now += jiff::SignedDuration::from_hours(1);
    assert_eq!(
        world.pass(),
        status,
        "nothing changes while nothing changes"
    );
}

#[test]
fn no_stale_true_after_an_edit() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    assert_eq!(get(&world.pass(), "Available").status, "True");
    world.resource.metadata.generation = Some(5);
    for deployment in [
        deployment(2, 1, [1, 1, 0], json!([minimum("True"), rolled_out()])),
        // The old pod is available, the new one is not.
        deployment(2, 2, [2, 1, 1], json!([minimum("True"), rolling()])),
        deployment(2, 2, [2, 1, 0], json!([minimum("True"), rolling()])),
    ] {
        world.documents[1] = deployment;
        let status = world.pass();
        assert_eq!(
            brief(&status, "Available"),
            expect("False", "DeploymentUnavailable", STARTING)
        );
        assert_eq!(
            brief(&status, "Progressing"),
            expect("True", "UpdatingDeployment", "Updating deployment")
        );
        assert_eq!(get(&status, "Ready").status, "False");
    }
    world.documents[1] = deployment(2, 2, [1, 1, 0], json!([minimum("True"), rolled_out()]));
    assert_eq!(get(&world.pass(), "Available").status, "True");
}

#[test]
fn what_this_pass_has_written_is_not_up_yet() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    let target = Target {
        kind: DEPLOYMENT,
        namespace: Some(NAMESPACE.into()),
        name: NAME.into(),
    };
    world.outcome.updated.push(target);
    let planned = {
        let inputs = OfflineInputs::new(
            &world.registry,
            &world.resource,
            &world.documents,
            Platform::Kubernetes.capabilities(&world.registry, &[]),
            world.now,
        );
        let seen = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
            .block_on(world.registry.observe(&world.resource, &inputs))
            .unwrap();
        world
            .registry
            .plan(&world.resource, &seen)
            .unwrap()
            .get(DEPLOYMENT, NAME)
            .unwrap()
            .body
            .clone()
    };
    assert_eq!(brief(&world.pass(), "Available").2, STARTING);
    // A repair of a label changes no pod.
    world.documents[1]["spec"] = planned["spec"].clone();
    assert_eq!(get(&world.pass(), "Available").status, "True");
}

#[test]
fn real_problems_are_shown_in_a_stable_order() {
    let containers = &["z", "a"];
    let crash = json!({"name": "a", "ready": false, "restartCount": 3, "image": "", "imageID": "",
        "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "{{ALERT}} schema is dirty\n"}}});
    for (statuses, message) in [
        (
            json!([
                waiting("z", "ImagePullBackOff", "no image"),
                container(
                    "a",
                    false,
                    json!({"terminated": {"exitCode": 2, "reason": "Error", "message": "no"}})
                )
            ]),
            "pod p has unready containers [a: {terminated: {reason: Error, message: no}}, z: {waiting: {reason: ImagePullBackOff, message: no image}}]",
        ),
        (
            json!([
                waiting("a", "CreateContainerConfigError", "secret \"x\" not found"),
                waiting("z", "ContainerCreating", "")
            ]),
            "pod p has unready containers [a: {waiting: {reason: CreateContainerConfigError, message: secret \"x\" not found}}]",
        ),
        (
            json!([crash]),
            "pod p has unready containers [a: {terminated: {reason: Error, message: {{ALERT}} schema is dirty}}]",
        ),
    ] {
        assert_eq!(
            down([broken(), pod("p", NAME, containers, statuses)]),
            format!("Deployment is unavailable: {message}")
        );
    }
    let mut unschedulable = pod("p", NAME, containers, json!([]));
    unschedulable["status"]["conditions"] = json!([{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]);
    assert_eq!(
        down([broken(), unschedulable]),
        "Deployment is unavailable: pod p containers not ready: {reason: Unschedulable, message: 0/1 nodes}"
    );
}

#[test]
fn the_deployment_speaks_where_pods_say_nothing() {
    let deadline = condition(
        "Progressing",
        "False",
        "ProgressDeadlineExceeded",
        "has timed out",
    );
    let quota = condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota");
    let stalled = deployment(1, 1, [1, 1, 1], json!([minimum("False"), deadline]));
    assert_eq!(
        down([stalled.clone()]),
        "Deployment is unavailable: has timed out"
    );
    assert_eq!(
        down([deployment(
            1,
            1,
            [0, 0, 1],
            json!([minimum("False"), rolling(), quota])
        )]),
        "Deployment is unavailable: exceeded quota"
    );
    let status = World::new(mysql()).with(stalled).pass();
    assert_eq!(
        brief(&status, "Progressing"),
        expect("False", "ProgressDeadlineExceeded", "has timed out")
    );
    // It was up before, and its pod is not ready any more.
    let fallen = deployment(1, 1, [1, 1, 1], json!([minimum("False"), rolled_out()]));
    let idle = pod(
        "p",
        NAME,
        &["rest-container"],
        json!([running("rest-container", false)]),
    );
    assert_eq!(
        down([fallen.clone(), idle]),
        "Deployment is unavailable: Deployment does not have minimum availability."
    );
    assert_eq!(down([fallen]), STARTING, "its pod is being replaced");
}

#[test]
fn endpoints_decide_and_are_not_needed_where_they_cannot_be_watched() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    world.pass();
    world.documents[2] = slice(false);
    assert_eq!(
        brief(&world.pass(), "Available").2,
        "Service endpoints not ready - no ready addresses available"
    );
    assert_eq!(
        brief(&world.pass(), "Available").2,
        "Service endpoints not ready - no ready addresses available"
    );
    world.documents.truncate(2);
    assert!(
        brief(&world.pass(), "Available")
            .2
            .starts_with("Service endpoints not found: ")
    );
    world.missing_rules = vec!["list endpointslices.discovery.k8s.io".into()];
    let status = world.pass();
    assert_eq!(get(&status, "Available").status, "True");
    assert_eq!(
        brief(&status, "RightsMissing"),
        expect(
            "True",
            "MissingRights",
            "the operator's service account lacks: list endpointslices.discovery.k8s.io"
        )
    );
    assert_eq!(get(&status, "Ready").status, "True");
}

#[test]
fn pods_of_the_database_are_not_those_of_the_registry() {
    let crashing = |of| {
        pod(
            "p",
            of,
            &["postgresql"],
            json!([waiting("postgresql", "CrashLoopBackOff", "back-off")]),
        )
    };
    let mut world =
        World::new(proxied()).with_all([up(), good_pod("q"), crashing("r-postgres"), slice(true)]);
    assert_eq!(get(&world.pass(), "Available").status, "True");
    // The registry waits for its database: then that is the news.
    assert_eq!(
        down([broken(), crashing("r-postgres")]),
        "Deployment is unavailable: pod p has unready containers [postgresql: {waiting: {reason: CrashLoopBackOff, message: back-off}}]"
    );
}

/// The cases of the Go operator's test of pods, A to J, and two of ours.
#[test]
fn pods_of_the_proxy() {
    let bad = |name: &str| {
        pod(
            name,
            NAME,
            BOTH,
            json!([
                running("rest-container", true),
                running("kube-rbac-proxy", false)
            ]),
        )
    };
    let leaving = |mut pod: Value| {
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        pod
    };
    let with_both = |statuses| pod("p", NAME, BOTH, statuses);
    let cases: [(&str, Vec<Value>, Option<&str>); 12] = [
        ("A: no pods", vec![], Some("No Pods found for Deployment r")),
        (
            "B: one container",
            vec![pod(
                "p",
                NAME,
                &["rest-container"],
                json!([running("rest-container", true)]),
            )],
            Some("kube-rbac-proxy proxy unavailable in Pod p"),
        ),
        ("C: both ready", vec![good_pod("p")], None),
        (
            "D: ContainerCreating",
            vec![with_both(json!([
                running("rest-container", true),
                waiting("kube-rbac-proxy", "ContainerCreating", "")
            ]))],
            Some("container kube-rbac-proxy not ready in Pod p"),
        ),
        (
            "E: CrashLoopBackOff",
            vec![with_both(json!([
                waiting("rest-container", "CrashLoopBackOff", ""),
                running("kube-rbac-proxy", true)
            ]))],
            Some("container rest-container not ready in Pod p"),
        ),
        (
            "F: no statuses",
            vec![with_both(json!([]))],
            Some("container status not yet available in Pod p"),
        ),
        (
            "G: one of several unready",
            vec![bad("a"), good_pod("b")],
            None,
        ),
        (
            "H: one on its way out",
            vec![leaving(bad("a")), good_pod("b")],
            None,
        ),
        (
            "I: all on their way out",
            vec![leaving(good_pod("a"))],
            Some("No active Pods found for Deployment r"),
        ),
        (
            "J: all unready",
            vec![bad("b"), bad("a")],
            Some("container kube-rbac-proxy not ready in Pod a"),
        ),
        (
            "injected sidecar",
            vec![pod(
                "p",
                NAME,
                &["rest-container", "kube-rbac-proxy", "istio-proxy"],
                json!([
                    running("istio-proxy", true),
                    running("rest-container", true),
                    running("kube-rbac-proxy", true)
                ]),
            )],
            None,
        ),
        (
            "only a pod of the database",
            vec![pod("p", "r-postgres", BOTH, json!([]))],
            Some("No Pods found for Deployment r"),
        ),
    ];
    for (case, pods, message) in cases {
        let status = World::new(proxied())
            .with_all([up(), slice(true)])
            .with_all(pods)
            .pass();
        let wanted = message.map_or(("True", "ResourcesAvailable", proxy::AVAILABLE), |m| {
            ("False", "ResourcesUnavailable", m)
        });
        assert_eq!(
            brief(&status, "KubeRBACProxyAvailable"),
            expect(wanted.0, wanted.1, wanted.2),
            "{case}"
        );
        assert_eq!(get(&status, "Available").status, wanted.0, "{case}");
        if let Some(message) = message {
            assert_eq!(
                brief(&status, "Available"),
                expect("False", "ResourcesUnavailable", message),
                "{case}"
            );
        }
    }
}

#[test]
fn the_route_of_the_proxy_must_be_admitted() {
    let route = |ingress: Value| {
        json!({"apiVersion": "route.openshift.io/v1", "kind": "Route",
            "metadata": {"name": "r-https", "namespace": NAMESPACE, "labels": labels(NAME)},
            "spec": {"host": "r-rest.apps.example.test"}, "status": {"ingress": ingress}})
    };
    let admitted = |status: &str| json!({"type": "Admitted", "status": status, "reason": "HostTaken", "message": "taken"});
    let start = "KubeRBACProxy Route r-https is unavailable: ";
    for (route, message) in [
        (vec![], Some("no router has admitted it yet")),
        (
            vec![route(json!([]))],
            Some("no router has admitted it yet"),
        ),
        (
            vec![route(json!([{"host": "h"}]))],
            Some("Host h in Route r-https is unavailable"),
        ),
        (
            vec![route(
                json!([{"host": "h", "conditions": [admitted("True"), admitted("False")]}]),
            )],
            Some("Host h in Route r-https is unavailable: {reason: HostTaken, message: taken}"),
        ),
        (
            vec![route(
                json!([{"host": "h", "conditions": [admitted("False")]}, {"host": "h", "conditions": [admitted("True")]}]),
            )],
            None,
        ),
    ] {
        let world =
            World::new(proxied())
                .on_openshift()
                .with_all([up(), slice(true), good_pod("p")]);
        let status = world.with_all(route).pass();
        match message {
            Some(message) => {
                let message = format!("{start}{message}");
                assert_eq!(
                    brief(&status, "Available"),
                    expect("False", "ResourcesUnavailable", &message)
                );
            }
            None => assert_eq!(get(&status, "KubeRBACProxyAvailable").status, "True"),
        }
    }
    let mut closed = proxied();
    closed["kubeRBACProxy"]["serviceRoute"] = json!("disabled");
    let mut world = World::new(closed)
        .on_openshift()
        .with_all([up(), slice(true), good_pod("p")]);
    assert_eq!(get(&world.pass(), "Available").status, "True");
}

#[test]
fn conditions_of_other_times_go_and_those_of_others_stay() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    let old = |type_: &str| json!({"type": type_, "status": "False", "reason": "Old", "message": "", "lastTransitionTime": "2020-01-01T00:00:00Z"});
    let types = [
        "IstioAvailable",
        "GatewayAvailable",
        "OAuthProxyAvailable",
        "KubeRBACProxyAvailable",
        "Degraded",
        "example.com/Audited",
        "Available",
    ];
    world.resource.status =
        Some(serde_json::from_value(json!({"conditions": types.map(old)})).unwrap());
    let status = world.pass();
    let types: Vec<_> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(
        types,
        [
            "Ready",
            "Progressing",
            "Available",
            "DatabaseConfigValid",
            "example.com/Audited"
        ]
    );
}

#[test]
fn what_is_missing_is_said_where_pods_only_wait() {
    let mut world = World::new(mysql()).with_all([
        broken(),
        pod(
            "p",
            NAME,
            &["rest-container"],
            json!([waiting("rest-container", "ContainerCreating", "")]),
        ),
    ]);
    world.documents.remove(0);
    let status = world.pass();
    let sentence = "spec.mysql.passwordSecret: Secret db does not exist; create it";
    assert_eq!(
        brief(&status, "Available"),
        expect(
            "False",
            "ConfigurationError",
            &format!("database configuration error: {sentence}")
        )
    );
    assert_eq!(
        brief(&status, "DatabaseConfigValid"),
        expect("False", "Invalid", sentence)
    );
    // Pods that run go on running.
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    world.documents.remove(0);
    let status = world.pass();
    assert_eq!(
        (
            &*get(&status, "Available").status,
            &*get(&status, "Ready").status
        ),
        ("True", "False")
    );
}

#[test]
fn failures_are_told_with_their_reason() {
    let status = World::new(json!({})).with_all([up(), slice(true)]).pass();
    assert_eq!(get(&status, "Available").reason, "InvalidSpec");
    assert!(
        get(&status, "Available").message.contains("spec.mysql"),
        "{status:?}"
    );
    assert_eq!(status.observed_generation, Some(4));

    let mut other = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
        "metadata": {"name": NAME, "namespace": "elsewhere", "uid": "o", "creationTimestamp": "2020-01-01T00:00:00Z"}});
    let status = World::new(mysql()).with(other.take()).pass();
    assert_eq!(brief(&status, "Available").1, "NameConflict");
    assert!(brief(&status, "Available").2.contains("elsewhere"));
    assert!(
        !has(&status, "DatabaseConfigValid"),
        "the dashboard would list it"
    );

    // An earlier spec runs on: what was told of it is not lost, and its proxy is not stale.
    let mut world = World::new(proxied()).with_all([up(), slice(true), good_pod("p")]);
    let before = world.pass();
    world.resource.spec.mysql = None;
    let status = world.pass();
    assert_eq!((&status.hosts, &status.url), (&before.hosts, &before.url));
    assert_eq!(get(&status, "KubeRBACProxyAvailable").status, "False");
}

#[test]
fn writes_that_failed_name_the_object_and_the_servers_sentence() {
    let failed = |kind, rule: Option<&str>| Failed {
        target: Target {
            kind,
            namespace: Some(NAMESPACE.into()),
            name: "x".into(),
        },
        missing_rule: rule.map(Into::into),
        message: "the server says no".into(),
    };
    let world = || World::new(mysql()).with_all([up(), slice(true)]);
    let mut one = world();
    one.outcome.failed = vec![failed(SERVICE, None), failed(NETWORK_POLICY, None)];
    assert_eq!(
        brief(&one.pass(), "Available"),
        expect(
            "False",
            "DeploymentUnavailable",
            "Service ns/x could not be written: the server says no (1 more)"
        )
    );
    let mut optional = world();
    optional.outcome.failed = vec![failed(
        NETWORK_POLICY,
        Some("create networkpolicies.networking.k8s.io"),
    )];
    optional.missing_rules = vec!["create networkpolicies.networking.k8s.io".into()];
    let status = optional.pass();
    assert_eq!(get(&status, "Available").status, "True");
    assert!(has(&status, "RightsMissing"));
    let mut foreign = world();
    foreign.outcome.foreign = vec![failed(SERVICE, None).target];
    assert_eq!(
        brief(&foreign.pass(), "Available"),
        expect(
            "False",
            "ObjectConflict",
            "Service ns/x belongs to somebody else; delete it or name the registry otherwise"
        )
    );
}

#[test]
fn a_paused_registry_says_so_and_nothing_else_new() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    let before = world.pass();
    world.paused = true;
    world.resource.metadata.generation = Some(9);
    let status = world.pass();
    assert_eq!(get(&status, "Paused").status, "True");
    assert_eq!(get(&status, "Available"), get(&before, "Available"));
    assert_eq!(
        status.observed_generation,
        Some(4),
        "the new generation has no effect yet"
    );
    assert_eq!(world.pass(), status);
    world.paused = false;
    assert!(!has(&world.pass(), "Paused"));
}

#[test]
fn warnings_are_there_while_there_are_some() {
    let mut spec = mysql();
    spec["grpc"] = json!({"port": 1});
    let status = World::new(spec).pass();
    assert_eq!(
        (
            &*get(&status, "SpecWarnings").status,
            &*get(&status, "SpecWarnings").reason
        ),
        ("True", "SpecWarnings")
    );
    assert!(get(&status, "SpecWarnings").message.contains("spec.grpc"));
    assert!(!has(&World::new(mysql()).pass(), "SpecWarnings"));
}

#[test]
fn addresses_come_external_first() {
    let hosts = |status: &ModelRegistryStatus| status.hosts_str.clone().unwrap();
    let inside = "r.ns.svc.cluster.local,r.ns,r";
    let plain = World::new(mysql()).pass();
    assert_eq!(
        (hosts(&plain), plain.url.as_deref()),
        (
            inside.to_owned(),
            Some("http://r.ns.svc.cluster.local:8080")
        )
    );
    let proxy = World::new(proxied()).pass();
    assert_eq!(
        (hosts(&proxy), proxy.url.as_deref()),
        (
            inside.to_owned(),
            Some("https://r.ns.svc.cluster.local:8443")
        )
    );
    let open = World::new(proxied()).on_openshift().pass();
    assert_eq!(hosts(&open), format!("r-rest.apps.example.test,{inside}"));
    assert_eq!(
        open.url.as_deref(),
        Some("https://r-rest.apps.example.test")
    );
    let gateway = World::new(proxied())
        .on_openshift()
        .env(&[("GATEWAY_DOMAIN", "gw.example.test")])
        .pass();
    assert_eq!(
        hosts(&gateway),
        format!("gw.example.test/model-registry/r,r-rest.apps.example.test,{inside}")
    );
    assert_eq!(
        gateway.url.as_deref(),
        Some("https://gw.example.test/model-registry/r")
    );
    let mut ports = proxied();
    ports["kubeRBACProxy"] = json!({"domain": "o.example.test", "routePort": 8443});
    let ports = World::new(ports).on_openshift().pass();
    assert_eq!(
        ports.url.as_deref(),
        Some("https://r-rest.o.example.test:8443")
    );
}

#[test]
fn spec_defaults_are_those_of_the_go_operator() {
    let images = [(
        "RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE",
        "quay.io/openshift/origin-kube-rbac-proxy:latest",
    )];
    let rest = r#""rest":{"image":"quay.io/opendatahub/model-registry:latest","resources":{"limits":{"memory":"256Mi"},"requests":{"cpu":"100m","memory":"256Mi"}}}"#;
    let told = |spec: Value| {
        World::new(spec)
            .env(&images)
            .on_openshift()
            .pass()
            .spec_defaults
            .unwrap()
    };
    assert_eq!(
        told(proxied()),
        format!(
            r#"{{"kubeRBACProxy":{{"domain":"apps.example.test","image":"quay.io/openshift/origin-kube-rbac-proxy:latest","tlsCertificateSecret":{{"key":"tls.crt","name":"r-kube-rbac-proxy"}},"tlsKeySecret":{{"key":"tls.key","name":"r-kube-rbac-proxy"}}}},{rest}}}"#
        )
    );
    let plain = |spec: Value| World::new(spec).env(&images).pass().spec_defaults.unwrap();
    assert_eq!(plain(mysql()), format!("{{{rest}}}"));
    assert_eq!(
        plain(json!({"postgres": {"host": "h", "username": "u", "database": "d"}})),
        format!(r#"{{"postgres":{{"image":"quay.io/sclorg/postgresql-16-c10s:latest"}},{rest}}}"#)
    );
    assert_eq!(
        plain(json!({"postgres": {"generateDeployment": true}})),
        format!(
            r#"{{"postgres":{{"database":"model_registry","generateDeployment":null,"host":"r-postgres","passwordSecret":{{"key":"password","name":"r-postgres-credentials"}},"sslMode":null,"username":"modelregistry"}},{rest}}}"#
        )
    );
}

#[test]
fn events_are_in_the_words_of_the_go_operator() {
    let world = World::new(mysql());
    let target = Target {
        kind: SERVICE,
        namespace: Some(NAMESPACE.into()),
        name: NAME.into(),
    };
    let told = |outcome: Outcome| {
        let attempt = Attempt {
            observation: None,
            plan: None,
            failure: None,
            outcome: &outcome,
            paused: false,
            missing_rules: &[],
            now: world.now,
        };
        events(&world.resource, &attempt)
            .into_iter()
            .map(|n| (n.warning, n.reason, n.message))
            .collect::<Vec<_>>()
    };
    let wrote = |created: bool, updated: bool| {
        let list = |yes: bool| if yes { vec![target.clone()] } else { vec![] };
        told(Outcome {
            created: list(created),
            updated: list(updated),
            ..Outcome::default()
        })
    };
    let created = (
        false,
        "ServiceCreated",
        "Created service for custom resource r in namespace ns".to_owned(),
    );
    let updated = (
        false,
        "ServiceUpdated",
        "Updated service for custom resource r in namespace ns".to_owned(),
    );
    assert_eq!(wrote(true, true), std::slice::from_ref(&created));
    assert_eq!(wrote(false, true), [updated]);
    assert_eq!(wrote(false, false), []);
    assert_eq!(
        farewell(&world.resource).message,
        "Custom Resource r is being deleted from the namespace ns"
    );
}

/// How the settings page of the dashboard reads conditions: the first test that holds.
fn label(status: &ModelRegistryStatus) -> &'static str {
    let is = |type_: &str, wanted: &str| {
        status
            .conditions
            .iter()
            .any(|c| c.type_ == type_ && c.status == wanted)
    };
    let messages: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.status == "False")
        .map(|c| &c.message)
        .collect();
    if status.conditions.is_empty() {
        "Progressing"
    } else if is("Available", "False") && !messages.iter().any(|m| m.contains("ContainerCreating"))
    {
        "Unavailable"
    } else if is("Degraded", "True") {
        "Degrading"
    } else if is("Available", "True") {
        "Available"
    } else {
        "Progressing"
    }
}

#[test]
fn the_dashboard_shows_what_is_so() {
    let crash = || {
        pod(
            "p",
            NAME,
            BOTH,
            json!([waiting("rest-container", "CrashLoopBackOff", "x")]),
        )
    };
    let starting = || {
        pod(
            "p",
            NAME,
            BOTH,
            json!([waiting("rest-container", "ContainerCreating", "")]),
        )
    };
    for (label_wanted, documents) in [
        ("Progressing", vec![]),
        ("Progressing", vec![broken(), starting()]),
        ("Available", vec![up(), slice(true), good_pod("p")]),
        ("Unavailable", vec![broken(), crash()]),
        (
            "Progressing",
            vec![
                deployment(2, 1, [1, 1, 0], json!([minimum("True"), rolled_out()])),
                good_pod("p"),
            ],
        ),
    ] {
        assert_eq!(
            label(&World::new(proxied()).with_all(documents.clone()).pass()),
            label_wanted,
            "{documents:?}"
        );
    }
    assert_eq!(label(&World::new(json!({})).pass()), "Unavailable");
    // Every False condition is listed when the registry is not available: all must be about that.
    let status = World::new(proxied()).with_all([broken(), crash()]).pass();
    let listed: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.status == "False")
        .map(|c| c.type_.as_str())
        .collect();
    assert_eq!(listed, ["Ready", "KubeRBACProxyAvailable", "Available"]);
}
