//! Registries in the mesh, behind an OAuth proxy, and with a metadata store.

use serde_json::{Value, json};

use crate::printed;
use crate::support::{Case, args, env, find, merged, mysql, secret};

/// The sample istio/mysql-tls, with the metadata store of its time.
fn sample() -> Value {
    let istio = json!({
        "authProvider": "", "authConfigLabels": {"security.opendatahub.io/authorization-group": "default"},
        "gateway": {
            "domain": "", "istioIngress": "ingressgateway",
            "rest": {"gatewayRoute": "enabled", "tls": {"mode": "SIMPLE", "credentialName": "modelregistry-sample-rest-credential"}},
            "grpc": {"gatewayRoute": "enabled", "tls": {"mode": "SIMPLE", "credentialName": "modelregistry-sample-grpc-credential"}},
        },
    });
    let more = json!({"istio": istio, "rest": {"image": "registry.test/server:v0.2.18"},
        "grpc": {"image": "registry.test/mlmd:v0.2.18"}});
    merged(mysql(), &more)
}

fn ingress(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {
        "name": name, "namespace": "istio-system", "labels": {"istio": "ingressgateway"}}})
}

fn in_mesh(spec: Value) -> Case {
    Case::openshift(spec)
        .in_mesh()
        .with(ingress("istio-ingressgateway"))
}

fn warnings(case: &Case) -> String {
    let validated = case.validate().unwrap();
    let all: Vec<_> = validated.warnings.iter().map(ToString::to_string).collect();
    all.join("\n")
}

#[test]
fn snapshot_mesh() {
    let case = in_mesh(sample()).named("modelregistry-sample");
    insta::assert_snapshot!(printed(&case));
    assert_eq!(warnings(&case), "");
}

#[test]
fn without_the_apis_it_is_the_proxy_and_a_warning() {
    let case = Case::openshift(sample());
    let plan = case.plan();
    assert_eq!(find(&plan, "VirtualService", "sample"), Value::Null);
    assert_eq!(case.pod()["containers"][2]["name"], "kube-rbac-proxy");
    assert!(warnings(&case).contains("does not serve all of networking.istio.io/v1beta1"));
}

#[test]
fn a_proxy_wins_over_the_mesh() {
    for proxy in ["kubeRBACProxy", "oauthProxy"] {
        let case = in_mesh(merged(sample(), &json!({proxy: {}})));
        assert_eq!(find(&case.plan(), "Gateway", "sample"), Value::Null);
        let said = warnings(&case);
        assert!(
            said.contains("spec.istio has no effect: the proxy wins"),
            "{said}"
        );
    }
}

#[test]
fn routes_lead_to_the_only_ingress_gateway_and_to_none_of_two() {
    let two = in_mesh(sample()).with(ingress("another"));
    assert_eq!(find(&two.plan(), "Route", "ns-sample-rest"), Value::Null);
    let revision = json!({"istio": {"gateway": {"controlPlane": "canary"}}});
    let mut canary = ingress("canary");
    canary["metadata"]["labels"]["istio.io/rev"] = "canary".into();
    let chosen = in_mesh(merged(sample(), &revision)).with(canary);
    let route = find(&chosen.plan(), "Route", "ns-sample-rest");
    assert_eq!(route["spec"]["to"]["name"], "canary");
    assert!(route["metadata"]["ownerReferences"].is_null());
    // In the registry's own namespace the garbage collector takes it.
    let mut here = ingress("here");
    here["metadata"]["namespace"] = "ns".into();
    let here = Case::openshift(sample()).in_mesh().with(here).plan();
    let route = find(&here, "Route", "ns-sample-rest");
    assert!(route["metadata"]["ownerReferences"].is_array());
}

#[test]
fn a_gateway_without_a_grpc_server_leads_to_rest_alone() {
    let spec = merged(sample(), &json!({"grpc": null}));
    let case = in_mesh(spec.clone());
    let plan = case.plan();
    let service = find(&plan, "VirtualService", "sample");
    assert_eq!(service["spec"]["http"].as_array().unwrap().len(), 2);
    assert!(warnings(&case).contains("spec.istio.gateway.grpc leads nowhere"));
    assert_eq!(case.pod()["containers"].as_array().unwrap().len(), 1);
    let off = json!({"istio": {"gateway": {"grpc": {"gatewayRoute": "disabled"}}}});
    assert_eq!(warnings(&in_mesh(merged(spec, &off))), "");
}

#[test]
fn what_istio_would_refuse_is_refused() {
    let refusal = |more: Value| in_mesh(merged(sample(), &more)).refusal();
    for (more, sentence) in [
        (
            json!({"istio": {"tlsMode": "isto_mutual"}}),
            "spec.istio.tlsMode: \"isto_mutual\" is not a TLS mode; use DISABLE, SIMPLE, MUTUAL or ISTIO_MUTUAL",
        ),
        (
            json!({"istio": {"gateway": {"rest": {"tls": {"credentialName": null}}}}}),
            "spec.istio.gateway.rest.tls.credentialName: Required value: name the Secret with the certificate, or set tls.mode to ISTIO_MUTUAL",
        ),
        (
            json!({"grpc": {"port": 8080}}),
            "spec.grpc.port: 8080 is also the port of spec.rest.port; choose another one",
        ),
        (
            json!({"istio": {"gateway": {"grpc": {"port": 0}}}}),
            "spec.istio.gateway.grpc.port: 0 is not a port: use 1 to 65535",
        ),
    ] {
        assert_eq!(refusal(more), sentence);
    }
    let by_istio = json!({"istio": {"gateway": {"rest": {"tls": {"mode": "ISTIO_MUTUAL", "credentialName": null}}}}});
    in_mesh(merged(sample(), &by_istio)).plan();
}

#[test]
fn somebody_else_may_guard() {
    let case = in_mesh(sample()).environment(&[("CREATE_AUTH_RESOURCES", "false")]);
    let plan = case.plan();
    assert_eq!(find(&plan, "AuthConfig", "sample"), Value::Null);
    let pods = plan
        .objects()
        .iter()
        .find(|object| object.kind.kind == "Deployment");
    assert!(pods.unwrap().after.is_empty());
    let guarded = in_mesh(sample()).plan();
    let pods = guarded
        .objects()
        .iter()
        .find(|object| object.kind.kind == "Deployment");
    assert_eq!(pods.unwrap().after[0].1, "sample-authorino");
}

#[test]
fn a_generated_postgres_stays_outside_of_the_mesh() {
    let spec = json!({"rest": {}, "istio": {}, "postgres": {"generateDeployment": true}});
    let plan = in_mesh(spec).plan();
    let inject = |name: &str, place: &str| {
        find(&plan, "Deployment", name)["spec"]["template"]["metadata"][place]
            ["sidecar.istio.io/inject"]
            .take()
    };
    assert_eq!(inject("sample", "labels"), "true");
    assert_eq!(inject("sample-postgres", "annotations"), "false");
}

#[test]
fn the_oauth_proxy_is_kept_by_its_name_alone() {
    let behind = |image: &str| {
        Case::openshift(merged(
            mysql(),
            &json!({"oauthProxy": {"image": image, "port": 9443}}),
        ))
    };
    for image in [
        "quay.io/openshift/origin-oauth-proxy:latest",
        "registry.redhat.io/openshift4/ose-oauth-proxy-rhel9@sha256:0123",
        "registry.test:5000/oauth2-proxy",
    ] {
        let case = behind(image);
        let proxy = case.pod()["containers"][1].take();
        assert_eq!(
            (&proxy["name"], &proxy["image"]),
            (&"oauth-proxy".into(), &image.into())
        );
        assert_eq!(proxy["ports"][0]["containerPort"], 9443);
        let service = case.object("Service", "sample");
        let annotations = &service["metadata"]["annotations"];
        assert_eq!(
            annotations["service.beta.openshift.io/serving-cert-secret-name"],
            "sample-oauth-proxy"
        );
        assert_eq!(
            case.object("Route", "sample-https")["spec"]["to"]["name"],
            "sample"
        );
    }
    for image in [
        "registry.test/oauth-proxy/kube-rbac-proxy:1",
        "registry.test/other@sha256:0",
    ] {
        let case = behind(image);
        assert_eq!(case.pod()["containers"][1]["name"], "kube-rbac-proxy");
        assert!(warnings(&case).contains("spec.oauthProxy.image has no effect"));
    }
}

#[test]
fn secrets_of_the_oauth_proxy_are_random_given_or_kept() {
    let image = json!({"oauthProxy": {"image": "registry.test/oauth-proxy"}});
    let case = Case::openshift(merged(mysql(), &image));
    let cookie = |case: &Case| {
        let secret = case.object("Secret", "sample-oauth-cookie-secret");
        secret["data"]["cookie-secret.txt"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_ne!(cookie(&case), cookie(&case));
    let kept = secret(
        "sample-oauth-cookie-secret",
        &json!({"cookie-secret.txt": "0123456789abcdef"}),
    );
    let case = case.with(kept);
    assert_eq!(cookie(&case), "MDEyMzQ1Njc4OWFiY2RlZg==");
    let args = args(&case.pod(), 1).join(" ");
    assert!(
        args.contains("--cookie-secret-file=/etc/oauth-proxy/cookie-secret.txt"),
        "{args}"
    );
    assert!(!args.contains("0123456789abcdef") && !args.contains("MODEL_REGISTRY_OAUTH_SECRET"));
    // A certificate that somebody made is used, and nobody is asked for another one.
    let given = case.with(secret(
        "sample-oauth-proxy",
        &json!({"tls.crt": "c", "tls.key": "k"}),
    ));
    let service = given.object("Service", "sample");
    let asked =
        &service["metadata"]["annotations"]["service.beta.openshift.io/serving-cert-secret-name"];
    assert!(asked.is_null());
}

#[test]
fn the_metadata_store_gets_the_database_and_the_server_does_not() {
    let more = json!({"grpc": {"image": "registry.test/mlmd:1", "port": 9191}, "mysql": {
        "username": "a$(HOME)", "sslRootCertificateConfigMap": {"name": "ca", "key": "ca.crt"}}});
    let case = Case::kubernetes(merged(mysql(), &more));
    let pod = case.pod();
    let store = args(&pod, 0);
    for flag in [
        "--grpc_port=9191",
        "--metadata_source_config_type=mysql",
        "--mysql_config_user=a$$(HOME)",
        "--mysql_config_password=$(MYSQL_PASSWORD)",
        "--mysql_config_sslrootcert=/etc/mysql_ssl_rootcert/ca.crt",
        "--mysql_config_verify_server_cert=true",
        "--enable_database_upgrade=true",
    ] {
        assert!(
            store.iter().any(|found| found == flag),
            "{flag} in {store:?}"
        );
    }
    assert_eq!(
        env(&pod, "MYSQL_PASSWORD")["valueFrom"]["secretKeyRef"]["name"],
        "db"
    );
    assert_eq!(
        args(&pod, 1),
        [
            "--hostname=0.0.0.0",
            "--port=8080",
            "--mlmd-hostname=localhost",
            "--mlmd-port=9191"
        ]
    );
    let server = &pod["containers"][1];
    assert!(server["env"].is_null() && server["volumeMounts"].is_null());
    let ports = case.object("Service", "sample")["spec"]["ports"].take();
    assert_eq!(
        (&ports[0]["port"], &ports[1]["port"]),
        (&9191.into(), &8080.into())
    );
    assert!(warnings(&case).contains("set spec.rest.image to a release before v0.2.20"));
}
