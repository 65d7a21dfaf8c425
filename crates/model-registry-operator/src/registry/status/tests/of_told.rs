//! Everything else that is told: failures, warnings, addresses, events, and how dashboards read it.

use super::*;

#[test]
fn a_registry_at_rest_says_what_the_go_operator_said() {
    let mut world = World::new(proxied()).with_all([up(), good_pod("p"), slice(true)]);
    let status = world.pass();
    assert_eq!(
        brief(&status, "Progressing"),
        expect(
            "False",
            "CreatedDeployment",
            "Deployment was successfully created"
        )
    );
    assert_eq!(
        brief(&status, "Available"),
        expect("True", "DeploymentAvailable", "Deployment is available")
    );
    assert_eq!(
        brief(&status, "KubeRBACProxyAvailable"),
        expect(
            "True",
            "ResourcesAvailable",
            "kube-rbac-proxy was successfully created"
        )
    );
    assert_eq!(get(&status, "Ready").status, "True");
    assert_eq!(get(&status, "DatabaseConfigValid").status, "True");
    assert_eq!(status.conditions.len(), 5, "{status:?}");
    assert_eq!(status.observed_generation, Some(4));
    assert!(
        status
            .conditions
            .iter()
            .all(|c| c.observed_generation == Some(4))
    );
    world.now += jiff::SignedDuration::from_hours(1);
    assert_eq!(
        world.pass(),
        status,
        "nothing changes while nothing changes"
    );
}

#[test]
fn conditions_of_other_times_go_and_those_of_others_stay() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    let old = |type_: &str| json!({"type": type_, "status": "False", "reason": "Old", "message": "", "lastTransitionTime": "2020-01-01T00:00:00Z"});
    let types = [
        "IstioAvailable",
        "GatewayAvailable",
        "OAuthProxyAvailable",
        "KubeRBACProxyAvailable",
        "Degraded",
        "example.com/Audited",
        "Available",
    ];
    world.resource.status =
        Some(serde_json::from_value(json!({"conditions": types.map(old)})).unwrap());
    let status = world.pass();
    let types: Vec<_> = status.conditions.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(
        types,
        [
            "Ready",
            "Progressing",
            "Available",
            "DatabaseConfigValid",
            "example.com/Audited"
        ]
    );
}

#[test]
fn what_is_missing_is_said_where_pods_only_wait() {
    let mut world = World::new(mysql()).with_all([
        broken(),
        pod(
            "p",
            NAME,
            &["rest-container"],
            json!([waiting("rest-container", "ContainerCreating", "")]),
        ),
    ]);
    world.documents.remove(0);
    let status = world.pass();
    let sentence = "spec.mysql.passwordSecret: Secret db does not exist; create it";
    assert_eq!(
        brief(&status, "Available"),
        expect(
            "False",
            "ConfigurationError",
            &format!("database configuration error: {sentence}")
        )
    );
    assert_eq!(
        brief(&status, "DatabaseConfigValid"),
        expect("False", "Invalid", sentence)
    );
    // Pods that run go on running.
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    world.documents.remove(0);
    let status = world.pass();
    assert_eq!(
        (
            &*get(&status, "Available").status,
            &*get(&status, "Ready").status
        ),
        ("True", "False")
    );
}

#[test]
fn failures_are_told_with_their_reason() {
    let status = World::new(json!({})).with_all([up(), slice(true)]).pass();
    assert_eq!(get(&status, "Available").reason, "InvalidSpec");
    assert!(
        get(&status, "Available").message.contains("spec.mysql"),
        "{status:?}"
    );
    assert_eq!(status.observed_generation, Some(4));

    let mut other = json!({"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry",
        "metadata": {"name": NAME, "namespace": "elsewhere", "uid": "o", "creationTimestamp": "2020-01-01T00:00:00Z"}});
    let status = World::new(mysql()).with(other.take()).pass();
    assert_eq!(brief(&status, "Available").1, "NameConflict");
    assert!(brief(&status, "Available").2.contains("elsewhere"));
    assert!(
        !has(&status, "DatabaseConfigValid"),
        "the dashboard would list it"
    );

    // An earlier spec runs on: what was told of it is not lost, and its proxy is not stale.
    let mut world = World::new(proxied()).with_all([up(), slice(true), good_pod("p")]);
    let before = world.pass();
    world.resource.spec.mysql = None;
    let status = world.pass();
    assert_eq!((&status.hosts, &status.url), (&before.hosts, &before.url));
    assert_eq!(get(&status, "KubeRBACProxyAvailable").status, "False");
}

#[test]
fn writes_that_failed_name_the_object_and_the_servers_sentence() {
    let failed = |kind, rule: Option<&str>| Failed {
        target: Target {
            kind,
            namespace: Some(NAMESPACE.into()),
            name: "x".into(),
        },
        missing_rule: rule.map(Into::into),
        message: "the server says no".into(),
    };
    let world = || World::new(mysql()).with_all([up(), slice(true)]);
    let mut one = world();
    one.outcome.failed = vec![failed(SERVICE, None), failed(NETWORK_POLICY, None)];
    assert_eq!(
        brief(&one.pass(), "Available"),
        expect(
            "False",
            "DeploymentUnavailable",
            "Service ns/x could not be written: the server says no (1 more)"
        )
    );
    let mut optional = world();
    optional.outcome.failed = vec![failed(
        NETWORK_POLICY,
        Some("create networkpolicies.networking.k8s.io"),
    )];
    optional.missing_rules = vec!["create networkpolicies.networking.k8s.io".into()];
    let status = optional.pass();
    assert_eq!(get(&status, "Available").status, "True");
    assert!(has(&status, "RightsMissing"));
    let mut unbound = World::new(proxied()).with_all([up(), good_pod("p"), slice(true)]);
    unbound.outcome.failed = vec![failed(
        CLUSTER_ROLE_BINDING,
        Some("create clusterrolebindings.rbac.authorization.k8s.io"),
    )];
    let told = unbound.pass();
    let proxy = get(&told, "KubeRBACProxyAvailable");
    assert_eq!(proxy.status, "Unknown");
    assert!(proxy.message.contains("ServiceAccount ns/r,"));
    assert_eq!(get(&told, "Ready").status, "Unknown");
    let mut foreign = world();
    foreign.outcome.foreign = vec![failed(SERVICE, None).target];
    assert_eq!(
        brief(&foreign.pass(), "Available"),
        expect(
            "False",
            "ObjectConflict",
            "Service ns/x belongs to somebody else; delete it or name the registry otherwise"
        )
    );
}

#[test]
fn a_paused_registry_says_so_and_nothing_else_new() {
    let mut world = World::new(mysql()).with_all([up(), slice(true)]);
    let before = world.pass();
    world.paused = true;
    world.resource.metadata.generation = Some(9);
    let status = world.pass();
    assert_eq!(get(&status, "Paused").status, "True");
    assert_eq!(get(&status, "Available"), get(&before, "Available"));
    assert_eq!(
        status.observed_generation,
        Some(4),
        "the new generation has no effect yet"
    );
    assert_eq!(world.pass(), status);
    world.paused = false;
    assert!(!has(&world.pass(), "Paused"));
}

#[test]
fn warnings_are_there_while_there_are_some() {
    let mut spec = mysql();
    spec["grpc"] = json!({"port": 1});
    let status = World::new(spec).pass();
    assert_eq!(
        (
            &*get(&status, "SpecWarnings").status,
            &*get(&status, "SpecWarnings").reason
        ),
        ("True", "SpecWarnings")
    );
    assert!(get(&status, "SpecWarnings").message.contains("spec.grpc"));
    assert!(!has(&World::new(mysql()).pass(), "SpecWarnings"));
}

#[test]
fn addresses_come_external_first() {
    let hosts = |status: &ModelRegistryStatus| status.hosts_str.clone().unwrap();
    let inside = "r.ns.svc.cluster.local,r.ns,r";
    let plain = World::new(mysql()).pass();
    assert_eq!(
        (hosts(&plain), plain.url.as_deref()),
        (
            inside.to_owned(),
            Some("http://r.ns.svc.cluster.local:8080")
        )
    );
    let proxy = World::new(proxied()).pass();
    assert_eq!(
        (hosts(&proxy), proxy.url.as_deref()),
        (
            inside.to_owned(),
            Some("https://r.ns.svc.cluster.local:8443")
        )
    );
    let open = World::new(proxied()).on_openshift().pass();
    assert_eq!(hosts(&open), format!("r-rest.apps.example.test,{inside}"));
    assert_eq!(
        open.url.as_deref(),
        Some("https://r-rest.apps.example.test")
    );
    let gateway = World::new(proxied())
        .on_openshift()
        .env(&[("GATEWAY_DOMAIN", "gw.example.test")])
        .pass();
    assert_eq!(
        hosts(&gateway),
        format!("gw.example.test/model-registry/r,r-rest.apps.example.test,{inside}")
    );
    assert_eq!(
        gateway.url.as_deref(),
        Some("https://gw.example.test/model-registry/r")
    );
    let mut ports = proxied();
    ports["kubeRBACProxy"] = json!({"domain": "o.example.test", "routePort": 8443});
    let ports = World::new(ports).on_openshift().pass();
    assert_eq!(
        ports.url.as_deref(),
        Some("https://r-rest.o.example.test:8443")
    );
}

#[test]
fn spec_defaults_are_those_of_the_go_operator() {
    let images = [(
        "RELATED_IMAGE_ODH_KUBE_RBAC_PROXY_IMAGE",
        "quay.io/openshift/origin-kube-rbac-proxy:latest",
    )];
    let rest = r#""rest":{"image":"quay.io/opendatahub/model-registry:latest","resources":{"limits":{"memory":"256Mi"},"requests":{"cpu":"100m","memory":"256Mi"}}}"#;
    let told = |spec: Value| {
        World::new(spec)
            .env(&images)
            .on_openshift()
            .pass()
            .spec_defaults
            .unwrap()
    };
    assert_eq!(
        told(proxied()),
        format!(
            r#"{{"kubeRBACProxy":{{"domain":"apps.example.test","image":"quay.io/openshift/origin-kube-rbac-proxy:latest","tlsCertificateSecret":{{"key":"tls.crt","name":"r-kube-rbac-proxy"}},"tlsKeySecret":{{"key":"tls.key","name":"r-kube-rbac-proxy"}}}},{rest}}}"#
        )
    );
    let plain = |spec: Value| World::new(spec).env(&images).pass().spec_defaults.unwrap();
    assert_eq!(plain(mysql()), format!("{{{rest}}}"));
    assert_eq!(
        plain(json!({"postgres": {"host": "h", "username": "u", "database": "d"}})),
        format!(r#"{{"postgres":{{"image":"quay.io/sclorg/postgresql-16-c10s:latest"}},{rest}}}"#)
    );
    assert_eq!(
        plain(json!({"postgres": {"generateDeployment": true}})),
        format!(
            r#"{{"postgres":{{"database":"model_registry","generateDeployment":null,"host":"r-postgres","passwordSecret":{{"key":"password","name":"r-postgres-credentials"}},"sslMode":null,"username":"modelregistry"}},{rest}}}"#
        )
    );
}

#[test]
fn events_are_in_the_words_of_the_go_operator() {
    let world = World::new(mysql());
    let target = Target {
        kind: SERVICE,
        namespace: Some(NAMESPACE.into()),
        name: NAME.into(),
    };
    let told = |outcome: Outcome| {
        let attempt = Attempt {
            observation: None,
            plan: None,
            failure: None,
            outcome: &outcome,
            paused: false,
            missing_rules: &[],
            now: world.now,
        };
        events(&world.resource, &attempt)
            .into_iter()
            .map(|n| (n.warning, n.reason, n.message))
            .collect::<Vec<_>>()
    };
    let wrote = |created: bool, updated: bool| {
        let list = |yes: bool| if yes { vec![target.clone()] } else { vec![] };
        told(Outcome {
            created: list(created),
            updated: list(updated),
            ..Outcome::default()
        })
    };
    let created = (
        false,
        "ServiceCreated",
        "Created service for custom resource r in namespace ns".to_owned(),
    );
    let updated = (
        false,
        "ServiceUpdated",
        "Updated service for custom resource r in namespace ns".to_owned(),
    );
    assert_eq!(wrote(true, true), std::slice::from_ref(&created));
    assert_eq!(wrote(false, true), [updated]);
    assert_eq!(wrote(false, false), []);
    assert_eq!(
        farewell(&world.resource).message,
        "Custom Resource r is being deleted from the namespace ns"
    );
}

/// How the settings page of the dashboard reads conditions: the first test that holds.
fn label(status: &ModelRegistryStatus) -> &'static str {
    let is = |type_: &str, wanted: &str| {
        status
            .conditions
            .iter()
            .any(|c| c.type_ == type_ && c.status == wanted)
    };
    let messages: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.status == "False")
        .map(|c| &c.message)
        .collect();
    if status.conditions.is_empty() {
        "Progressing"
    } else if is("Available", "False") && !messages.iter().any(|m| m.contains("ContainerCreating"))
    {
        "Unavailable"
    } else if is("Degraded", "True") {
        "Degrading"
    } else if is("Available", "True") {
        "Available"
    } else {
        "Progressing"
    }
}

#[test]
fn the_dashboard_shows_what_is_so() {
    let crash = || {
        pod(
            "p",
            NAME,
            BOTH,
            json!([waiting("rest-container", "CrashLoopBackOff", "x")]),
        )
    };
    let starting = || {
        pod(
            "p",
            NAME,
            BOTH,
            json!([waiting("rest-container", "ContainerCreating", "")]),
        )
    };
    for (label_wanted, documents) in [
        ("Progressing", vec![]),
        ("Progressing", vec![broken(), starting()]),
        ("Available", vec![up(), slice(true), good_pod("p")]),
        ("Unavailable", vec![broken(), crash()]),
        (
            "Progressing",
            vec![
                deployment(2, 1, [1, 1, 0], json!([minimum("True"), rolled_out()])),
                good_pod("p"),
            ],
        ),
    ] {
        assert_eq!(
            label(&World::new(proxied()).with_all(documents.clone()).pass()),
            label_wanted,
            "{documents:?}"
        );
    }
    assert_eq!(label(&World::new(json!({})).pass()), "Unavailable");
    // Every False condition is listed when the registry is not available: all must be about that.
    let status = World::new(proxied()).with_all([broken(), crash()]).pass();
    let listed: Vec<_> = status
        .conditions
        .iter()
        .filter(|c| c.status == "False")
        .map(|c| c.type_.as_str())
        .collect();
    assert_eq!(listed, ["Ready", "KubeRBACProxyAvailable", "Available"]);
}
