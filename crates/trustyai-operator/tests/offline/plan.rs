//! Whole plans, as they are sent.

use crate::world::{UID, work};
use operator_harness::bodies;
use resources::kind::{
    CONFIG_MAP, DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, ROUTE, SECRET, SERVICE_MONITOR,
};
use runtime::component::Component;
use runtime::offline::Platform;
use runtime::offline::admission::admit;
use serde_json::{Value, json};
use trustyai_operator::service::TrustyAi;
use trustyai_operator::service::config::Config;

/// A service whose spec has these fields over a sound one; null takes a field away.
fn service(fields: &Value) -> Value {
    let mut spec = json!({"metrics": {"schedule": "5s"}, "data": {"filename": "data.csv", "format": "CSV"},
        "storage": {"format": "PVC", "folder": "/inputs", "size": "1Gi"}});
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    let map = spec.as_object_mut().unwrap();
    map.retain(|_, value| !value.is_null());
    json!({"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService",
        "metadata": {"name": "tas", "namespace": "ns1"}, "spec": spec})
}

fn credentials() -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "ns1"},
        "stringData": {"databaseKind": "mariadb", "databaseUsername": "u", "databasePassword": "p",
            "databaseService": "mariadb", "databasePort": "3306", "databaseName": "d"}})
}

fn database(fields: &Value) -> Value {
    let mut storage = json!({"format": "DATABASE", "databaseConfigurations": "db"});
    for (name, value) in fields.as_object().unwrap() {
        storage[name] = value.clone();
    }
    service(&json!({ "storage": storage }))
}

/// The bodies of the plan.
fn objects(resource: &Value, documents: &[Value]) -> Vec<Value> {
    let worked = work(Platform::OpenShift, resource, documents);
    let plan = worked.plan.unwrap();
    bodies(&plan)
}

fn object(resource: &Value, documents: &[Value], kind: &str) -> Value {
    let mut all = objects(resource, documents).into_iter();
    all.find(|object| object["kind"] == kind).unwrap()
}

fn environment(resource: &Value, documents: &[Value]) -> Vec<(String, Value)> {
    let deployment = object(resource, documents, "Deployment");
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let all = env.as_array().unwrap().iter();
    all.map(|variable| {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = variable.get("value").unwrap_or(&variable["valueFrom"]);
        (name, value.clone())
    })
    .collect()
}

#[test]
fn files_on_openshift() {
    insta::assert_json_snapshot!(objects(&service(&json!({})), &[]));
}

#[test]
fn a_database_with_tls_on_openshift() {
    let ca = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "tas-db-ca", "namespace": "ns1"},
        "stringData": {"ca.crt": "-----BEGIN CERTIFICATE-----\nYQ==\n-----END CERTIFICATE-----\n"}});
    let deployment = object(&database(&json!({})), &[credentials(), ca], "Deployment");
    insta::assert_json_snapshot!(deployment);
}

#[test]
fn a_migration_has_the_environment_of_both_and_every_variable_once() {
    let resource = database(&json!({"folder": "/inputs", "size": "1Gi"}));
    let env = environment(&resource, &[credentials()]);
    let mut names: Vec<_> = env.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a variable is there twice: {env:?}");
    insta::assert_json_snapshot!(env);
    let claim = object(&resource, &[credentials()], "PersistentVolumeClaim");
    assert_eq!(claim["metadata"]["name"], "tas-pvc");
}

#[test]
fn a_migration_is_a_database_with_a_folder_and_a_filename() {
    for (storage, data, migrates) in [
        (
            json!({"folder": "/in", "size": "1Gi"}),
            json!({"filename": "d"}),
            true,
        ),
        (
            json!({"folder": "/in", "size": "1Gi"}),
            json!({"format": "CSV"}),
            false,
        ),
        (
            json!({"folder": "", "size": "1Gi"}),
            json!({"filename": "d"}),
            false,
        ),
        (json!({"size": "1Gi"}), json!({"filename": "d"}), false),
    ] {
        let mut resource = database(&storage);
        resource["spec"]["data"] = data;
        let env = environment(&resource, &[credentials()]);
        let found = env
            .iter()
            .any(|(name, _)| name == "DATABASE_ATTEMPT_MIGRATION");
        assert_eq!(found, migrates, "{resource}");
    }
    let files = environment(&service(&json!({})), &[]);
    assert!(
        files
            .iter()
            .all(|(name, _)| name != "DATABASE_ATTEMPT_MIGRATION")
    );
}

#[test]
fn files_have_no_database_and_a_database_has_no_files() {
    let of_files = environment(&service(&json!({})), &[]);
    let of_database = environment(&database(&json!({})), &[credentials()]);
    let has = |env: &[(String, Value)], name: &str| env.iter().any(|(found, _)| found == name);
    for name in [
        "DATABASE_SERVICE",
        "QUARKUS_DATASOURCE_JDBC_URL",
        "DATABASE_ATTEMPT_MIGRATION",
    ] {
        assert!(!has(&of_files, name), "{name}");
    }
    for name in [
        "STORAGE_DATA_FOLDER",
        "STORAGE_DATA_FILENAME",
        "DATABASE_ATTEMPT_MIGRATION",
    ] {
        assert!(!has(&of_database, name), "{name}");
    }
}

#[test]
fn on_plain_kubernetes_the_operator_makes_the_certificates() {
    let worked = work(Platform::Kubernetes, &service(&json!({})), &[]);
    let plan = worked.plan.unwrap();
    assert!(plan.get(ROUTE, "tas").is_none());
    for secret in ["tas-tls", "tas-internal"] {
        let body = &plan.get(SECRET, secret).unwrap().body;
        assert!(body["data"]["tls.crt"].is_string(), "{secret}");
    }
    let bundle = &plan.get(CONFIG_MAP, "tas-ca").unwrap().body["data"]["ca.crt"];
    assert_eq!(bundle.as_str().unwrap().matches("BEGIN").count(), 2);
    let monitor = &plan.get(SERVICE_MONITOR, "tas").unwrap().body;
    assert_eq!(
        monitor["spec"]["endpoints"][0]["tlsConfig"]["ca"]["configMap"]["name"],
        "tas-ca"
    );
    assert!(worked.seen.seen.due().is_some());
}

#[test]
fn an_embedded_monitor_is_merged_over_the_default_one() {
    let embedded = json!({"apiVersion": "monitoring.coreos.com/v1", "kind": "ServiceMonitor",
        "metadata": {"labels": {"team": "a", "app.kubernetes.io/instance": "other"}},
        "spec": {"endpoints": [{"interval": "15s"}, {"port": "extra"}], "jobLabel": "j"}});
    let fields = json!({"serviceMonitoring": {"metrics": ["trustyai_dir"], "ref": embedded}});
    let monitor = object(&service(&fields), &[], "ServiceMonitor");
    assert_eq!(monitor["metadata"]["labels"]["team"], "a");
    assert_eq!(
        monitor["metadata"]["labels"]["app.kubernetes.io/instance"],
        "tas"
    );
    let spec = &monitor["spec"];
    assert_eq!(spec["jobLabel"], "j");
    let endpoints = spec["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 2);
    assert_eq!(
        (&endpoints[0]["interval"], &endpoints[0]["path"]),
        (&json!("15s"), &json!("/q/metrics"))
    );
    assert_eq!(
        endpoints[0]["metricRelabelings"][0]["regex"],
        "trustyai_dir"
    );
    let off = json!({"serviceMonitoring": {"enabled": false}});
    let kinds: Vec<_> = objects(&service(&off), &[]);
    assert!(
        kinds
            .iter()
            .all(|object| object["kind"] != "ServiceMonitor")
    );
}

#[test]
fn a_claim_is_made_for_the_volume_that_is_named() {
    let volume = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "mypv"},
        "spec": {"storageClassName": "slow", "volumeMode": "Filesystem"}});
    let storage = json!({"format": "PVC", "folder": "/inputs", "size": "1Gi", "pv": "mypv"});
    let resource = service(&json!({ "storage": storage }));
    let claim = object(&resource, &[volume], "PersistentVolumeClaim");
    assert_eq!(claim["spec"]["volumeName"], "mypv");
    assert_eq!(claim["spec"]["storageClassName"], "slow");
    let without = object(&resource, &[], "PersistentVolumeClaim");
    assert_eq!(without["spec"]["storageClassName"], "");
}

#[test]
fn what_is_fixed_in_a_claim_stays_and_its_size_never_shrinks() {
    let live = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "tas-pvc", "namespace": "ns1", "ownerReferences": [
            {"apiVersion": "trustyai.opendatahub.io/v1", "kind": "TrustyAIService", "name": "tas",
             "uid": UID, "controller": true}]},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
            "resources": {"requests": {"storage": "2Gi"}}}});
    let storage = json!({"format": "PVC", "folder": "/inputs", "size": "1Gi",
        "storageClassName": "fast", "accessModes": ["ReadWriteMany"]});
    let resource = service(&json!({"storage": storage, "deletionPolicy": "Retain", "replicas": 2}));
    let worked = work(Platform::OpenShift, &resource, &[live]);
    let plan = worked.plan.unwrap();
    let claim = &plan.get(PERSISTENT_VOLUME_CLAIM, "tas-pvc").unwrap().body;
    assert_eq!(
        claim["spec"],
        json!({"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "2Gi"}}})
    );
    assert_eq!(claim["metadata"].get("ownerReferences"), None, "it is kept");
    let deployment = &plan.get(DEPLOYMENT, "tas").unwrap().body;
    assert_eq!(deployment["spec"]["replicas"], 1);
    let warnings = worked.seen.validated.unwrap().warnings;
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn somebody_elses_claim_is_used_as_it_is() {
    let storage = json!({"format": "PVC", "folder": "/inputs", "existingClaim": "theirs"});
    let all = objects(&service(&json!({ "storage": storage })), &[]);
    assert!(
        all.iter()
            .all(|object| object["kind"] != "PersistentVolumeClaim")
    );
    let deployment = all
        .iter()
        .find(|object| object["kind"] == "Deployment")
        .unwrap();
    let volumes = deployment["spec"]["template"]["spec"]["volumes"]
        .as_array()
        .unwrap();
    assert_eq!(volumes[0]["persistentVolumeClaim"]["claimName"], "theirs");
}

#[test]
fn the_authorities_of_the_cluster_are_in_both_containers() {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odh-trusted-ca-bundle",
        "namespace": "ns1", "labels": {"config.openshift.io/inject-trusted-cabundle": "true"}},
        "data": {"ca-bundle.crt": "x"}});
    let deployment = object(&service(&json!({})), &[map], "Deployment");
    let containers = deployment["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap();
    let without = object(&service(&json!({})), &[], "Deployment");
    let path = "/etc/ssl/certs/ca-bundle.crt";
    assert!(!without.to_string().contains(path));
    for container in containers {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let found = mounts.iter().any(|m| m["mountPath"] == path);
        assert!(found, "{}", container["name"]);
    }
}

#[test]
fn the_pods_wait_for_a_sound_secret_of_the_database() {
    let mut broken = credentials();
    broken["stringData"]["databasePort"] = "none".into();
    let authority = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "tas-db-ca", "namespace": "ns1"}, "stringData": {"ca.crt": "x"}});
    for (documents, words) in [
        (vec![], "create it"),
        (vec![broken], "databasePort"),
        (vec![credentials(), authority], "no PEM certificate"),
    ] {
        let worked = work(Platform::OpenShift, &database(&json!({})), &documents);
        let plan = worked.plan.unwrap();
        assert!(plan.get(DEPLOYMENT, "tas").is_none());
        assert!(
            plan.has(DEPLOYMENT, Some("ns1"), "tas"),
            "one that runs stays"
        );
        let problem = worked.seen.seen.database.unwrap().problem.unwrap();
        assert!(problem.to_string().contains(words), "{problem}");
    }
}

#[test]
fn what_is_read_once_changes_the_pods_and_nothing_else_does() {
    let hash = |documents: &[Value]| {
        let deployment = object(&database(&json!({})), documents, "Deployment");
        deployment["spec"]["template"]["metadata"]["annotations"]["trustyai.opendatahub.io/inputs-hash"].clone()
    };
    let first = hash(&[credentials()]);
    let mut more = credentials();
    more["stringData"]["other"] = "x".into();
    assert_eq!(hash(&[more]), first, "a key that nobody reads");
    let mut rotated = credentials();
    rotated["stringData"]["databasePassword"] = "q".into();
    assert_ne!(hash(&[rotated]), first);
}

#[test]
fn a_deployment_of_the_go_operator_keeps_its_selector() {
    let selector = json!({"app": "tas", "app.kubernetes.io/instance": "tas",
        "app.kubernetes.io/name": "tas", "app.kubernetes.io/part-of": "trustyai",
        "app.kubernetes.io/version": "1.39.0"});
    let live = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "tas", "namespace": "ns1", "labels": selector},
        "spec": {"selector": {"matchLabels": selector}}});
    let deployment = object(&service(&json!({})), &[live], "Deployment");
    assert_eq!(deployment["spec"]["selector"]["matchLabels"], selector);
    assert_eq!(
        deployment["spec"]["template"]["metadata"]["labels"],
        selector
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let resource = service(&json!({"serviceMonitoring": {"ref": {"kind": "Pod"}},
        "storage": {"format": "PVC", "folder": "/inputs"}}));
    let error = work(Platform::OpenShift, &resource, &[]).plan.unwrap_err();
    for field in ["spec.storage.size", "spec.serviceMonitoring.ref"] {
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn what_runs_and_means_something_else_is_warned_of() {
    for (fields, word) in [
        (json!({"replicas": 3}), "ReadWriteMany"),
        (json!({"replicas": -1}), "spec.replicas -1"),
        (json!({"metrics": {"schedule": "often"}}), "schedule"),
        (
            json!({"metrics": {"schedule": "5s", "batchSize": 0}}),
            "batchSize",
        ),
        (json!({"data": null}), "spec.data"),
    ] {
        let worked = work(Platform::OpenShift, &service(&fields), &[]);
        assert!(worked.plan.is_ok());
        let warnings = worked.seen.validated.unwrap().warnings;
        assert_eq!(warnings.len(), 1, "{fields}: {warnings:?}");
        assert!(warnings[0].contains(word), "{warnings:?}");
    }
}

#[test]
fn a_resource_that_goes_gets_a_spec_that_passes_in_both_versions() {
    let component = TrustyAi::new(Config::from_lookup(|_| None));
    let spec = component.passing_spec().unwrap();
    for version in ["v1", "v1alpha1"] {
        let resource = json!({"apiVersion": format!("trustyai.opendatahub.io/{version}"),
            "kind": "TrustyAIService", "metadata": {"name": "a", "namespace": "ns"}, "spec": spec});
        let admitted = admit(&api::trustyai(), &resource).unwrap();
        assert!(admitted.unknown.is_empty(), "{:?}", admitted.unknown);
    }
}
