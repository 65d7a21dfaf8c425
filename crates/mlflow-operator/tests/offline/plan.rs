//! The objects of a server, whole, and what is refused before there are any.

use mlflow_operator::kinds::CONSOLE_LINK;
use mlflow_operator::server::error::Error;
use resources::Plan;
use resources::kind::{
    CERTIFICATE, CLUSTER_ROLE_BINDING, CONFIG_MAP, CRON_JOB, DEPLOYMENT, HTTP_ROUTE,
    NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, SECRET, SERVICE, SERVICE_ACCOUNT, SERVICE_MONITOR,
};
use runtime::offline::Platform;
use serde_json::{Value, json};

use crate::world::{Worked, mlflow, operator, work};

/// What an MLflow with these fields becomes.
fn worked(platform: Platform, fields: &Value, documents: &[Value]) -> Worked {
    let operator = operator(&[("MLFLOW_URL", "https://gw.example.test")]);
    work(&operator, platform, &[], &mlflow(fields), documents).unwrap()
}

fn planned(fields: &Value, documents: &[Value]) -> Plan {
    worked(Platform::Kubernetes, fields, documents)
        .plan
        .unwrap()
}

pub(crate) fn body(plan: &Plan, kind: resources::Kind, name: &str) -> Value {
    let found = plan.get(kind, name);
    let found = found.unwrap_or_else(|| panic!("no {kind} {name}"));
    found.body.clone()
}

fn server(plan: &Plan) -> Value {
    body(plan, DEPLOYMENT, "mlflow")
        .pointer("/spec/template/spec/containers/0")
        .unwrap()
        .clone()
}

pub(crate) fn variable(container: &Value, name: &str) -> Value {
    let env = container["env"].as_array().unwrap();
    let mut found = env.iter().filter(|variable| variable["name"] == name);
    let first = found.next().cloned().unwrap_or_default();
    assert!(found.next().is_none(), "{name} is there twice");
    first["value"].clone()
}

/// Every object, without what is random.
fn shown(plan: &Plan) -> Vec<Value> {
    let mut objects: Vec<Value> = plan.objects().iter().map(|o| o.body.clone()).collect();
    for object in &mut objects {
        if object["kind"] == "Secret" || object["metadata"]["name"] == "mlflow-ca" {
            object["data"] = "<generated>".into();
        }
        for pointer in [
            "/metadata/annotations/mlflow.opendatahub.io~1inputs-baseline",
            "/spec/applicationMenu/imageURL",
        ] {
            if let Some(value) = object.pointer_mut(pointer) {
                *value = "<generated>".into();
            }
        }
    }
    objects
}

#[test]
fn files_on_kubernetes() {
    insta::assert_json_snapshot!(shown(&planned(&json!({}), &[])));
}

#[test]
fn everything_on_openshift() {
    let fields = json!({
        "backendStoreUri": null,
        "backendStoreUriFrom": {"name": "db", "key": "uri"},
        "readReplicaBackendStoreUriFrom": {"name": "db", "key": "replica", "optional": true},
        "artifactsDestination": "s3://bucket/artifacts",
        "storage": null,
        "replicas": 2,
        "env": [{"name": "MLFLOW_LOGGING_LEVEL", "value": "DEBUG"},
            {"name": "A", "valueFrom": {"fileKeyRef": {"key": "k", "path": "p", "volumeName": "tmp"}}}],
        "envFrom": [{"secretRef": {"name": "aws"}}],
        "caBundleConfigMap": {"name": "authorities"},
        "garbageCollection": {"schedule": "0 2 * * 0", "olderThan": "30d"},
        "traceArchival": {"enabled": true, "location": "s3://b", "retention": "30d",
            "maxTracesPerPass": 5_000_000, "longRetentionAllowlist": ["1", "on"]},
        "podDisruptionBudget": {"minAvailable": 1},
        "workspaceLabelSelector": {"matchLabels": {"mlflow-enabled": "true"}},
        "networkPolicyAdditionalEgressRules": [{"ports": [{"port": 9999}]}],
        "extraAllowedOrigins": ["https://app.example.test", " ", "a,b"],
    });
    let documents = [
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authorities"},
            "data": {"ca.crt": "x"}}),
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "odh-trusted-ca-bundle"}, "data": {"ca-bundle.crt": "y"}}),
    ];
    let worked = worked(Platform::OpenShift, &fields, &documents);
    insta::assert_json_snapshot!(shown(&worked.plan.unwrap()));
}

/// A variable that the user sets is there once, with the user's value, among them all variables about
/// authorities; what is locked is refused, and so is a name that is there twice.
#[test]
fn a_built_in_variable_can_be_set_once() {
    let authorities = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "authorities"}, "data": {"ca.crt": "x"}});
    for name in [
        "MLFLOW_K8S_AUTH_AUTHORIZATION_MODE",
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS",
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "AWS_CA_BUNDLE",
        "PGSSLROOTCERT",
        "PGSSLMODE",
        "MLFLOW_MYSQL_SSL_CA",
        "MLFLOW_S3_IGNORE_TLS",
    ] {
        let fields = json!({"env": [{"name": name, "value": "mine"}],
            "caBundleConfigMap": {"name": "authorities"}});
        let plan = planned(&fields, std::slice::from_ref(&authorities));
        assert_eq!(variable(&server(&plan), name), "mine", "{name}");
    }
    for (env, words) in [
        (
            json!([{"name": "MLFLOW_DISABLE_TELEMETRY", "value": "false"}]),
            "set by the operator",
        ),
        (
            json!([{"name": "MLFLOW_BACKEND_STORE_URI", "value": "x"}]),
            "fields of their own",
        ),
        (json!([{"name": "A"}, {"name": "A"}]), "A is there twice"),
    ] {
        let error = worked(Platform::Kubernetes, &json!({"env": env}), &[])
            .plan
            .unwrap_err();
        assert!(matches!(error, Error::Invalid(_)));
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn mysql_trusts_by_the_variable_that_mlflow_reads() {
    let authorities = json!({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "authorities"}, "data": {"ca.crt": "x"}});
    let plan = planned(
        &json!({"caBundleConfigMap": {"name": "authorities"}}),
        &[authorities],
    );
    let container = server(&plan);
    let bundle = "/etc/pki/tls/certs/combined/ca-bundle.crt";
    assert_eq!(variable(&container, "MLFLOW_MYSQL_SSL_CA"), bundle);
    assert_eq!(variable(&container, "MLFLOW_MYSQL_CA"), Value::Null);
}

#[test]
fn resources_take_the_place_of_the_defaults() {
    for (given, expected) in [
        (
            json!(null),
            json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "4", "memory": "3Gi"}}),
        ),
        (
            json!({"requests": {"memory": "8Gi"}}),
            json!({"requests": {"memory": "8Gi"}}),
        ),
        (
            json!({"limits": {"memory": "1Gi"}}),
            json!({"limits": {"memory": "1Gi"}}),
        ),
    ] {
        let plan = planned(&json!({ "resources": given }), &[]);
        assert_eq!(server(&plan)["resources"], expected);
    }
}

#[test]
fn labels_by_which_pods_are_found_are_the_operators() {
    let fields = json!({"podLabels": {"app": "other", "component": "other", "team": "a"}});
    let worked = worked(Platform::Kubernetes, &fields, &[]);
    let plan = worked.plan.unwrap();
    let labels =
        body(&plan, DEPLOYMENT, "mlflow")["spec"]["template"]["metadata"]["labels"].clone();
    assert_eq!(
        labels,
        json!({"app": "mlflow", "app.kubernetes.io/instance": "mlflow", "component": "mlflow", "team": "a"})
    );
    let warnings = worked.server.unwrap().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
}

#[test]
fn served_artifacts_need_a_place() {
    let fields = json!({"backendStoreUri": "postgresql://db/m", "storage": null});
    let error = worked(Platform::Kubernetes, &fields, &[]).plan.unwrap_err();
    assert!(
        error.to_string().contains("spec.artifactsDestination"),
        "{error}"
    );
}

#[test]
fn a_missing_bundle_is_named_with_its_namespace() {
    let operator = operator(&[]);
    let resource = mlflow(&json!({"caBundleConfigMap": {"name": "mine"}}));
    let error = work(&operator, Platform::Kubernetes, &[], &resource, &[])
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        r#"CA bundle ConfigMap "mine" not found in namespace "opendatahub""#
    );
}

/// Names of all objects, by kind.
fn names(plan: &Plan) -> Vec<(&'static str, String)> {
    let mut names: Vec<_> = plan
        .objects()
        .iter()
        .map(|o| (o.kind.kind, o.name.clone()))
        .collect();
    names.sort();
    names
}

/// Two beside each other share no object, no path and no label that a selector reads.
#[test]
fn another_instance_has_its_own_of_everything() {
    let fields = json!({"garbageCollection": {"schedule": "0 2 * * 0"},
        "traceArchival": {"enabled": true, "location": "s3://b", "retention": "1d"}});
    let operator = operator(&[("MLFLOW_URL", "https://gw.example.test")]);
    let first = mlflow(&fields);
    let mut second = first.clone();
    second["metadata"]["name"] = "production".into();
    let plan = |resource: &Value| work(&operator, Platform::OpenShift, &[], resource, &[]).unwrap();
    let (first, second) = (plan(&first), plan(&second));
    let (one, other) = (first.plan.unwrap(), second.plan.unwrap());
    let taken = names(&one);
    for name in names(&other) {
        assert!(!taken.contains(&name), "{name:?} is shared");
    }
    assert_eq!(taken.len(), names(&other).len());
    let text = server_of(&other).to_string();
    assert!(
        text.contains("--static-prefix=/mlflow-production"),
        "{text}"
    );
    let container = server_of(&other)["spec"]["template"]["spec"]["containers"][0].clone();
    let origins = variable(&container, "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS");
    let origins = origins.as_str().unwrap();
    assert!(
        origins.starts_with("https://mlflow-production:8443,"),
        "{origins}"
    );
    let monitor = body(&other, SERVICE_MONITOR, "mlflow-metrics-monitor-production");
    assert_eq!(
        monitor["spec"]["endpoints"][0]["tlsConfig"]["serverName"],
        "mlflow-production.opendatahub.svc"
    );
    let server = second.server.unwrap();
    assert_eq!(
        server.address(),
        "https://mlflow-production.opendatahub.svc:8443/mlflow-production"
    );
    assert_eq!(
        server.url().unwrap(),
        "https://gw.example.test/mlflow-production"
    );
    let policy = body(&other, NETWORK_POLICY, "mlflow-production");
    let selector = &policy["spec"]["podSelector"]["matchLabels"];
    assert_eq!(
        selector,
        &json!({"app.kubernetes.io/instance": "mlflow-production"})
    );
}

fn server_of(plan: &Plan) -> Value {
    body(plan, DEPLOYMENT, "mlflow-production")
}

/// An address that nobody gave is none: no URL, no entry in the menu.
#[test]
fn a_url_is_told_only_when_somebody_said_it() {
    let operator = operator(&[("MLFLOW_URL", "https://mlflow.example.com")]);
    let worked = work(
        &operator,
        Platform::OpenShift,
        &[],
        &mlflow(&json!({})),
        &[],
    )
    .unwrap();
    assert_eq!(worked.server.unwrap().url(), None);
    let plan = worked.plan.unwrap();
    assert!(plan.get(CONSOLE_LINK, "mlflow").is_none());
    assert!(
        plan.get(HTTP_ROUTE, "mlflow").is_some(),
        "a way in all the same"
    );
}

#[test]
fn a_url_has_the_gateways_path_where_there_is_a_way_in() {
    for (said, platform, told) in [
        (
            "https://gw.example.test",
            Platform::OpenShift,
            Some("https://gw.example.test/mlflow"),
        ),
        (
            "https://gw.example.test/base/",
            Platform::OpenShift,
            Some("https://gw.example.test/base/mlflow"),
        ),
        ("https://gw.example.test", Platform::Kubernetes, None),
        ("", Platform::OpenShift, None),
    ] {
        let operator = operator(&[("MLFLOW_URL", said)]);
        let worked = work(&operator, platform, &[], &mlflow(&json!({})), &[]);
        let server = worked.unwrap().server.unwrap();
        assert_eq!(server.url().as_deref(), told, "{said:?}");
    }
}

#[test]
fn a_gateway_may_be_anywhere() {
    let operator = operator(&[("GATEWAY_NAMESPACE", "gateways"), ("GATEWAY_NAME", "main")]);
    let worked = work(
        &operator,
        Platform::Kubernetes,
        &[HTTP_ROUTE],
        &mlflow(&json!({})),
        &[],
    );
    let route = body(&worked.unwrap().plan.unwrap(), HTTP_ROUTE, "mlflow");
    let parent = &route["spec"]["parentRefs"][0];
    assert_eq!(
        (&parent["name"], &parent["namespace"]),
        (&"main".into(), &"gateways".into())
    );
}

/// Certificates: made by the operator on plain Kubernetes, given where somebody gave one.
#[test]
fn a_certificate_is_made_unless_there_is_one() {
    let plan = planned(&json!({}), &[]);
    assert_eq!(
        body(&plan, SECRET, "mlflow-tls")["type"],
        "kubernetes.io/tls"
    );
    let authorities = body(&plan, CONFIG_MAP, "mlflow-ca");
    assert!(
        authorities["data"]["ca.crt"]
            .as_str()
            .unwrap()
            .contains("BEGIN CERTIFICATE")
    );
    let annotations = body(&plan, SERVICE, "mlflow")["metadata"]["annotations"].clone();
    assert_eq!(annotations, Value::Null);

    let secret = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {"tls.crt": "a", "tls.key": "b"}})
    };
    let given = planned(&json!({}), &[secret("mlflow-tls")]);
    assert!(
        given.get(SECRET, "mlflow-tls").is_none(),
        "it is somebody's"
    );
    let named = planned(&json!({"tls": {"secretName": "mine"}}), &[secret("mine")]);
    let volumes = body(&named, DEPLOYMENT, "mlflow")["spec"]["template"]["spec"]["volumes"].clone();
    assert!(
        volumes.to_string().contains(r#""secretName":"mine""#),
        "{volumes}"
    );
    assert!(named.get(SECRET, "mine").is_none());

    let issued =
        json!({"tls": {"certManager": {"issuerRef": {"name": "ca", "kind": "ClusterIssuer"}}}});
    let issued = planned(&issued, &[]);
    let certificate = body(&issued, CERTIFICATE, "mlflow-tls");
    assert_eq!(
        certificate["spec"]["issuerRef"],
        json!({"name": "ca", "kind": "ClusterIssuer"})
    );
}

/// Pods are new when what they read is, and not because it is there for the first time.
#[test]
fn a_rotation_is_seen_by_the_pods() {
    let fields = json!({"backendStoreUri": null, "backendStoreUriFrom": {"name": "db", "key": "uri"},
        "tls": {"secretName": "mine"}});
    let secret = |name: &str, key: &str, value: &str| {
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "stringData": {key: value, "unused": "x"}})
    };
    let hash = |plan: &Plan| {
        let body = body(plan, DEPLOYMENT, "mlflow");
        let key = "mlflow.opendatahub.io~1inputs-";
        let found = |pointer: &str| body.pointer(pointer).cloned();
        (
            found(&format!("/metadata/annotations/{key}baseline")),
            found(&format!("/spec/template/metadata/annotations/{key}hash")),
        )
    };
    let certificate = secret("mine", "tls.crt", "c");
    let missing = planned(&fields, std::slice::from_ref(&certificate));
    assert_eq!(hash(&missing), (None, None), "a Secret is missing");
    let first = [secret("db", "uri", "one"), certificate.clone()];
    let plan = planned(&fields, &first);
    let (baseline, none) = hash(&plan);
    assert!(baseline.is_some() && none.is_none());
    let mut live = body(&plan, DEPLOYMENT, "mlflow");
    for (what, rotated) in [
        (
            "database",
            [secret("db", "uri", "two"), certificate.clone()],
        ),
        (
            "certificate",
            [secret("db", "uri", "one"), secret("mine", "tls.crt", "d")],
        ),
    ] {
        let with = [&rotated[..], &[live.clone()]].concat();
        let plan = planned(&fields, &with);
        let (kept, hash) = hash(&plan);
        assert_eq!(kept, baseline, "{what}");
        assert!(hash.is_some(), "{what}");
    }
    // Another key of the same Secret is nobody's.
    let mut other = first[0].clone();
    other["stringData"]["unused"] = "y".into();
    let with = [other, certificate, live.take()];
    assert_eq!(hash(&planned(&fields, &with)), (baseline, None));
}

#[test]
fn a_claim_outlives_its_resource_only_where_that_is_asked() {
    for (policy, owned) in [
        (json!(null), true),
        (json!("Delete"), true),
        (json!("Retain"), false),
    ] {
        let plan = planned(&json!({ "deletionPolicy": policy }), &[]);
        let claim = body(&plan, PERSISTENT_VOLUME_CLAIM, "mlflow-pvc");
        assert_eq!(
            claim["metadata"]["ownerReferences"].is_array(),
            owned,
            "{policy}"
        );
    }
    let none = json!({"backendStoreUri": "postgresql://db/m", "artifactsDestination": "s3://b", "storage": null});
    assert!(
        planned(&none, &[])
            .get(PERSISTENT_VOLUME_CLAIM, "mlflow-pvc")
            .is_none()
    );
}

#[test]
fn metrics_are_read_with_trust_where_there_is_a_monitor() {
    let operator = operator(&[]);
    let worked = work(
        &operator,
        Platform::Kubernetes,
        &[SERVICE_MONITOR],
        &mlflow(&json!({})),
        &[],
    );
    let plan = worked.unwrap().plan.unwrap();
    let monitor = body(&plan, SERVICE_MONITOR, "mlflow-metrics-monitor");
    assert_eq!(
        monitor["spec"]["endpoints"][0]["tlsConfig"],
        json!({"ca": {"configMap": {"name": "mlflow-ca", "key": "ca.crt"}},
            "serverName": "mlflow.opendatahub.svc"})
    );
    assert!(
        server(&plan)["args"]
            .to_string()
            .contains("--expose-prometheus")
    );
    let without = planned(&json!({}), &[]);
    assert!(
        without
            .get(SERVICE_MONITOR, "mlflow-metrics-monitor")
            .is_none()
    );
    assert!(
        !server(&without)["args"]
            .to_string()
            .contains("--expose-prometheus")
    );
}

/// The job that deletes for good finds the server, trusts it, has the user's environment, and keeps
/// the database's password out of its arguments.
#[test]
fn garbage_collection_can_work() {
    let fields = json!({"garbageCollection": {"schedule": "0 2 * * 0"},
        "env": [{"name": "MLFLOW_S3_ENDPOINT_URL", "value": "https://s3.example.test"}]});
    let plan = planned(&fields, &[]);
    let job = body(&plan, CRON_JOB, "mlflow-gc");
    let container = job
        .pointer("/spec/jobTemplate/spec/template/spec/containers/0")
        .unwrap();
    let uri = "https://mlflow.opendatahub.svc:8443/mlflow";
    assert_eq!(variable(container, "MLFLOW_TRACKING_URI"), uri);
    assert_eq!(
        variable(container, "MLFLOW_S3_ENDPOINT_URL"),
        "https://s3.example.test"
    );
    assert_eq!(
        variable(container, "MLFLOW_TRACKING_SERVER_CERT_PATH"),
        "/etc/mlflow-ca/ca.crt"
    );
    assert!(!container["args"].to_string().contains("sqlite"));
    assert!(plan.get(CLUSTER_ROLE_BINDING, "mlflow-gc").is_some());
    assert!(plan.get(SERVICE_ACCOUNT, "mlflow-gc-sa").is_some());
    let binding = body(&plan, CLUSTER_ROLE_BINDING, "mlflow");
    assert!(!binding["subjects"].to_string().contains("mlflow-gc-sa"));
}
