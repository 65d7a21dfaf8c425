//! What each field of the spec does to the server's objects: the cases that the Go operator's tests
//! have, one by one. `upstream.yaml` says which is which.

use resources::Plan;
use resources::kind::{
    CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, CRON_JOB, DEPLOYMENT, HTTP_ROUTE,
    NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, SERVICE_ACCOUNT,
};
use runtime::offline::Platform;
use serde_json::{Value, json};

use crate::plan::{body, variable};
use crate::world::{mlflow, operator, work};

fn on(platform: Platform, fields: &Value, documents: &[Value]) -> Plan {
    let operator = operator(&[("MLFLOW_URL", "https://gw.example.test:8443/base")]);
    let worked = work(&operator, platform, &[], &mlflow(fields), documents);
    worked.unwrap().plan.unwrap()
}

fn planned(fields: &Value) -> Plan {
    on(Platform::Kubernetes, fields, &[])
}

fn pod(plan: &Plan) -> Value {
    body(plan, DEPLOYMENT, "mlflow")["spec"]["template"].clone()
}

fn container(plan: &Plan) -> Value {
    pod(plan)["spec"]["containers"][0].clone()
}

fn names(list: &Value) -> Vec<&str> {
    let entries = list.as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["name"].as_str()).collect()
}

/// A list of variables, whole.
fn environment(container: &Value, name: &str) -> Value {
    let env = container["env"].as_array().unwrap();
    let found = env.iter().find(|variable| variable["name"] == name);
    found.cloned().unwrap_or_default()
}

fn argument(container: &Value, flag: &str) -> Option<String> {
    let args = container["args"].as_array().unwrap();
    let mut all = args.iter().filter_map(Value::as_str);
    all.find(|arg| *arg == flag || arg.starts_with(&format!("{flag}=")))
        .map(str::to_owned)
}

fn authorities(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"ca.crt": "x"}})
}

#[test]
fn authorities_of_platform_and_user_are_joined() {
    let bundle = "/etc/pki/tls/certs/combined/ca-bundle.crt";
    let user = json!({"caBundleConfigMap": {"name": "mine"}});
    let (platform, mine) = (authorities("odh-trusted-ca-bundle"), authorities("mine"));
    for (fields, documents, sources) in [
        (json!({}), vec![], vec![]),
        (
            json!({}),
            vec![platform.clone()],
            vec!["odh-trusted-ca-bundle"],
        ),
        (user.clone(), vec![mine.clone()], vec!["mine"]),
        (
            user,
            vec![mine, platform],
            vec!["odh-trusted-ca-bundle", "mine"],
        ),
    ] {
        let plan = on(Platform::Kubernetes, &fields, &documents);
        let (pod, container) = (pod(&plan), container(&plan));
        let volumes = pod["spec"]["volumes"].as_array().unwrap();
        let found: Vec<&str> = volumes
            .iter()
            .filter(|volume| volume["configMap"]["optional"] == true)
            .filter_map(|volume| volume["configMap"]["name"].as_str())
            .collect();
        assert_eq!(found, sources);
        let trusts = !sources.is_empty();
        let first = &pod["spec"]["initContainers"][0];
        assert_eq!(first["name"] == "combine-ca-bundles", trusts);
        let mounts = names(&first["volumeMounts"]);
        let mounts = mounts.iter().filter(|name| name.starts_with("ca-bundle-"));
        assert_eq!(mounts.count(), sources.len());
        for name in [
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "AWS_CA_BUNDLE",
            "PGSSLROOTCERT",
        ] {
            assert_eq!(variable(&container, name) == bundle, trusts, "{name}");
        }
        assert_eq!(variable(&container, "PGSSLMODE") == "verify-full", trusts);
        assert_eq!(
            names(&pod["spec"]["volumes"]).contains(&"combined-ca-bundle"),
            trusts
        );
    }
}

#[test]
fn origins_are_the_service_this_machine_the_gateway_and_the_users() {
    let fields = json!({"extraAllowedOrigins": ["https://app.example.test", "", "a,b"]});
    let origins = variable(
        &container(&planned(&fields)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
    );
    assert_eq!(
        origins,
        "https://mlflow:8443,https://mlflow.opendatahub.svc:8443,\
         https://mlflow.opendatahub.svc.cluster.local:8443,localhost:*,127.0.0.1:*,\
         https://gw.example.test:8443,https://app.example.test"
    );
    let operator = operator(&[]);
    let worked = work(
        &operator,
        Platform::Kubernetes,
        &[],
        &mlflow(&json!({})),
        &[],
    );
    let plan = worked.unwrap().plan.unwrap();
    let origins = variable(&container(&plan), "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS");
    assert!(
        origins.as_str().unwrap().ends_with("127.0.0.1:*"),
        "{origins}"
    );
}

#[test]
fn devices_are_claimed() {
    let fields = json!({
        "resourceClaims": [{"name": "a", "resourceClaimTemplateName": "t"}, {"name": "b", "resourceClaimName": "c"}],
        "resources": {"claims": [{"name": "a"}]},
    });
    let plan = planned(&fields);
    assert_eq!(
        pod(&plan)["spec"]["resourceClaims"],
        fields["resourceClaims"]
    );
    assert_eq!(
        container(&plan)["resources"],
        json!({"claims": [{"name": "a"}]})
    );
}

#[test]
fn the_environment_is_the_users_and_openshifts() {
    let own = json!({"env": [{"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]});
    let plan = planned(&own);
    assert_eq!(variable(&container(&plan), "A"), "1");
    assert_eq!(environment(&container(&plan), "B"), own["env"][1]);
    let ciphers = "UVICORN_SSL_CIPHERS";
    assert_eq!(variable(&container(&plan), ciphers), Value::Null);
    let openshift = on(Platform::OpenShift, &own, &[]);
    assert_eq!(variable(&container(&openshift), ciphers), "PROFILE=SYSTEM");
    let chosen = json!({"env": [{"name": ciphers, "value": "mine"}]});
    let chosen = on(Platform::OpenShift, &chosen, &[]);
    assert_eq!(variable(&container(&chosen), ciphers), "mine");
    assert_eq!(container(&plan)["envFrom"], Value::Null);
    let sources = json!([{"secretRef": {"name": "s"}}, {"configMapRef": {"name": "m"}}]);
    let plan = planned(&json!({ "envFrom": sources }));
    assert_eq!(container(&plan)["envFrom"], sources);
}

#[test]
fn workspaces_are_chosen_by_labels() {
    let name = "MLFLOW_K8S_WORKSPACE_LABEL_SELECTOR";
    for (selector, expected) in [
        (json!(null), Value::Null),
        (json!({}), Value::Null),
        (json!({"matchLabels": {"a": "b"}}), json!("a=b")),
    ] {
        let plan = planned(&json!({ "workspaceLabelSelector": selector }));
        assert_eq!(variable(&container(&plan), name), expected);
    }
    let wrong =
        json!({"workspaceLabelSelector": {"matchExpressions": [{"key": "a", "operator": "X"}]}});
    let worked = work(
        &operator(&[]),
        Platform::Kubernetes,
        &[],
        &mlflow(&wrong),
        &[],
    );
    let error = worked.unwrap().plan.unwrap_err().to_string();
    assert!(error.contains("spec.workspaceLabelSelector"), "{error}");
}

#[test]
fn the_image_is_the_operators_or_the_resources() {
    let plan = planned(&json!({}));
    assert_eq!(
        container(&plan)["image"],
        "quay.io/opendatahub/mlflow:odh-stable"
    );
    assert_eq!(container(&plan)["imagePullPolicy"], Value::Null);
    let plan = planned(
        &json!({"image": {"image": "r.example.test/m@sha256:1", "imagePullPolicy": "Always"},
        "imagePullSecrets": [{"name": "pull"}]}),
    );
    assert_eq!(container(&plan)["image"], "r.example.test/m@sha256:1");
    assert_eq!(container(&plan)["imagePullPolicy"], "Always");
    assert_eq!(
        pod(&plan)["spec"]["imagePullSecrets"],
        json!([{"name": "pull"}])
    );
}

#[test]
fn stores_come_from_fields_and_secrets() {
    let (backend, registry) = ("MLFLOW_BACKEND_STORE_URI", "MLFLOW_REGISTRY_STORE_URI");
    let replica = "MLFLOW_READ_REPLICA_BACKEND_STORE_URI";
    let one = container(&planned(&json!({"backendStoreUri": "postgresql://a/m"})));
    assert_eq!(variable(&one, backend), "postgresql://a/m");
    assert_eq!(
        variable(&one, registry),
        "postgresql://a/m",
        "that of the runs"
    );
    assert_eq!(environment(&one, replica), Value::Null);
    let three = container(&planned(&json!({"backendStoreUri": "postgresql://a/m",
        "registryStoreUri": "postgresql://b/m", "readReplicaBackendStoreUri": "postgresql://c/m"})));
    assert_eq!(variable(&three, registry), "postgresql://b/m");
    assert_eq!(variable(&three, replica), "postgresql://c/m");
    let key = |name: &str| json!({"name": name, "key": "uri"});
    let secrets = container(&planned(
        &json!({"backendStoreUri": null, "backendStoreUriFrom": key("a"),
        "readReplicaBackendStoreUriFrom": {"name": "c", "key": "uri", "optional": true}}),
    ));
    let from = |name: &str| environment(&secrets, name)["valueFrom"]["secretKeyRef"].clone();
    assert_eq!(from(backend), key("a"));
    assert_eq!(from(registry), key("a"), "that of the runs");
    assert_eq!(
        from(replica),
        json!({"name": "c", "key": "uri", "optional": true})
    );
    let own = container(&planned(&json!({"registryStoreUriFrom": key("b")})));
    assert_eq!(
        environment(&own, registry)["valueFrom"]["secretKeyRef"],
        key("b")
    );
}

#[test]
fn artifacts_are_served_or_elsewhere() {
    let served = container(&planned(&json!({"workers": 2})));
    assert_eq!(
        argument(&served, "--artifacts-destination").as_deref(),
        Some("--artifacts-destination=file:///mlflow/artifacts")
    );
    assert_eq!(
        argument(&served, "--workers").as_deref(),
        Some("--workers=2")
    );
    assert_eq!(argument(&served, "--default-artifact-root"), None);
    let elsewhere = json!({"serveArtifacts": false, "defaultArtifactRoot": "s3://bucket/x"});
    let elsewhere = container(&planned(&elsewhere));
    assert!(argument(&elsewhere, "--no-serve-artifacts").is_some());
    assert_eq!(
        argument(&elsewhere, "--default-artifact-root").as_deref(),
        Some("--default-artifact-root=s3://bucket/x")
    );
}

/// Ports of every egress rule of the server's policy.
fn egress(fields: &Value) -> Vec<Vec<i64>> {
    let policy = body(&planned(fields), NETWORK_POLICY, "mlflow");
    let rules = policy["spec"]["egress"].as_array().unwrap().clone();
    rules
        .iter()
        .map(|rule| {
            let ports = rule["ports"].as_array().into_iter().flatten();
            ports.filter_map(|port| port["port"].as_i64()).collect()
        })
        .collect()
}

#[test]
fn egress_is_restricted_overridden_or_open() {
    let usual = vec![
        vec![53, 53, 5353, 5353],
        vec![443, 6443, 8443],
        vec![5432],
        vec![3306],
        vec![9000, 8333, 8334],
    ];
    assert_eq!(egress(&json!({})), usual);
    let rule = |port: i64| json!({"ports": [{"port": port, "protocol": "TCP"}]});
    let more = egress(&json!({"networkPolicyAdditionalEgressRules": [rule(1)]}));
    assert_eq!(more[..5], usual[..]);
    assert_eq!(more[5], [1]);
    let own = json!({"networkPolicyEgressRules": [rule(1), rule(2)]});
    assert_eq!(egress(&own), [[1], [2]]);
    let both = json!({"networkPolicyEgressRules": [rule(1)], "networkPolicyAdditionalEgressRules": [rule(2)]});
    assert_eq!(egress(&both), [[1], [2]]);
    assert_eq!(
        egress(&json!({"networkPolicy": {"egress": "All"}})),
        [Vec::<i64>::new()]
    );
    let from = json!([{"podSelector": {"matchLabels": {"a": "b"}}}]);
    let closed = planned(&json!({"networkPolicy": {"ingressFrom": from}}));
    let policy = body(&closed, NETWORK_POLICY, "mlflow");
    assert_eq!(policy["spec"]["ingress"][0]["from"], from);
}

#[test]
fn pods_have_the_users_labels_and_annotations() {
    let plan =
        planned(&json!({"podLabels": {"team": "a", "x": "y"}, "podAnnotations": {"note": "b"}}));
    let metadata = pod(&plan)["metadata"].clone();
    assert_eq!(metadata["labels"]["team"], "a");
    assert_eq!(metadata["annotations"], json!({"note": "b"}));
    assert_eq!(
        pod(&planned(&json!({})))["metadata"]["annotations"],
        Value::Null
    );
}

#[test]
fn probes_and_paths_have_the_prefix() {
    let container = container(&planned(&json!({})));
    assert_eq!(
        container["livenessProbe"]["httpGet"]["path"],
        "/mlflow/health"
    );
    let ready = &container["readinessProbe"]["httpGet"]["path"];
    assert_eq!(ready, "/mlflow/api/3.0/mlflow/server-info");
    assert_eq!(
        argument(&container, "--static-prefix").as_deref(),
        Some("--static-prefix=/mlflow")
    );
    let args = container["args"].as_array().unwrap();
    let hosts = args
        .iter()
        .position(|arg| arg == "--allowed-hosts")
        .unwrap();
    assert_eq!(args[hosts + 1], "*");
}

#[test]
fn volumes_are_as_large_as_asked() {
    let size = |plan: &Plan| {
        let claim = body(plan, PERSISTENT_VOLUME_CLAIM, "mlflow-pvc");
        claim["spec"]["resources"]["requests"]["storage"].clone()
    };
    assert_eq!(size(&planned(&json!({}))), "2Gi");
    assert_eq!(
        size(&planned(&json!({"storage": {"size": "20Gi"}}))),
        "20Gi"
    );
    let archival = json!({"enabled": true, "location": "s3://b", "retention": "1d"});
    for (fields, limit) in [(json!({}), "1Gi"), (json!({"sizeLimit": "5Gi"}), "5Gi")] {
        let plan = planned(
            &json!({"temporaryStorage": fields, "traceArchival": archival,
            "garbageCollection": {"schedule": "0 0 * * *"}}),
        );
        let jobs = ["mlflow-gc", "mlflow-trace-archival"].map(|name| {
            body(&plan, CRON_JOB, name)["spec"]["jobTemplate"]["spec"]["template"].clone()
        });
        for template in jobs.into_iter().chain([pod(&plan)]) {
            let volumes = template["spec"]["volumes"].as_array().unwrap();
            let tmp = volumes
                .iter()
                .find(|volume| volume["name"] == "tmp")
                .unwrap();
            assert_eq!(tmp["emptyDir"]["sizeLimit"], limit);
        }
    }
}

#[test]
fn replicas_are_those_asked_for() {
    let replicas =
        |fields: &Value| body(&planned(fields), DEPLOYMENT, "mlflow")["spec"]["replicas"].clone();
    assert_eq!(replicas(&json!({})), 1);
    assert_eq!(replicas(&json!({"replicas": 3})), 3);
    let strategy = |fields: &Value| {
        body(&planned(fields), DEPLOYMENT, "mlflow")["spec"]["strategy"]["type"].clone()
    };
    assert_eq!(
        strategy(&json!({})),
        "Recreate",
        "two pods cannot share a file"
    );
    let remote = json!({"backendStoreUri": "postgresql://a/m", "storage": null, "artifactsDestination": "s3://b"});
    assert_eq!(strategy(&remote), "RollingUpdate");
}

#[test]
fn garbage_collection_is_off_or_as_asked() {
    let made = [
        (CRON_JOB, "mlflow-gc"),
        (SERVICE_ACCOUNT, "mlflow-gc-sa"),
        (CLUSTER_ROLE, "mlflow-gc"),
        (CLUSTER_ROLE_BINDING, "mlflow-gc"),
    ];
    let off = planned(&json!({}));
    let asked = json!({"schedule": "0 2 * * 0", "olderThan": "1d12h",
        "resources": {"limits": {"memory": "1Gi"}}});
    let on = planned(&json!({ "garbageCollection": asked }));
    for (kind, name) in made {
        assert!(off.get(kind, name).is_none(), "{name}");
        assert!(on.get(kind, name).is_some(), "{name}");
    }
    let job = body(&on, CRON_JOB, "mlflow-gc");
    assert_eq!(job["spec"]["schedule"], asked["schedule"]);
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["serviceAccountName"], "mlflow-gc-sa");
    assert!(names(&pod["volumes"]).contains(&"mlflow-storage"));
    let container = &pod["containers"][0];
    assert_eq!(container["resources"], asked["resources"]);
    let older = argument(container, "--older-than");
    assert_eq!(older.as_deref(), Some("--older-than=1d12h"));
}

#[test]
fn archival_is_off_or_whole() {
    for off in [
        json!(null),
        json!({}),
        json!({"enabled": false, "location": "s3://b"}),
    ] {
        let plan = planned(&json!({ "traceArchival": off }));
        assert!(plan.get(CRON_JOB, "mlflow-trace-archival").is_none());
        assert!(
            plan.get(CONFIG_MAP, "mlflow-trace-archival-config")
                .is_none()
        );
    }
    let asked = json!({"enabled": true, "location": "file:///mlflow/archive", "retention": "30d",
        "schedule": "0 1 * * *", "maxTracesPerPass": 7, "longRetentionAllowlist": ["1"],
        "resources": {"limits": {"memory": "1Gi"}}});
    let plan = planned(&json!({"traceArchival": asked, "replicas": 2}));
    let job = body(&plan, CRON_JOB, "mlflow-trace-archival");
    assert_eq!(job["spec"]["schedule"], "0 1 * * *");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["resources"], asked["resources"]);
    assert!(names(&pod["volumes"]).contains(&"mlflow-storage"));
    assert_eq!(pod["serviceAccountName"], "mlflow-trace-archival-sa");
    assert!(
        plan.get(SERVICE_ACCOUNT, "mlflow-trace-archival-sa")
            .is_some()
    );
    let config =
        body(&plan, CONFIG_MAP, "mlflow-trace-archival-config")["data"]["trace-archival.yaml"]
            .clone();
    for line in [
        "location: \"file:///mlflow/archive\"",
        "retention: \"30d\"",
        "max_traces_per_pass: 7",
        "- \"1\"",
    ] {
        assert!(config.as_str().unwrap().contains(line), "{config}");
    }
    let server = container(&plan);
    assert_eq!(
        variable(&server, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION"),
        "false"
    );
    assert_eq!(
        variable(&server, "MLFLOW_TRACE_ARCHIVAL_CONFIG"),
        "/etc/mlflow/trace-archival.yaml"
    );
    assert!(names(&server["volumeMounts"]).contains(&"trace-archival-config"));
}

#[test]
fn the_route_rewrites_what_opentelemetry_sends_and_nothing_else() {
    let plan = on(Platform::OpenShift, &json!({}), &[]);
    let route = body(&plan, HTTP_ROUTE, "mlflow");
    let rules = route["spec"]["rules"].as_array().unwrap();
    let path = |rule: &Value| rule["matches"][0]["path"]["value"].clone();
    assert_eq!(
        rules.iter().map(path).collect::<Vec<_>>(),
        ["/mlflow/v1", "/mlflow"]
    );
    let rewrite = &rules[0]["filters"][0]["urlRewrite"]["path"];
    assert_eq!(
        rewrite,
        &json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v1"})
    );
    assert_eq!(rules[1]["filters"], Value::Null);
}
