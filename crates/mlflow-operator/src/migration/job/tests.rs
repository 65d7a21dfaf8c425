use serde_json::{Value, json};

use super::*;

fn deployment(env: &Value) -> Deployment {
    let container = json!({
        "name": "mlflow", "image": "img:1", "imagePullPolicy": "Always",
        "command": ["mlflow"], "args": ["server"], "env": env,
        "envFrom": [{"secretRef": {"name": "more"}}],
        "ports": [{"containerPort": 8443}],
        "livenessProbe": {"httpGet": {"path": "/", "port": "https"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": "https"}},
        "startupProbe": {"httpGet": {"path": "/", "port": "https"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}, "claims": [{"name": "gpu"}]},
        "securityContext": {"readOnlyRootFilesystem": true},
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "mlflow-storage", "mountPath": "/mlflow"},
            {"name": "mlflow-tls", "mountPath": "/etc/tls/private"},
            {"name": "combined-ca-bundle", "mountPath": "/etc/ca"},
            {"name": "metrics", "mountPath": "/prometheus"},
            {"name": "trace-archival-config", "mountPath": "/etc/mlflow"}
        ]
    });
    let volumes = [
        "tmp",
        "mlflow-storage",
        "mlflow-tls",
        "combined-ca-bundle",
        "ca-bundle-0",
        "metrics",
        "trace-archival-config",
    ];
    let init = |name: &str| {
        json!({"name": name, "volumeMounts": [{"name": "ca-bundle-0", "mountPath": "/in"},
            {"name": "combined-ca-bundle", "mountPath": "/out"}]})
    };
    serde_json::from_value(json!({
        "metadata": {"name": "mlflow", "namespace": "ns"},
        "spec": {"selector": {}, "template": {
            "metadata": {
                "labels": {"app": "mlflow", "app.kubernetes.io/instance": "mlflow",
                    "component": "mlflow", "team": "a"},
                "annotations": {"sidecar": "yes"}
            },
            "spec": {
                "serviceAccountName": "mlflow-sa", "automountServiceAccountToken": true,
                "nodeSelector": {"disk": "fast"},
                "imagePullSecrets": [{"name": "pull"}],
                "resourceClaims": [{"name": "gpu", "resourceClaimName": "x"}],
                "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone",
                    "whenUnsatisfiable": "DoNotSchedule"}],
                "volumes": volumes.map(|name| json!({"name": name, "emptyDir": {}})),
                "initContainers": [init("combine-ca-bundles"), init("self-signed-certificate")],
                "containers": [container, {"name": "ca-bundle-watcher"}]
            }
        }}
    }))
    .unwrap()
}

fn postgres() -> Value {
    json!([
        {"name": "MLFLOW_BACKEND_STORE_URI", "value": "postgresql://u:p@h/d"},
        {"name": "MLFLOW_READ_REPLICA_BACKEND_STORE_URI", "value": "postgresql://u:p@r/d"},
        {"name": "MLFLOW_REGISTRY_STORE_URI", "value": "postgresql://u:p@h/d"},
        {"name": "MINE", "value": "x"}
    ])
}

fn order(role: Role) -> Order<'static> {
    Order {
        name: "mlflow-mg-3140-g1",
        role,
        instance: "mlflow",
        owner: None,
        version: "3.14.0",
        forced_by: None,
        ttl: None,
        deadline: None,
    }
}

fn made(env: &Value, role: Role) -> Value {
    serde_json::to_value(job(&deployment(env), &order(role)).unwrap()).unwrap()
}

fn names<'a>(job: &'a Value, list: &str) -> Vec<&'a str> {
    let list = job.pointer(&format!("/spec/template/spec/{list}"));
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(|item| item["name"].as_str()).collect()
}

#[test]
fn a_migration_has_the_image_and_the_environment_of_the_server_and_nothing_else() {
    let mut job = made(&postgres(), Role::Migrate);
    let args = &mut job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args[0], *PYTHON);
    assert_eq!(args[3], SCRIPT);
    args[0] = "PYTHON".into();
    args[3] = "SCRIPT".into();
    insta::assert_json_snapshot!(job);
}

#[test]
fn the_replica_is_never_what_is_migrated_by() {
    let job = made(&postgres(), Role::Migrate);
    let env = &job["spec"]["template"]["spec"]["containers"][0]["env"];
    let replica: Vec<&Value> = env
        .as_array()
        .unwrap()
        .iter()
        .filter(|variable| variable["name"] == REPLICA)
        .collect();
    assert_eq!(replica, [&json!({"name": REPLICA, "value": ""})]);
}

#[test]
fn the_volume_is_there_only_for_files_of_sqlite() {
    let sqlite = json!([{"name": "MLFLOW_BACKEND_STORE_URI", "value": "sqlite:////mlflow/a.db"},
        {"name": "MLFLOW_REGISTRY_STORE_URI", "value": "postgresql://h/d"}]);
    let secret = json!([{"name": "MLFLOW_BACKEND_STORE_URI", "valueFrom": {"secretKeyRef":
        {"name": "s", "key": "k"}}}]);
    let without = ["tmp", "combined-ca-bundle", "ca-bundle-0"];
    let with = ["tmp", "mlflow-storage", "combined-ca-bundle", "ca-bundle-0"];
    assert_eq!(names(&made(&postgres(), Role::Migrate), "volumes"), without);
    assert_eq!(names(&made(&sqlite, Role::Migrate), "volumes"), with);
    assert_eq!(names(&made(&secret, Role::Migrate), "volumes"), with);
    // The server has the volume still, which may be of one node.
    assert_eq!(names(&made(&sqlite, Role::Check), "volumes"), without);
}

#[test]
fn a_look_beforehand_is_small_and_tries_once() {
    let job = made(&postgres(), Role::Check);
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["args"][4], "check");
    assert_eq!(container["resources"]["requests"]["memory"], "256Mi");
    assert_eq!(job["spec"]["backoffLimit"], 0);
    assert_eq!(
        job["metadata"]["labels"]["mlflow.opendatahub.io/migration-job"],
        "check"
    );
}

#[test]
fn a_finished_job_stays_as_long_as_the_resource_says() {
    let ttl = |ttl| {
        let order = Order {
            ttl,
            forced_by: Some("now"),
            ..order(Role::Migrate)
        };
        let job = job(&deployment(&postgres()), &order).unwrap();
        let by = job.metadata.annotations.unwrap();
        assert_eq!(by.get(FORCED_BY).map(String::as_str), Some("now"));
        job.spec.unwrap().ttl_seconds_after_finished
    };
    assert_eq!(ttl(None), Some(86_400));
    assert_eq!(ttl(Some(3600)), Some(3600));
}

#[test]
fn a_job_that_never_ends_is_ended() {
    let deadline = |role, deadline| {
        let order = Order {
            deadline,
            ..order(role)
        };
        let job = job(&deployment(&postgres()), &order).unwrap();
        job.spec.unwrap().active_deadline_seconds
    };
    assert_eq!(deadline(Role::Migrate, None), Some(21_600));
    assert_eq!(deadline(Role::Migrate, Some(90)), Some(90));
    assert_eq!(deadline(Role::Check, Some(90)), Some(1800));
}

#[test]
fn a_deployment_without_a_server_is_an_error() {
    let mut strange = deployment(&postgres());
    let spec = strange.spec.as_mut().unwrap().template.spec.as_mut();
    spec.unwrap().containers.remove(0);
    assert_eq!(job(&strange, &order(Role::Migrate)), Err(NoServer));
    assert_eq!(
        job(&Deployment::default(), &order(Role::Migrate)),
        Err(NoServer)
    );
}

/// With a shell and Pythons of its own.
#[cfg(unix)]
mod python {
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::Command;

    use super::PYTHON;

    /// A stand-in for a Python, which knows MLflow or not, and says its name.
    fn put(folder: &Path, name: &str, knows: bool) {
        let script = format!(
            "#!/bin/sh\ncase $2 in *find_spec*) exit {};; esac\necho {name} \"$@\"\n",
            u8::from(!knows)
        );
        executable(&folder.join(name), &script);
    }

    fn executable(path: &Path, text: &str) {
        std::fs::write(path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn run(folder: &Path) -> (Option<i32>, String) {
        // Where a shell has its own programs there may be a Python.
        executable(&folder.join("tee"), "#!/bin/sh\nexec /bin/cat\n");
        let output = Command::new("/bin/sh")
            .args(["-ec", *PYTHON, "db-migrate", "-c", "SCRIPT", "check"])
            .env_clear()
            .env("PATH", folder)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), said.trim().to_owned())
    }

    #[test]
    fn the_python_that_knows_mlflow_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert_eq!(run(folder).0, Some(10));
        put(folder, "python3", false);
        assert_eq!(run(folder).0, Some(10));
        put(folder, "python3.12", true);
        let found = "python3.12 -c SCRIPT check".to_owned();
        assert_eq!(run(folder), (Some(0), found));
        put(folder, "own python", true);
        let shebang = format!("#!{}\nimport mlflow\n", folder.join("own python").display());
        executable(&folder.join("mlflow"), &shebang);
        let found = "own python -c SCRIPT check".to_owned();
        assert_eq!(run(folder), (Some(0), found));
        executable(&folder.join("mlflow"), "#!/bin/sh\nexec something\n");
        let found = "python3.12 -c SCRIPT check".to_owned();
        assert_eq!(run(folder), (Some(0), found));
    }
}
