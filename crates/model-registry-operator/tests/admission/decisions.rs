//! What is stored, refused, warned of, and shown in both versions.

use std::time::Duration;

use cluster::{Platform, eventually};
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::bench::{ACCOUNT, Bench, NAMESPACE, NEW, OLD, SOON, mysql, sentence};

#[tokio::test]
async fn the_overlay_serves_both_versions_and_refuses_word_for_word() {
    let bench = Bench::installed(Platform::OpenShift, "overlays/webhook").await;
    let operator = bench.operator(&[], &[]);
    bench.answering().await;
    let namespace = bench.cluster.namespace("both").await.expect("a namespace");

    let refused = sentence(
        bench
            .create(NEW, &namespace, "none", &json!({"rest": {}}))
            .await,
    );
    assert_eq!(
        refused,
        (
            403,
            "admission webhook \"vmodelregistry.opendatahub.io\" denied the request: \
             ModelRegistry.modelregistry.opendatahub.io \"none\" is invalid: [spec.postgres: Required value: \
             required one of `postgres` or `mysql` database, spec.mysql: Required value: required one of \
             `postgres` or `mysql` database]"
                .to_owned()
        )
    );

    // What the other version cannot say returns from it, and an edit there counts.
    let mut spec = mysql();
    spec["operand"] = json!({"replicas": 2});
    let stored = bench
        .create(NEW, &namespace, "a", &spec)
        .await
        .expect("created");
    assert_eq!(
        stored.data["spec"]["kubeRBACProxy"],
        json!({"port": 8443, "routePort": 443, "serviceRoute": "enabled"}),
        "OpenShift has the proxy, with the schema's defaults"
    );
    let old = bench
        .registries(OLD, &namespace)
        .get("a")
        .await
        .expect("in the old version");
    assert_eq!(old.data["spec"]["grpc"], json!({"port": 9090}));
    assert_eq!(old.data["spec"]["kubeRBACProxy"], Value::Null);
    bench
        .edit(
            OLD,
            &namespace,
            "a",
            json!({"spec": {"rest": {"port": 8081}}}),
        )
        .await
        .expect("edited");
    let new = bench
        .registries(NEW, &namespace)
        .get("a")
        .await
        .expect("in the new version");
    let mut expected = stored.data["spec"].clone();
    expected["rest"]["port"] = 8081.into();
    assert_eq!(new.data["spec"], expected);

    // kubectl reads and writes both.
    assert_eq!(
        bench.read(OLD, &namespace, "a", ".spec.rest.port").await,
        "8081"
    );
    assert_eq!(
        bench
            .read(NEW, &namespace, "a", ".spec.operand.replicas")
            .await,
        "2"
    );
    istio_stays_and_the_proxy_takes_its_place(&bench, &namespace).await;
    a_field_without_effect_is_warned_of(&bench, &namespace).await;
    a_dry_run_is_answered_and_leaves_nothing(&bench, &namespace).await;
    operator.stop();
}

async fn istio_stays_and_the_proxy_takes_its_place(bench: &Bench, namespace: &str) {
    let mut istio = mysql();
    istio["grpc"] = json!({});
    istio["istio"] = json!({"authProvider": "p", "gateway": {"domain": "i.example.test",
        "rest": {"port": 8443, "tls": {}}, "grpc": {"port": 443}}});
    bench
        .create(OLD, namespace, "istio", &istio)
        .await
        .expect("created");
    assert_eq!(
        bench
            .read(OLD, namespace, "istio", ".spec.istio.authProvider")
            .await,
        "p"
    );
    assert_eq!(
        bench
            .read(NEW, namespace, "istio", ".spec.istio.gateway.domain")
            .await,
        "i.example.test"
    );
    eventually("the status with the gateway's host", SOON, || async {
        let hosts = bench
            .read(NEW, namespace, "istio", ".status.hosts[0]")
            .await;
        if hosts == "istio-rest.i.example.test" {
            Ok(())
        } else {
            Err(hosts)
        }
    })
    .await
    .expect("the host");
}

/// Dashboards ask twice: a dry run, and the same for real. What they show is the sentence.
async fn a_dry_run_is_answered_and_leaves_nothing(bench: &Bench, namespace: &str) {
    let registries = bench.registries(NEW, namespace);
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let sent = |databases: Value| {
        let mut spec = json!({"kubeRBACProxy": {}, "grpc": {}, "rest": {}});
        let fields = spec.as_object_mut().expect("a spec");
        fields.extend(databases.as_object().expect("databases").clone());
        let body = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
            "metadata": {"name": "dry"}, "spec": spec});
        serde_json::from_value::<DynamicObject>(body).expect("an object")
    };
    let neither = sent(json!({"mysql": null, "postgres": null}));
    let (code, refused) = sentence(registries.create(&dry, &neither).await);
    assert_eq!(code, 403);
    assert!(
        refused
            .contains("spec.mysql: Required value: required one of `postgres` or `mysql` database"),
        "{refused}"
    );
    let default = sent(json!({"mysql": null, "postgres": {"generateDeployment": true}}));
    registries.create(&dry, &default).await.expect("it may be");
    let left = registries.get_opt("dry").await.expect("an answer");
    assert!(left.is_none(), "nothing is stored");
    registries
        .create(&PostParams::default(), &default)
        .await
        .expect("a dry run takes no name");

    // An edit goes the same way.
    let dry = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let none = Patch::Merge(json!({"spec": {"postgres": null}}));
    let (code, refused) = sentence(registries.patch("dry", &dry, &none).await);
    assert_eq!(code, 403, "{refused}");
    let same = Patch::Merge(json!({"spec": {"kubeRBACProxy": {}}}));
    registries.patch("dry", &dry, &same).await.expect("no edit");
}

async fn a_field_without_effect_is_warned_of(bench: &Bench, namespace: &str) {
    let resource = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
        "metadata": {"name": "warned"}, "spec": {"rest": {}, "enable_database_upgrade": true, "mysql": mysql()["mysql"]}});
    let file = bench.cluster.dir().join("warned.json");
    std::fs::write(&file, resource.to_string()).expect("a file");
    // kubectl makes an error of a warning where it is asked to.
    let file = file.to_str().expect("a path");
    let warned = bench
        .cluster
        .kubectl(&[
            "create",
            "-n",
            namespace,
            "--warnings-as-errors",
            "-f",
            file,
        ])
        .await;
    let warned = warned.expect_err("a warning").to_string();
    assert!(
        warned.contains("spec.enable_database_upgrade has no effect"),
        "{warned}"
    );
}

#[tokio::test]
async fn a_name_is_given_once_even_to_two_at_the_same_moment() {
    const PAIRS: usize = 12;
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    let operator = bench.operator(&[], &[]);
    bench.answering().await;
    let left = bench.cluster.namespace("left").await.expect("a namespace");
    let right = bench.cluster.namespace("right").await.expect("a namespace");
    let spec = mysql();
    let mut refused = 0;
    for pair in 0..PAIRS {
        let name = format!("pair-{pair}");
        let (one, two) = tokio::join!(
            bench.create(NEW, &left, &name, &spec),
            bench.create(NEW, &right, &name, &spec)
        );
        assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
        for (result, other) in [(one, &right), (two, &left)] {
            if let Err(error) = result {
                refused += 1;
                let text = error.to_string();
                assert!(text.contains(&format!("Duplicate value: \"registry named {name} already exists in namespace {other}\"")), "{text}");
            }
        }
    }
    // Whoever got past admission with a name that is taken is told so by the reconcile.
    let accepted = 2 * PAIRS - refused;
    eventually("one of each pair works", SOON, || async {
        let mut conflicts = 0;
        let mut works = 0;
        for namespace in [&left, &right] {
            for registry in bench
                .registries(NEW, namespace)
                .list(&kube::api::ListParams::default())
                .await
                .map_err(|e| e.to_string())?
            {
                let conditions = registry.data["status"]["conditions"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let reason = |kind: &str| {
                    conditions
                        .iter()
                        .find(|c| c["type"] == kind)
                        .map(|c| c["reason"].clone())
                };
                match reason("Ready") {
                    Some(reason) if reason == "NameConflict" => conflicts += 1,
                    Some(_) => works += 1,
                    None => {}
                }
            }
        }
        if works == PAIRS && conflicts == accepted - PAIRS {
            Ok(())
        } else {
            Err(format!(
                "{works} work, {conflicts} conflict, {accepted} accepted"
            ))
        }
    })
    .await
    .expect("decided");
    // Later, admission sees it.
    let late = sentence(bench.create(NEW, "default", "pair-0", &spec).await);
    assert_eq!(late.0, 403);
    operator.stop();
}

#[tokio::test]
async fn nothing_keeps_a_resource_from_being_deleted() {
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    let operator = bench.operator(&[], &[]);
    bench.answering().await;
    let namespace = bench.cluster.namespace("gone").await.expect("a namespace");
    bench
        .create(NEW, &namespace, "a", &mysql())
        .await
        .expect("created");
    let api = bench.registries(NEW, &namespace);
    eventually("the operator's finalizer", SOON, || async {
        let found = api.get("a").await.map_err(|error| error.to_string())?;
        if found.metadata.finalizers.unwrap_or_default().is_empty() {
            Err("none yet")
        } else {
            Ok(())
        }
        .map_err(str::to_owned)
    })
    .await
    .expect("a finalizer");
    operator.stop();
    // Nobody answers any more: an edit is refused, a deletion with its finalizer is not.
    let edit = sentence(
        bench
            .edit(
                NEW,
                &namespace,
                "a",
                json!({"metadata": {"labels": {"a": "b"}}}),
            )
            .await,
    );
    assert_eq!(edit.0, 500, "{edit:?}");
    api.delete("a", &DeleteParams::default())
        .await
        .expect("deleted");
    let patch = json!({"metadata": {"finalizers": null}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(patch))
        .await
        .expect("the finalizer goes");
    assert!(api.get_opt("a").await.expect("an answer").is_none());
}

#[tokio::test]
async fn a_replica_without_the_lease_is_ready_and_answers() {
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    // The Go operator's pod holds it, and goes only when this one is ready.
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "85f368d1.opendatahub.io"},
        "spec": {"holderIdentity": "old_1", "leaseDurationSeconds": 3600, "leaseTransitions": 0}});
    cluster::apply_yaml(&bench.client, NAMESPACE, &lease.to_string())
        .await
        .expect("a Lease");
    let operator = bench.operator(&["--leader-elect"], &[]);
    bench.answering().await;
    assert!(bench.ready().await, "ready without the Lease");
    let env = ".spec.template.spec.containers[0].env[?(@.name==\"ENABLE_WEBHOOKS\")].value";
    let path = format!("jsonpath={{{env}}}");
    let get = ["get", "-n", NAMESPACE, "deployment", ACCOUNT, "-o", &path];
    let enabled = bench.cluster.kubectl(&get).await.expect("kubectl");
    assert_eq!(enabled, "true", "the overlay's Deployment serves them");
    let namespace = bench.cluster.namespace("quiet").await.expect("a namespace");
    let created = bench
        .create(NEW, &namespace, "a", &mysql())
        .await
        .expect("created");
    assert!(created.metadata.finalizers.is_none());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let still = bench
        .registries(NEW, &namespace)
        .get("a")
        .await
        .expect("there");
    assert_eq!(
        still.metadata.finalizers, None,
        "whoever has no Lease writes nothing"
    );
    operator.stop();
}
