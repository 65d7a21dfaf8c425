//! What is told of a service that starts. Each status is a write.

use api::trustyai::v1::TrustyAIServiceStatus;
use operator_harness::recorded;
use proptest::prelude::*;
use resources::Plan;
use resources::kind::{DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, ROUTE, SECRET};
use runtime::offline::Platform;
use runtime::workload::STARTING;
use serde_json::{Value, json};

use crate::world::World;

/// What the cluster does while a service starts: in any order, but for what each waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Claimed,
    Bound,
    ServiceCertificate,
    ProxyCertificate,
    Routed,
    Admitted,
    Deployed,
    Counted,
    Unscheduled,
    Creating,
    Running,
    Ready,
    Available,
    Sliced,
    Endpoints,
}

use Step::{
    Admitted, Available, Bound, Claimed, Counted, Creating, Deployed, Endpoints, ProxyCertificate,
    Ready, Routed, Running, ServiceCertificate, Sliced, Unscheduled,
};

/// Each step, and what it waits for. A router answers before pods are ready: where it is later, that
/// is told by itself.
const STEPS: [(Step, &[Step]); 15] = [
    (Claimed, &[]),
    (Bound, &[Claimed]),
    (ServiceCertificate, &[]),
    (ProxyCertificate, &[]),
    (Routed, &[]),
    (Admitted, &[Routed]),
    (Deployed, &[Claimed]),
    (Counted, &[Deployed]),
    (Unscheduled, &[Counted]),
    (Creating, &[Unscheduled, Bound]),
    (Running, &[Creating, ServiceCertificate, ProxyCertificate]),
    (Ready, &[Running, Admitted]),
    (Available, &[Ready]),
    (Sliced, &[Counted]),
    (Endpoints, &[Sliced, Ready]),
];

/// What the Secret of a database has.
const CREDENTIALS: [&str; 6] = [
    "databaseKind",
    "databaseUsername",
    "databasePassword",
    "databaseService",
    "databasePort",
    "databaseName",
];

/// The steps by these ranks, as far as each may be taken.
fn order(ranks: &[u8]) -> Vec<Step> {
    let mut taken = Vec::new();
    while taken.len() < STEPS.len() {
        let open = STEPS.iter().zip(ranks).filter(|((step, before), _)| {
            !taken.contains(step) && before.iter().all(|other| taken.contains(other))
        });
        let ((next, _), _) = open.min_by_key(|(_, rank)| **rank).unwrap();
        taken.push(*next);
    }
    taken
}

/// What there is after these steps, of what the operator has planned.
fn cluster(plan: &Plan, taken: &[Step]) -> Vec<Value> {
    let has = |step| taken.contains(&step);
    let certificates = [
        ("tas-internal", has(ServiceCertificate)),
        ("tas-tls", has(ProxyCertificate)),
    ];
    let values = CREDENTIALS.map(|key| (key.to_owned(), "MzMwNg==".into()));
    let mut all = vec![secret("db", &Value::Object(values.into_iter().collect()))];
    for object in plan.objects() {
        let mut whole = recorded::live(object.kind, &object.body).into_iter();
        let mut first = |made: bool, answered: bool| {
            let mut object = whole.next().unwrap();
            if !answered {
                object["status"] = json!({});
            }
            made.then_some(object)
        };
        match object.kind {
            PERSISTENT_VOLUME_CLAIM => all.extend(first(has(Claimed), has(Bound))),
            ROUTE => {
                let mut route = first(has(Routed), has(Admitted));
                if let Some(router) = route.as_mut().and_then(|r| r["status"].get_mut("ingress")) {
                    router[0]["host"] = "tas.example.test".into();
                }
                all.extend(route);
            }
            DEPLOYMENT => {
                let mut deployment = first(has(Deployed), has(Available));
                if let Some(deployment) = deployment
                    .as_mut()
                    .filter(|_| has(Counted) && !has(Available))
                {
                    deployment["status"] = json!({
                        "observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
                        "unavailableReplicas": 1, "conditions": [
                            {"type": "Available", "status": "False", "message": "no minimum"},
                            {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
                        ],
                    });
                }
                all.extend(deployment);
                all.extend(
                    whole
                        .next()
                        .filter(|_| has(Unscheduled))
                        .map(|pod| said(pod, taken)),
                );
                let mut slice = whole.next().unwrap();
                if !has(Endpoints) {
                    slice["endpoints"] = json!([]);
                }
                all.extend(has(Sliced).then_some(slice));
            }
            SECRET => {
                let is_there = certificates
                    .iter()
                    .any(|(name, is_there)| *is_there && *name == object.name);
                all.extend(is_there.then(|| object.body.clone()));
            }
            _ => {}
        }
    }
    // OpenShift makes those that are not planned.
    let others = certificates
        .iter()
        .filter(|(name, is_there)| *is_there && plan.get(SECRET, name).is_none());
    all.extend(
        others.map(|(name, _)| secret(name, &json!({"tls.crt": "YQ==", "tls.key": "YQ=="}))),
    );
    all
}

fn secret(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "data": data})
}

/// A pod with what it says of itself.
fn said(mut pod: Value, taken: &[Step]) -> Value {
    let has = |step| taken.contains(&step);
    if has(Ready) {
        return pod;
    }
    if !has(Creating) {
        pod["status"] = json!({"conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "pod has unbound immediate PersistentVolumeClaims"}]});
        return pod;
    }
    let states = pod["status"]["containerStatuses"].as_array_mut();
    for container in states.into_iter().flatten() {
        container["ready"] = false.into();
        container["state"] = if has(Running) {
            json!({"running": {}})
        } else {
            json!({"waiting": {"reason": "ContainerCreating"}})
        };
    }
    pod["status"]["conditions"] = json!([{"type": "Ready", "status": "False",
        "reason": "ContainersNotReady", "message": "containers with unready status"}]);
    pod
}

/// What a service may keep its data in: files, a database, and both while it moves.
fn storages() -> [Value; 3] {
    let files = json!({"format": "PVC", "folder": "/inputs", "size": "1Gi"});
    let database = json!({"format": "DATABASE", "databaseConfigurations": "db"});
    let both = json!({"format": "DATABASE", "databaseConfigurations": "db", "folder": "/inputs",
        "size": "1Gi"});
    [files, database, both]
}

/// What is told at first, after those of these steps that somebody looks at, and in the end.
fn told(
    platform: Platform,
    storage: &Value,
    order: &[Step],
    looks: &[bool],
) -> Vec<TrustyAIServiceStatus> {
    let resource = json!({
        "apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
        "metadata": {"name": "tas", "namespace": "ns", "generation": 1},
        "spec": {"storage": storage, "data": {"filename": "data.csv", "format": "CSV"},
            "metrics": {"schedule": "5s"}},
    });
    let mut world = World::of(platform, &resource).unwrap();
    let mut plan = Plan::default();
    let mut told: Vec<TrustyAIServiceStatus> = Vec::new();
    for taken in 0..=order.len() {
        let is_looked_at = taken == 0 || looks.get(taken).is_none_or(|looks| *looks);
        if !is_looked_at {
            continue;
        }
        let pass = world.work(&cluster(&plan, &order[..taken]));
        let next = pass.status(&world.component, &world.resource);
        if world.resource.status.as_ref() != Some(&next) {
            world.resource.status = Some(next.clone());
            told.push(next);
        }
        if taken == 0 {
            plan = pass.plan.unwrap();
        }
    }
    told
}

proptest! {
    // In a debug build a look takes 10 ms.
    #![proptest_config(ProptestConfig::with_cases(50))]

    #[test]
    fn a_start_is_told_in_two_statuses(
        platform in prop_oneof![Just(Platform::Kubernetes), Just(Platform::OpenShift)],
        storage in proptest::sample::select(storages().to_vec()),
        ranks in proptest::array::uniform15(any::<u8>()),
        looks in proptest::array::uniform15(any::<bool>()),
    ) {
        let order = order(&ranks);
        let told = told(platform, &storage, &order, &looks);
        let ready: Vec<_> = told.iter().map(|told| told.ready.as_deref()).collect();
        prop_assert_eq!(ready, [Some("False"), Some("True")], "{:?}: {:#?}", &order, told);
        let mut first = told[0].conditions.iter();
        let available = first.find(|one| one.type_ == "Available").map(|one| one.message.as_str());
        prop_assert!(available.is_some_and(|message| message.ends_with(STARTING)), "{:?}", available);
        let last = &told[1];
        prop_assert_eq!((last.replicas, last.ready_replicas), (Some(1), Some(1)));
        prop_assert!(last.certificate.is_some());
        let url = match platform {
            Platform::Kubernetes => "https://tas-tls.ns.svc",
            Platform::OpenShift => "https://tas.example.test",
        };
        prop_assert_eq!(last.url.as_deref(), Some(url));
    }
}
