use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use runtime::lease::{Lease, LeaseSettings};
use serde_json::{Value, json};
use tower::BoxError;

use crate::{cluster, numbers};

const DURATION: Duration = Duration::from_secs(3);

struct Bench {
    client: Client,
    namespace: String,
}

impl Bench {
    async fn new() -> Self {
        let cluster = cluster();
        let namespace = cluster.namespace("lease").await.expect("a namespace");
        Self {
            client: cluster.client().expect("a client"),
            namespace,
        }
    }

    fn settings(&self, identity: &str) -> LeaseSettings {
        LeaseSettings {
            identity: identity.to_owned(),
            duration: DURATION,
            renew_deadline: Duration::from_secs(2),
            retry: Duration::from_millis(200),
            ..LeaseSettings::new(&self.namespace, "85f368d1.opendatahub.io")
        }
    }

    fn api(&self) -> Api<LeaseObject> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn acquire(&self, identity: &str) -> Lease {
        Lease::acquire(self.client.clone(), self.settings(identity), numbers()).await
    }

    async fn spec(&self) -> Value {
        let lease = self
            .api()
            .get("85f368d1.opendatahub.io")
            .await
            .expect("the Lease");
        serde_json::to_value(lease.spec).expect("a spec")
    }

    /// Writes the Lease as another program does.
    async fn write(&self, spec: Value) {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "85f368d1.opendatahub.io"}, "spec": spec,
        });
        let force = PatchParams::apply("other").force();
        self.api()
            .patch("85f368d1.opendatahub.io", &force, &Patch::Apply(&lease))
            .await
            .expect("written");
    }
}

#[tokio::test]
async fn one_of_two_holds_it_and_the_other_takes_over_after_a_crash() {
    let bench = Bench::new().await;
    let first = bench.acquire("first").await;
    let second = bench.acquire("second");
    tokio::pin!(second);
    let early = tokio::time::timeout(DURATION * 2, &mut second).await;
    assert!(early.is_err(), "two hold the Lease");
    drop(first);
    let crashed = Instant::now();
    let _second = tokio::time::timeout(DURATION * 2, &mut second)
        .await
        .expect("a takeover");
    assert!(
        crashed.elapsed() + Duration::from_secs(1) > DURATION,
        "{:?}",
        crashed.elapsed()
    );
    let spec = bench.spec().await;
    assert_eq!(spec["holderIdentity"], "second");
    assert_eq!(spec["leaseTransitions"], 1);
}

#[tokio::test]
async fn a_released_lease_is_taken_without_waiting_for_its_end() {
    let bench = Bench::new().await;
    let first = bench.acquire("first").await;
    let lost = first.lost();
    first.release().await;
    let spec = bench.spec().await;
    assert_eq!(spec["holderIdentity"], "");
    assert_eq!(spec["leaseDurationSeconds"], 1);
    lost.await;
    let released = Instant::now();
    let _second = bench.acquire("second").await;
    assert!(
        released.elapsed() < Duration::from_secs(1),
        "{:?}",
        released.elapsed()
    );
}

#[tokio::test]
async fn a_holder_of_client_go_is_respected_while_it_renews_whatever_its_clock_says() {
    let bench = Bench::new().await;
    let held = |renew: String| {
        json!({
            "holderIdentity": "go-pod_4f1c", "leaseDurationSeconds": 2, "leaseTransitions": 7,
            "acquireTime": "2001-01-01T00:00:00.000000Z", "renewTime": renew,
        })
    };
    bench
        .write(held("2001-01-01T00:00:00.000000Z".to_owned()))
        .await;
    let candidate = bench.acquire("rust");
    tokio::pin!(candidate);
    for second in 1..=4 {
        let early = tokio::time::timeout(Duration::from_secs(1), &mut candidate).await;
        assert!(early.is_err(), "taken from a live holder");
        bench
            .write(held(format!("2001-01-01T00:00:{second:02}.000000Z")))
            .await;
    }
    let last = Instant::now();
    let _ours = tokio::time::timeout(DURATION * 2, candidate)
        .await
        .expect("a takeover");
    assert!(
        last.elapsed() > Duration::from_millis(1800),
        "{:?}",
        last.elapsed()
    );
    let spec = bench.spec().await;
    assert_eq!(spec["leaseTransitions"], 8);
    assert_eq!(spec["leaseDurationSeconds"], 3);
    // RFC 3339 with microseconds, as client-go's MicroTime.
    let renewed = spec["renewTime"].as_str().expect("a time");
    assert_eq!(
        (renewed.len(), renewed.get(19..20)),
        (27, Some(".")),
        "{renewed}"
    );
}

#[tokio::test]
async fn a_lease_that_somebody_takes_is_lost() {
    let bench = Bench::new().await;
    let ours = bench.acquire("ours").await;
    bench
        .write(json!({"holderIdentity": "thief", "leaseDurationSeconds": 60}))
        .await;
    tokio::time::timeout(Duration::from_secs(2), ours.lost())
        .await
        .expect("lost");
    assert_eq!(bench.spec().await["holderIdentity"], "thief");
}

#[tokio::test]
async fn a_holder_that_cannot_reach_the_server_gives_up_before_another_may_take_it() {
    let bench = Bench::new().await;
    let open = Arc::new(AtomicBool::new(true));
    let (server, is_open) = (bench.client.clone(), Arc::clone(&open));
    let line = tower::service_fn(move |request| {
        let (server, is_open) = (server.clone(), is_open.load(Ordering::SeqCst));
        async move {
            if is_open {
                Ok(server.send(request).await?)
            } else {
                Err(BoxError::from("the line is cut"))
            }
        }
    });
    let client = Client::new(line, "default");
    let metrics = numbers();
    let cut_off = Lease::acquire(client, bench.settings("cut off"), metrics.clone()).await;
    assert!(
        metrics
            .render()
            .expect("a page")
            .contains("master_status{name=\"85f368d1.opendatahub.io\"} 1")
    );
    let other = bench.acquire("other");
    open.store(false, Ordering::SeqCst);
    let lost = async {
        cut_off.lost().await;
        Instant::now()
    };
    let taken = async {
        let lease = other.await;
        (lease, Instant::now())
    };
    let (lost, (_other, taken)) = tokio::join!(lost, taken);
    assert!(lost < taken, "written by two for {:?}", lost - taken);
    assert!(
        metrics
            .render()
            .expect("a page")
            .contains("master_status{name=\"85f368d1.opendatahub.io\"} 0")
    );
}

#[tokio::test]
async fn many_candidates_at_once_give_one_holder() {
    let bench = Bench::new().await;
    let names: Vec<String> = (0..12).map(|n| format!("candidate-{n}")).collect();
    let candidates = futures::future::join_all(
        names
            .iter()
            .map(|name| tokio::time::timeout(Duration::from_millis(2500), bench.acquire(name))),
    );
    let holders: Vec<Lease> = candidates.await.into_iter().flatten().collect();
    assert_eq!(holders.len(), 1);
}
