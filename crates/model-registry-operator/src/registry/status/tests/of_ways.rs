//! What is told of ways in and of certificates, and of APIs that are not there.

use resources::kind::{
    BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_ALPHA, CERTIFICATE, HTTP_ROUTE, INGRESS,
};

use super::*;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

fn exposed(ways: Value) -> World {
    let mut spec = proxied();
    spec["expose"] = ways;
    World::new(spec).with_all([up(), good_pod("p"), slice(true)])
}

fn by_gateway() -> Value {
    json!({"hosts": ["r.example.test", "also.example.test"], "gateways": [{"name": "public", "namespace": "gateways"}]})
}

fn live(kind: Kind, name: &str, status: Value) -> Value {
    json!({"apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels(NAME)}, "status": status})
}

fn answer(type_: &str, status: &str) -> Value {
    json!({"conditions": [{"type": type_, "status": status, "reason": "R", "message": "why"}]})
}

fn told(world: &mut World) -> (String, String, String) {
    let status = world.pass();
    assert_eq!(get(&status, "Available").status, "True", "{status:?}");
    assert_eq!(get(&status, "Ready").status, "True", "{status:?}");
    brief(&status, "Exposed")
}

#[test]
fn gateways_are_told_of_step_by_step() {
    let mut world = exposed(by_gateway());
    let (status, reason, message) = told(&mut world);
    assert_eq!((&*status, &*reason), ("False", "APIMissing"));
    assert!(message.contains("HTTPRoute"), "{message}");
    let inside = world.pass();
    assert_eq!(inside.hosts[0], "r.ns.svc.cluster.local");

    let mut world = world.with(definition(HTTP_ROUTE));
    let (status, reason, message) = told(&mut world);
    assert_eq!((&*status, &*reason), ("False", "APIMissing"));
    assert!(message.contains("BackendTLSPolicy"), "{message}");
    let outside = world.pass();
    assert_eq!(
        outside.hosts[..3],
        [
            "r.example.test",
            "also.example.test",
            "r.ns.svc.cluster.local"
        ]
    );
    assert_eq!(outside.url.as_deref(), Some("https://r.example.test"));

    let mut world = world.with(definition(BACKEND_TLS_POLICY_ALPHA));
    assert_eq!(told(&mut world).1, "Pending");
    let route = |answer| live(HTTP_ROUTE, NAME, json!({"parents": [answer]}));
    let mut refused = answer("Accepted", "False");
    refused["parentRef"] = json!({"name": "public"});
    world = world.with(route(refused));
    assert_eq!(
        told(&mut world),
        expect(
            "False",
            "NotAccepted",
            "HTTPRoute r is not accepted: Gateway public: why (R)"
        )
    );
    *world.documents.last_mut().unwrap() = route(answer("Accepted", "True"));
    assert_eq!(
        told(&mut world),
        expect("True", "Exposed", "HTTPRoute r leads to the registry")
    );
    // The policy that counts is that of the version that is used.
    let policy = |kind| {
        live(
            kind,
            NAME,
            json!({"ancestors": [answer("Accepted", "False")]}),
        )
    };
    world = world.with(policy(BACKEND_TLS_POLICY));
    assert_eq!(told(&mut world).1, "Exposed");
    world = world.with(definition(BACKEND_TLS_POLICY));
    assert_eq!(
        told(&mut world).2,
        "BackendTLSPolicy r is not accepted: Gateway : why (R)"
    );
}

#[test]
fn an_authority_that_nobody_knows_is_asked_for() {
    let secret = |data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "r-kube-rbac-proxy", "namespace": NAMESPACE},
            "stringData": data})
    };
    let world = |given: Value| {
        exposed(by_gateway()).with_all([
            definition(HTTP_ROUTE),
            definition(BACKEND_TLS_POLICY),
            given,
        ])
    };
    let (status, reason, message) = told(&mut world(secret(json!({"tls.crt": "", "tls.key": ""}))));
    assert_eq!((&*status, &*reason), ("False", "AuthorityMissing"));
    assert!(
        message.contains("ConfigMap r-ca") && message.contains("Secret r-kube-rbac-proxy"),
        "{message}"
    );
    let known = secret(json!({"tls.crt": "", "tls.key": "", "ca.crt": PEM}));
    assert_eq!(told(&mut world(known)).1, "Pending");
    let given = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "r-ca", "namespace": NAMESPACE},
        "data": {"ca.crt": PEM}});
    let mut world = world(secret(json!({}))).with(given);
    assert_eq!(told(&mut world).1, "Pending");
}

#[test]
fn a_way_in_that_cannot_be_made_is_no_reason_for_an_outage() {
    let mut world = exposed(json!({"hosts": ["r.example.test"], "ingress": {}}));
    assert_eq!(
        told(&mut world),
        expect("True", "Exposed", "Ingress r leads to the registry")
    );
    assert_eq!(world.pass().url.as_deref(), Some("http://r.example.test"));
    let target = Target {
        kind: INGRESS,
        namespace: Some(NAMESPACE.into()),
        name: NAME.into(),
    };
    world.outcome.failed = vec![Failed {
        target: target.clone(),
        missing_rule: None,
        message: "a webhook says no".into(),
    }];
    assert_eq!(
        told(&mut world),
        expect(
            "False",
            "NotWritten",
            "Ingress ns/r could not be written: a webhook says no"
        )
    );
    world.outcome.failed.clear();
    world.outcome.foreign = vec![target];
    assert_eq!(told(&mut world).1, "ObjectConflict");
}

#[test]
fn ways_in_without_a_proxy_are_warned_of() {
    let mut spec = mysql();
    spec["expose"] = json!({"hosts": ["r.example.test"], "ingress": {"tlsSecretName": "t"}});
    let status = World::new(spec).with_all([up(), slice(true)]).pass();
    assert!(
        brief(&status, "SpecWarnings")
            .2
            .contains("without authentication"),
        "{status:?}"
    );
    assert_eq!(status.url.as_deref(), Some("https://r.example.test"));
}

#[test]
fn cert_manager_is_told_of() {
    let mut spec = mysql();
    spec["kubeRBACProxy"] = json!({"certManager": {"issuerRef": {"name": "ca"}}});
    let mut world = World::new(spec).with_all([up(), good_pod("p"), slice(true)]);
    let status = world.pass();
    assert_eq!(get(&status, "Available").status, "True", "pods run");
    let (status, reason, message) = brief(&status, "CertificateReady");
    assert_eq!((&*status, &*reason), ("False", "APIMissing"));
    // Pods that do not run wait for it.
    world.documents[1] = broken();
    assert_eq!(
        brief(&world.pass(), "Available"),
        expect("False", "ResourcesUnavailable", &message)
    );
    world.documents[1] = up();
    let mut world = world.with(definition(CERTIFICATE));
    assert_eq!(brief(&world.pass(), "CertificateReady").1, "Pending");
    let ready = |status| json!({"conditions": [{"type": "Ready", "status": status, "message": "no such issuer"}]});
    let name = "r-kube-rbac-proxy-cert";
    world = world.with(live(CERTIFICATE, name, ready("False")));
    assert_eq!(
        brief(&world.pass(), "CertificateReady"),
        expect(
            "False",
            "NotIssued",
            "Certificate r-kube-rbac-proxy-cert is not ready: no such issuer"
        )
    );
    *world.documents.last_mut().unwrap() = live(CERTIFICATE, name, ready("True"));
    assert_eq!(brief(&world.pass(), "CertificateReady").0, "True");
}

#[test]
fn a_service_ca_that_is_not_there_is_missed_after_a_while() {
    let mut world = World::new(proxied()).on_openshift().with(broken());
    assert_eq!(brief(&world.pass(), "Available").2, STARTING);
    world.now += jiff::SignedDuration::from_secs(29);
    assert_eq!(brief(&world.pass(), "Available").2, STARTING);
    world.now += jiff::SignedDuration::from_secs(2);
    let (_, reason, message) = brief(&world.pass(), "Available");
    assert_eq!(reason, "ResourcesUnavailable");
    assert!(
        message.contains("no service CA") && message.contains("certManager"),
        "{message}"
    );
}
