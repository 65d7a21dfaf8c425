//! The certificate: made, rotated under load, mounted, or not needed at all.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use cluster::{Platform, eventually};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use model_registry_operator::registry::webhook;
use runtime::shutdown::Shutdown;
use serde_json::json;

use crate::bench::{ACCOUNT, Bench, CLIENT_CONFIGS, NAMESPACE, NEW, OLD, SOON, mysql};

const DAY: i64 = 24 * 60 * 60;

fn authorities(bundle: &str) -> usize {
    bundle.matches("BEGIN CERTIFICATE").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_creates_while_the_authority_rotates() {
    let bench = Arc::new(Bench::installed(Platform::Kubernetes, "overlays/webhook").await);
    // It began 250 days ago, one week before the certificate of that day is renewed: so all of
    // its certificates are valid today, by the API server's clock.
    let behind = Arc::new(AtomicI64::new(250 * DAY));
    let clock = {
        let behind = Arc::clone(&behind);
        Arc::new(move || {
            let distance = SignedDuration::from_secs(behind.load(Ordering::Relaxed));
            Timestamp::now().saturating_sub(distance).expect("a time")
        })
    };
    let shutdown = Shutdown::new();
    bench.webhooks(bench.port, clock, &shutdown).await;
    bench.answering().await;
    let namespace = bench.cluster.namespace("load").await.expect("a namespace");
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), NAMESPACE);
    let served = async || {
        let secret = secrets.get(webhook::SECRET).await.expect("the Secret");
        secret
            .data
            .expect("data")
            .remove("tls.crt")
            .expect("a certificate")
    };
    let first = served().await;
    assert_eq!(authorities(&bench.bundle().await.expect("a bundle")), 1);

    // Both versions, so that defaulting, validation and conversion are all called.
    let load = {
        let (bench, namespace) = (Arc::clone(&bench), namespace.clone());
        tokio::spawn(async move {
            let mut failed = Vec::new();
            for number in 0..1_000 {
                let (version, mut spec) = if number % 2 == 0 {
                    (NEW, mysql())
                } else {
                    (OLD, mysql())
                };
                spec["grpc"] = json!({});
                if let Err(error) = bench
                    .create(version, &namespace, &format!("r{number}"), &spec)
                    .await
                {
                    failed.push(error.to_string());
                }
            }
            failed
        })
    };
    // The clock moves, and a touched Secret makes the operator look at it.
    let touch = async |days: i64| {
        behind.store(days * DAY, Ordering::Relaxed);
        let patch = json!({"metadata": {"annotations": {"touched": days.to_string()}}});
        secrets
            .patch(
                webhook::SECRET,
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .await
            .expect("touched");
    };
    touch(3).await;
    eventually("the next authority is trusted", SOON, || async {
        match bench.bundle().await.map(|bundle| authorities(&bundle)) {
            Some(2) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
    .expect("two authorities");
    assert_eq!(served().await, first, "the old certificate still serves");
    tokio::time::sleep(Duration::from_secs(1)).await;
    touch(0).await;
    eventually("the next certificate serves", SOON, || async {
        if served().await == first {
            Err("still the first")
        } else {
            Ok(())
        }
        .map_err(str::to_owned)
    })
    .await
    .expect("the switch");
    assert!(!load.is_finished(), "the load went on all the time");
    let failed = load.await.expect("no panic");
    assert_eq!(failed, Vec::<String>::new());
    // What is called now needs the new authority: a bundle of the old one only would not do.
    bench
        .create(OLD, &namespace, "last", &{
            let mut spec = mysql();
            spec["grpc"] = json!({});
            spec
        })
        .await
        .expect("created");
    shutdown.request();
}

#[tokio::test]
async fn what_is_changed_or_removed_is_put_back() {
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    let shutdown = Shutdown::new();
    // Two replicas begin at the same moment; the API server calls the first.
    tokio::join!(
        bench.webhooks(bench.port, Arc::new(Timestamp::now), &shutdown),
        bench.webhooks(0, Arc::new(Timestamp::now), &shutdown),
    );
    bench.answering().await;
    let name = webhook::VALIDATING_CONFIGURATION;
    let patch = r#"[{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}]"#;
    let kubectl = [
        "patch",
        "validatingwebhookconfiguration",
        name,
        "--type=json",
        "-p",
        patch,
    ];
    bench.cluster.kubectl(&kubectl).await.expect("removed");
    bench.answering().await;
    let before = bench.bundle().await.expect("a bundle");
    let secrets: Api<Secret> = Api::namespaced(bench.client.clone(), NAMESPACE);
    secrets
        .delete(webhook::SECRET, &DeleteParams::default())
        .await
        .expect("deleted");
    eventually("another authority", SOON, || async {
        if bench.bundle().await.as_ref() == Some(&before) {
            Err("the same".to_owned())
        } else {
            Ok(())
        }
    })
    .await
    .expect("a new one");
    bench.answering().await;
    shutdown.request();
}

#[tokio::test]
async fn a_mounted_certificate_is_served_and_nothing_is_written() {
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    let directory = bench.cluster.dir().join("mounted");
    std::fs::create_dir(&directory).expect("a directory");
    let folder = directory.to_str().expect("a path").to_owned();
    let operator = bench.operator(&[&format!("--webhook-cert-dir={folder}")], &[]);
    // The files come later, as those of a Secret that somebody still has to make.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!bench.ready().await, "nothing can be answered yet");
    let host = format!("{}.{NAMESPACE}.svc", webhook::SERVICE);
    let made = rcgen::generate_simple_self_signed(vec![host]).expect("a certificate");
    std::fs::write(directory.join("tls.key"), made.signing_key.serialize_pem()).expect("written");
    std::fs::write(directory.join("tls.crt"), made.cert.pem()).expect("written");
    // Whoever mounts it tells the API server, here by hand.
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    for (kind, name, path) in CLIENT_CONFIGS {
        use base64::{Engine as _, prelude::BASE64_STANDARD};
        let bundle = BASE64_STANDARD.encode(made.cert.pem());
        let patch =
            json!([{"op": "add", "path": format!("{path}/caBundle"), "value": bundle}]).to_string();
        bench
            .cluster
            .kubectl(&["patch", kind, name, "--type=json", "-p", &patch])
            .await
            .expect("told");
    }
    bench.answering().await;
    assert!(bench.ready().await, "the certificate is loaded");
    operator.stop();
    assert_eq!(bench.bundle().await, Some(made.cert.pem()));
    let audit = bench
        .cluster
        .audit_since(mark)
        .await
        .expect("the audit log");
    let ours = audit.by_service_account(NAMESPACE, ACCOUNT).into_iter();
    let written: Vec<_> = ours
        .filter(|record| {
            record.is_write()
                && matches!(
                    record.resource.as_str(),
                    "secrets"
                        | "customresourcedefinitions"
                        | "mutatingwebhookconfigurations"
                        | "validatingwebhookconfigurations"
                )
        })
        .collect();
    assert!(written.is_empty(), "{written:?}");
}

#[tokio::test]
async fn without_configurations_nothing_is_written() {
    let bench = Bench::installed(Platform::Kubernetes, "default").await;
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    let operator = bench.operator(&[], &[]);
    eventually("ready", SOON, || async {
        if bench.ready().await {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await
    .expect("ready");
    let begun = bench
        .cluster
        .audit_since(mark)
        .await
        .expect("the audit log");
    let written = begun.by_service_account(NAMESPACE, ACCOUNT).into_iter();
    let written: Vec<_> = written.filter(|record| record.is_write()).collect();
    assert!(written.is_empty(), "{written:?}");
    nothing_is_asked(&bench).await;
    operator.stop();
}

#[tokio::test]
async fn at_rest_nothing_is_asked() {
    let bench = Bench::installed(Platform::Kubernetes, "overlays/webhook").await;
    let migrate = ("STORAGE_MIGRATION_SOURCE_VERSION", OLD);
    let operator = bench.operator(&[], &[migrate, ("STORAGE_MIGRATION_TARGET_VERSION", NEW)]);
    bench.answering().await;
    nothing_is_asked(&bench).await;
    operator.stop();
}

/// Watches are counted apart.
async fn nothing_is_asked(bench: &Bench) {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mark = bench.cluster.audit_mark().await.expect("a mark");
    tokio::time::sleep(Duration::from_secs(20)).await;
    let idle = bench
        .cluster
        .audit_since(mark)
        .await
        .expect("the audit log");
    let asked = idle.by_service_account(NAMESPACE, ACCOUNT).into_iter();
    let asked: Vec<_> = asked.filter(|record| record.verb != "watch").collect();
    assert!(asked.is_empty(), "{asked:?}");
}
