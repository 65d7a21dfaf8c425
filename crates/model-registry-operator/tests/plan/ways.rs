//! Ways in from outside the cluster, and certificates.

use resources::Kind;
use resources::kind::{BACKEND_TLS_POLICY, BACKEND_TLS_POLICY_ALPHA, HTTP_ROUTE};
use serde_json::{Value, json};

use crate::support::{Case, find, merged, mysql, secret};

pub(crate) fn by_gateway_and_ingress() -> Value {
    merged(
        mysql(),
        &json!({
            "kubeRBACProxy": {"certManager": {"issuerRef": {"name": "models", "kind": "ClusterIssuer"}}},
            "expose": {
                "hosts": ["sample.example.test", "models.example.test"],
                "gateways": [{"name": "public", "namespace": "gateways", "sectionName": "https"}, {"name": "here"}],
                "ingress": {"className": "nginx", "tlsSecretName": "sample-tls",
                    "annotations": {"nginx.ingress.kubernetes.io/backend-protocol": "HTTPS"}},
            },
        }),
    )
}

#[test]
fn what_a_cluster_does_not_offer_is_not_planned() {
    let bare = Case::kubernetes(by_gateway_and_ingress());
    for kind in ["HTTPRoute", "BackendTLSPolicy", "Certificate"] {
        assert_eq!(bare.object(kind, "sample"), Value::Null);
        assert_eq!(
            bare.object(kind, "sample-kube-rbac-proxy-cert"),
            Value::Null
        );
    }
    assert_ne!(bare.object("Ingress", "sample"), Value::Null);
    assert_eq!(
        bare.object("Service", "sample")["metadata"]["annotations"]["routing.opendatahub.io/external-address-rest"],
        "sample.example.test:443"
    );
}

#[test]
fn the_newest_policy_that_is_served_is_used() {
    let version = |kinds: &[Kind]| {
        let served = [&[HTTP_ROUTE], kinds].concat();
        let case = Case::kubernetes(by_gateway_and_ingress()).serving(&served);
        case.object("BackendTLSPolicy", "sample")["apiVersion"].clone()
    };
    assert_eq!(version(&[]), Value::Null);
    assert_eq!(
        version(&[BACKEND_TLS_POLICY_ALPHA]),
        "gateway.networking.k8s.io/v1alpha3"
    );
    assert_eq!(
        version(&[BACKEND_TLS_POLICY_ALPHA, BACKEND_TLS_POLICY]),
        "gateway.networking.k8s.io/v1"
    );
}

#[test]
fn without_a_proxy_gateways_speak_plain_http() {
    let mut spec = by_gateway_and_ingress();
    spec["kubeRBACProxy"].take();
    let case = Case::kubernetes(spec).serving(&[HTTP_ROUTE, BACKEND_TLS_POLICY]);
    assert_eq!(case.object("BackendTLSPolicy", "sample"), Value::Null);
    let route = case.object("HTTPRoute", "sample");
    assert_eq!(route["spec"]["rules"][0]["backendRefs"][0]["port"], 8080);
    let ingress = case.object("Ingress", "sample");
    assert_eq!(
        ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["port"]["name"],
        "http-api"
    );
}

#[test]
fn on_openshift_the_route_stays_and_its_policy_lets_gateways_in() {
    let spec = merged(
        mysql(),
        &json!({"expose": {"hosts": ["h.example.test"], "gateways": [{"name": "g"}]}}),
    );
    let authority = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "openshift-service-ca.crt", "namespace": "ns"},
        "data": {"service-ca.crt": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}});
    let case = Case::openshift(spec).with(authority);
    assert_ne!(case.object("Route", "sample-https"), Value::Null);
    let policy = case.object("NetworkPolicy", "sample-https-route");
    assert_eq!(policy["spec"]["ingress"][0]["from"], Value::Null);
    assert_eq!(
        policy["spec"]["ingress"][0]["ports"],
        json!([{"port": 8443, "protocol": "TCP"}])
    );
    assert!(
        case.object("ConfigMap", "sample-ca")["data"]["ca.crt"]
            .as_str()
            .unwrap()
            .contains("AA==")
    );
}

#[test]
fn a_private_key_beside_an_authority_is_never_published() {
    let both = "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n\
                -----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    let case = Case::kubernetes(by_gateway_and_ingress()).with(secret(
        "sample-kube-rbac-proxy-cert",
        &json!({"ca.crt": both}),
    ));
    let published = case.object("ConfigMap", "sample-ca")["data"]["ca.crt"].to_string();
    assert!(
        published.contains("AA==") && !published.contains("SECRET"),
        "{published}"
    );
}

#[test]
fn a_certificate_that_was_made_before_the_cluster_had_routes_goes_on() {
    let spec = merged(mysql(), &json!({"kubeRBACProxy": {}}));
    let made = Case::kubernetes(spec.clone());
    let mut secret = made.object("Secret", "sample-kube-rbac-proxy");
    secret["metadata"]["resourceVersion"] = "1".into();
    let case = Case::openshift(spec).with(secret.clone());
    let kept = case.object("Secret", "sample-kube-rbac-proxy");
    assert_eq!(kept["data"], secret["data"]);
    let route = case.object("Route", "sample-https");
    assert_eq!(
        route["spec"]["tls"]["destinationCACertificate"],
        case.object("ConfigMap", "sample-ca")["data"]["ca.crt"]
    );
    let service = case.object("Service", "sample");
    assert_eq!(
        service["metadata"]["annotations"]["service.beta.openshift.io/serving-cert-secret-name"],
        Value::Null,
        "nobody else is to make it"
    );
}

#[test]
fn names_that_no_object_can_have_are_refused_with_their_path() {
    let spec = merged(
        mysql(),
        &json!({"kubeRBACProxy": {"certManager": {"issuerRef": {"name": "A"}}},
            "expose": {"hosts": ["ok.test", "no_good"], "gateways": [{"name": "a", "namespace": "b.c"}],
                "ingress": {"className": "", "annotations": {"a b": "c"}, "tlsSecretName": "X"}}}),
    );
    let refusal = Case::kubernetes(spec).refusal();
    for path in [
        "spec.kubeRBACProxy.certManager.issuerRef.name: ",
        "spec.expose.hosts[1]: ",
        "spec.expose.gateways[0].namespace: ",
        "spec.expose.ingress.className: ",
        "spec.expose.ingress.annotations[a b]: ",
        "spec.expose.ingress.tlsSecretName: ",
    ] {
        assert!(refusal.contains(path), "{path} in {refusal}");
    }
}

#[test]
fn equal_passwords_of_two_registries_do_not_show_as_equal() {
    let hash = |uid: &str| {
        let case = Case::kubernetes(mysql()).with(secret("db", &json!({"password": "p"})));
        let mut resource = case.resource();
        resource.metadata.uid = Some(uid.to_owned());
        let plan = runtime::Component::plan(&case.registry(), &resource, &case.observe()).unwrap();
        find(&plan, "Deployment", "sample")["spec"]["template"]["metadata"]["annotations"]
            ["modelregistry.opendatahub.io/inputs-hash"]
            .clone()
    };
    assert!(hash("a").is_string());
    assert_eq!(hash("a"), hash("a"));
    assert_ne!(hash("a"), hash("b"));
}
