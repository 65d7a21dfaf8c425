//! What the webhook suites of the Go operator ask, in both versions, of a real API server.

use cluster::Platform;
use serde_json::{Value, json};

use crate::bench::{Bench, NEW, OLD, mysql, sentence};

const ALLOWED: &str = "registries";

fn spec(version: &str) -> Value {
    let mut spec = mysql();
    if version == OLD {
        spec["grpc"] = json!({});
    }
    spec
}

#[tokio::test]
async fn both_versions_refuse_and_accept_what_the_go_operator_does() {
    let bench = Bench::installed(Platform::OpenShift, "overlays/webhook").await;
    // Without a namespace that is prescribed: a name is one registry's in the whole cluster.
    let operator = bench.operator(&[], &[]);
    bench.answering().await;
    let namespace = bench.cluster.namespace("one").await.expect("a namespace");
    let other = bench.cluster.namespace("two").await.expect("a namespace");
    for version in [NEW, OLD] {
        let named = |end: &str| format!("{version}-{end}");
        let spec = spec(version);
        bench
            .create(version, &namespace, &named("first"), &spec)
            .await
            .expect("created");
        cluster::eventually("the name is taken", crate::bench::SOON, || async {
            let second = bench
                .create(version, &other, &named("first"), &spec)
                .await
                .map_err(|error| error.to_string());
            match second {
                Err(error)
                    if error.contains("already exists in namespace")
                        && error.contains(&namespace) =>
                {
                    Ok(())
                }
                other => Err(format!("{other:?}")),
            }
        })
        .await
        .expect("refused");
        bench
            .create(version, &other, &named("second"), &spec)
            .await
            .expect("another name");

        let mut none = spec.clone();
        none["mysql"] = Value::Null;
        let (code, text) = sentence(
            bench
                .create(version, &namespace, &named("none"), &none)
                .await,
        );
        assert_eq!(code, 403, "{text}");
        assert!(
            text.contains("required one of `postgres` or `mysql` database"),
            "{text}"
        );
        let gone = json!({"spec": {"mysql": null}});
        let (code, text) = sentence(bench.edit(version, &namespace, &named("first"), gone).await);
        assert_eq!(code, 403, "{text}");

        let mut old_proxy = spec.clone();
        old_proxy["oauthProxy"] = json!({});
        bench
            .create(version, &namespace, &named("oauth"), &old_proxy)
            .await
            .expect("the old proxy");
    }
    let mut proxy = spec(NEW);
    proxy["kubeRBACProxy"] = json!({});
    bench
        .create(NEW, &namespace, "proxy", &proxy)
        .await
        .expect("the proxy");
    defaults_are_there_in_both_versions(&bench, &namespace).await;
    operator.stop();

    // With one: everything elsewhere is refused.
    let operator = bench.operator(&[], &[("REGISTRIES_NAMESPACE", ALLOWED)]);
    bench.answering().await;
    for version in [NEW, OLD] {
        let name = format!("{version}-elsewhere");
        let (code, text) = sentence(
            bench
                .create(version, &namespace, &name, &spec(version))
                .await,
        );
        assert_eq!(code, 403, "{text}");
        assert!(
            text.contains(&format!("namespace must be {ALLOWED}")),
            "{text}"
        );
    }
    operator.stop();
}

/// Written in the old version, read in the new one, and back.
async fn defaults_are_there_in_both_versions(bench: &Bench, namespace: &str) {
    let mut istio = spec(OLD);
    istio["istio"] =
        json!({"gateway": {"domain": "i.example.test", "rest": {"tls": {}}, "grpc": {"tls": {}}}});
    let made = bench
        .create(OLD, namespace, "istio", &istio)
        .await
        .expect("istio");
    assert_eq!(
        made.data["spec"]["istio"]["gateway"]["domain"],
        "i.example.test"
    );
    let there = bench
        .registries(NEW, namespace)
        .get("istio")
        .await
        .expect("there");
    for (pointer, value) in [
        ("/spec/rest/port", json!(8080)),
        ("/spec/rest/serviceRoute", json!("disabled")),
        ("/spec/mysql/port", json!(3306)),
        ("/spec/grpc/port", json!(9090)),
        ("/spec/istio/gateway/rest/tls/mode", json!("SIMPLE")),
    ] {
        assert_eq!(there.data.pointer(pointer), Some(&value), "{pointer}");
    }
    let back = bench
        .registries(OLD, namespace)
        .get("istio")
        .await
        .expect("back");
    assert_eq!(back.data["spec"], made.data["spec"]);
}
