//! Ways in and certificates on plain Kubernetes, by APIs that come one after the other.

#![expect(clippy::too_many_lines, reason = "one story on a cluster of its own")]

use cluster::{Platform, StandIn, eventually};
use kube::{
    ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use operator_harness::{SOON, Site};
use resources::Kind;
use resources::kind::{
    BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_ALPHA, CERTIFICATE, CONFIG_MAP, DEPLOYMENT, HTTP_ROUTE,
    INGRESS, ROUTE, SECRET,
};
use serde_json::{Value, json};

use crate::harness::{INSTALLATION, MODEL_REGISTRY, World, behind_proxy, start};

const NAME: &str = "exposed";

async fn install(own: &Site, api: StandIn) {
    own.cluster.install(api).await.expect("installed");
}

async fn told(world: &World, condition: &str, status: &str, reason: &str) -> String {
    let found = world.condition(NAME, condition, status).await;
    assert_eq!(found["reason"], reason, "{found}");
    found["message"].as_str().unwrap_or_default().to_owned()
}

/// What a controller says of an object.
async fn answer(world: &World, kind: Kind, name: &str, status: Value) {
    let patch = Patch::Merge(json!({"status": status}));
    world
        .api(kind)
        .patch_status(name, &PatchParams::default(), &patch)
        .await
        .expect("answered");
}

async fn status(world: &World) -> Value {
    let live = world.api(MODEL_REGISTRY).get(NAME).await;
    live.expect("the registry").data["status"].clone()
}

/// Makes an object that is not the operator's.
async fn foreign(world: &World, kind: Kind, name: &str, spec: &Value) {
    let object = json!({"apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {"name": name}, "spec": spec});
    world.apply(&object.to_string()).await;
}

async fn gone(world: &World, kind: Kind, name: &str) {
    cluster::gone(&world.api(kind), name, SOON)
        .await
        .expect("gone");
}

/// The registry is available throughout, whatever the cluster has or has not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gateways_lead_in_as_soon_as_their_apis_are_there() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("exposed").await);
    let mut spec = behind_proxy();
    spec["expose"] = json!({"hosts": ["models.example.test"], "gateways": [{"name": "public", "namespace": "gateways"}]});
    world.registry(NAME, spec).await;
    world.available(NAME).await;
    let message = told(&world, "Exposed", "False", "APIMissing").await;
    assert!(message.contains("HTTPRoute"), "{message}");
    world.condition(NAME, "Ready", "True").await;
    let inside = format!("{NAME}.{}.svc.cluster.local", world.namespace);
    assert_eq!(status(&world).await["hosts"][0], json!(inside));

    install(&own, StandIn::HttpRoute).await;
    let route = world.until(HTTP_ROUTE, NAME, |_| true).await;
    assert_eq!(
        route.data["spec"]["hostnames"],
        json!(["models.example.test"])
    );
    assert_eq!(
        route.data["spec"]["parentRefs"],
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "public", "namespace": "gateways"}])
    );
    assert_eq!(
        route.data["spec"]["rules"][0]["backendRefs"][0]["port"],
        8443
    );
    eventually("the hosts", SOON, || async {
        let status = status(&world).await;
        let is = status["hosts"][0] == "models.example.test"
            && status["hosts"][1] == json!(inside)
            && status["url"] == "https://models.example.test";
        if is { Ok(()) } else { Err(status.to_string()) }
    })
    .await
    .expect("the hosts");
    let message = told(&world, "Exposed", "False", "APIMissing").await;
    assert!(message.contains("BackendTLSPolicy"), "{message}");

    install(&own, StandIn::BackendTlsPolicyAlpha).await;
    let policy = world.until(BACKEND_TLS_POLICY_ALPHA, NAME, |_| true).await;
    let spec = json!({
        "targetRefs": [{"group": "", "kind": "Service", "name": NAME}],
        "validation": {
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": format!("{NAME}-ca")}],
            "hostname": format!("{NAME}.{}.svc", world.namespace),
        },
    });
    assert_eq!(policy.data["spec"], spec);
    let trusted = world
        .until(CONFIG_MAP, &format!("{NAME}-ca"), |_| true)
        .await;
    assert!(trusted.data["data"]["ca.crt"].is_string());
    told(&world, "Exposed", "Unknown", "Pending").await;
    let accepted =
        |status| json!([{"type": "Accepted", "status": status, "reason": "R", "message": "why"}]);
    let parents = |status| json!({"parents": [{"parentRef": {"name": "public"}, "conditions": accepted(status)}]});
    answer(&world, HTTP_ROUTE, NAME, parents("False")).await;
    let message = told(&world, "Exposed", "False", "NotAccepted").await;
    assert!(message.contains("Gateway public: why"), "{message}");
    answer(&world, HTTP_ROUTE, NAME, parents("True")).await;
    told(&world, "Exposed", "True", "Exposed").await;

    // A newer version of the same API: the object stays, and belongs to the new version.
    install(&own, StandIn::BackendTlsPolicy).await;
    let same = world
        .until(BACKEND_TLS_POLICY, NAME, |policy| {
            let fields = policy.managed_fields();
            fields
                .iter()
                .any(|f| f.api_version.as_deref() == Some("gateway.networking.k8s.io/v1"))
        })
        .await;
    assert_eq!(same.uid(), policy.uid());
    assert_eq!(same.data["spec"], spec);

    // The way in changes, and the way in before goes.
    let ingress = json!({"gateways": null, "ingress": {"className": "nginx"}});
    world
        .edit(MODEL_REGISTRY, NAME, json!({"spec": {"expose": ingress}}))
        .await;
    world.until(INGRESS, NAME, |_| true).await;
    gone(&world, HTTP_ROUTE, NAME).await;
    gone(&world, BACKEND_TLS_POLICY, NAME).await;
    told(&world, "Exposed", "True", "Exposed").await;
    assert_eq!(status(&world).await["url"], "http://models.example.test");
    let other = json!({"spec": {"expose": {"ingress": {"className": "other"}}}});
    world.edit(MODEL_REGISTRY, NAME, other).await;
    world
        .until(INGRESS, NAME, |live| {
            live.data["spec"]["ingressClassName"] == "other"
        })
        .await;

    // Objects of somebody else are left alone, and are no reason for an outage.
    world
        .edit(MODEL_REGISTRY, NAME, json!({"spec": {"expose": null}}))
        .await;
    gone(&world, INGRESS, NAME).await;
    let backend = json!({"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}});
    for (kind, spec) in [(INGRESS, &backend), (BACKEND_TLS_POLICY, &spec)] {
        foreign(&world, kind, NAME, spec).await;
    }
    let both =
        json!({"hosts": ["models.example.test"], "gateways": [{"name": "public"}], "ingress": {}});
    world
        .edit(MODEL_REGISTRY, NAME, json!({"spec": {"expose": both}}))
        .await;
    told(&world, "Exposed", "False", "ObjectConflict").await;
    world.condition(NAME, "Ready", "True").await;
    world.until(HTTP_ROUTE, NAME, |_| true).await;
    for kind in [INGRESS, BACKEND_TLS_POLICY] {
        let left = world.until(kind, NAME, |_| true).await;
        assert!(left.owner_references().is_empty(), "{left:?}");
    }

    // APIs that go away take nothing with them but their objects.
    for api in [StandIn::BackendTlsPolicy, StandIn::HttpRoute] {
        own.cluster.uninstall(api).await.expect("removed");
    }
    told(&world, "Exposed", "False", "APIMissing").await;
    world.condition(NAME, "Ready", "True").await;
    world
        .api(MODEL_REGISTRY)
        .delete(NAME, &DeleteParams::foreground())
        .await
        .expect("deleted");
    gone(&world, MODEL_REGISTRY, NAME).await;
    operator.stop();
}

/// The old pods serve until cert-manager has done its part, however long it takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cert_manager_makes_the_certificate_when_asked() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("issued").await);
    world.registry(NAME, behind_proxy()).await;
    world.available(NAME).await;
    let name = format!("{NAME}-kube-rbac-proxy-cert");

    let asked = json!({"issuerRef": {"name": "models", "kind": "ClusterIssuer"}});
    world
        .edit(
            MODEL_REGISTRY,
            NAME,
            json!({"spec": {"kubeRBACProxy": {"certManager": asked}}}),
        )
        .await;
    let message = told(&world, "CertificateReady", "False", "APIMissing").await;
    assert!(message.contains("cert-manager.io/v1"), "{message}");
    world
        .until(DEPLOYMENT, NAME, |live| {
            live.data["status"]["updatedReplicas"] == 1 && live.data["status"]["replicas"] == 2
        })
        .await;
    world.condition(NAME, "Available", "True").await;
    world.condition(NAME, "Ready", "False").await;

    install(&own, StandIn::Certificate).await;
    let certificate = world.until(CERTIFICATE, &name, |_| true).await;
    let host = |end: &str| format!("{NAME}.{}{end}", world.namespace);
    assert_eq!(
        certificate.data["spec"],
        json!({
            "secretName": name,
            "dnsNames": [NAME, host(""), host(".svc"), host(".svc.cluster.local")],
            "issuerRef": {"name": "models", "kind": "ClusterIssuer", "group": "cert-manager.io"},
            "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            "usages": ["digital signature", "server auth"],
        })
    );
    told(&world, "CertificateReady", "Unknown", "Pending").await;
    let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status, "message": "no such issuer"}]});
    answer(&world, CERTIFICATE, &name, ready("False")).await;
    let message = told(&world, "CertificateReady", "False", "NotIssued").await;
    assert!(message.contains("no such issuer"), "{message}");

    // What cert-manager does then.
    let made = rcgen::generate_simple_self_signed([host(".svc")]).expect("a certificate");
    let pem = made.cert.pem();
    let data = json!({"tls.crt": pem, "tls.key": made.signing_key.serialize_pem(), "ca.crt": pem});
    world
        .apply(
            &json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                "metadata": {"name": name}, "stringData": data})
            .to_string(),
        )
        .await;
    answer(&world, CERTIFICATE, &name, ready("True")).await;
    told(&world, "CertificateReady", "True", "Issued").await;
    world.condition(NAME, "Ready", "True").await;
    let map = format!("{NAME}-ca");
    world
        .until(CONFIG_MAP, &map, |map| {
            map.data["data"]["ca.crt"].as_str().map(str::trim) == Some(pem.trim())
        })
        .await;
    gone(&world, SECRET, &format!("{NAME}-kube-rbac-proxy")).await;

    // The issuer is followed.
    let other =
        json!({"issuerRef": {"name": "other", "kind": null, "group": "issuers.example.test"}});
    world
        .edit(
            MODEL_REGISTRY,
            NAME,
            json!({"spec": {"kubeRBACProxy": {"certManager": other}}}),
        )
        .await;
    world
        .until(CERTIFICATE, &name, |live| {
            live.data["spec"]["issuerRef"]
                == json!({"name": "other", "kind": "Issuer", "group": "issuers.example.test"})
        })
        .await;

    // And back to the operator's own.
    world
        .edit(
            MODEL_REGISTRY,
            NAME,
            json!({"spec": {"kubeRBACProxy": {"certManager": null}}}),
        )
        .await;
    gone(&world, CERTIFICATE, &name).await;
    world.condition(NAME, "Ready", "True").await;
    world
        .until(CONFIG_MAP, &map, |map| {
            map.data["data"]["ca.crt"].as_str().map(str::trim) != Some(pem.trim())
        })
        .await;

    // A Certificate of somebody else is left alone.
    let spec = json!({"secretName": "x", "issuerRef": {"name": "x"}});
    foreign(&world, CERTIFICATE, &name, &spec).await;
    world
        .edit(
            MODEL_REGISTRY,
            NAME,
            json!({"spec": {"kubeRBACProxy": {"certManager": {"issuerRef": {"name": "models"}}}}}),
        )
        .await;
    told(&world, "CertificateReady", "False", "ObjectConflict").await;
    operator.stop();
}

/// A cluster with Routes whose services nobody gives certificates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_without_a_service_ca_are_told_of() {
    let own = INSTALLATION.alone(Platform::Kubernetes).await;
    let operator = start(&own.kubeconfig, &[], &[]);
    let world = World(own.world("no-ca").await);
    world.registry("before", behind_proxy()).await;
    world.available("before").await;
    install(&own, StandIn::Route).await;
    world.until(ROUTE, "before-https", |_| true).await;
    world.registry(NAME, behind_proxy()).await;
    let found = eventually("the sentence", SOON * 2, || async {
        let status = status(&world).await;
        let text = status.to_string();
        if text.contains("no service CA") {
            Ok(())
        } else {
            Err(text)
        }
    });
    found.await.expect("told");
    // What has a certificate of the operator's keeps it.
    world
        .until(SECRET, "before-kube-rbac-proxy", |_| true)
        .await;
    operator.stop();
}
