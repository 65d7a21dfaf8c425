//! Whether the proxy can be reached.

use super::*;

/// The cases of the Go operator's test of pods, A to J, and two of ours.
#[test]
#[allow(clippy::too_many_lines, reason = "a table")]
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
        let wanted = message.map_or(
            ("True", "ResourcesAvailable", proxy::KUBE_RBAC.available),
            |m| ("False", "ResourcesUnavailable", m),
        );
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
