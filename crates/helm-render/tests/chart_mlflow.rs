//! What `charts/mlflow` promises: of its objects with every set of values that it is compared with
//! Helm on, and of the scripts in its pods, which run here.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use helm_render::{Capabilities, Chart, Release, Rendered, read_values};
use serde_json::{Value, json};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn chart() -> Chart {
    Chart::from_directory(&here("../../charts/mlflow")).unwrap()
}

fn render(chart: &Chart, release: &str, values: &str) -> Rendered {
    let values = read_values("values", values).unwrap();
    let capabilities = Capabilities::new("v1.35.4").with(["monitoring.coreos.com/v1"]);
    chart
        .render(
            &values,
            &Release::new(release, "opendatahub"),
            &capabilities,
        )
        .unwrap()
}

/// All sets of values that Helm takes, with their names.
fn sets() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(here("tests/values/mlflow.values")).unwrap();
    let sections = text.split("### ").skip(1);
    let named = sections.map(|section| section.split_once('\n').unwrap());
    named
        .map(|(name, values)| (name.to_owned(), values.to_owned()))
        .collect()
}

/// The object of a kind and name.
fn object<'a>(rendered: &'a Rendered, kind: &str, name: &str) -> &'a Value {
    let found = rendered
        .objects
        .iter()
        .find(|o| o.kind() == kind && o.name() == name);
    &found.unwrap_or_else(|| panic!("no {kind} {name}")).value
}

/// Pod specs, with the labels of their pods.
fn pods(rendered: &Rendered) -> Vec<(&Value, &Value)> {
    let templates = ["/spec/template", "/spec/jobTemplate/spec/template"];
    let all = rendered.objects.iter().chain(&rendered.hooks);
    all.filter_map(|object| templates.iter().find_map(|path| object.value.pointer(path)))
        .map(|template| (&template["spec"], &template["metadata"]["labels"]))
        .collect()
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["initContainers", "containers"];
    lists
        .into_iter()
        .filter_map(|list| pod[list].as_array())
        .flatten()
}

fn names<'a>(list: &'a Value, field: &'a str) -> Vec<&'a str> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| item[field].as_str().unwrap())
        .collect()
}

#[test]
fn with_any_values_pods_are_whole() {
    let chart = chart();
    for (set, values) in sets() {
        let rendered = render(&chart, "mlflow", &values);
        for (pod, labels) in pods(&rendered) {
            let volumes: BTreeSet<_> = names(&pod["volumes"], "name").into_iter().collect();
            assert_eq!(volumes.len(), names(&pod["volumes"], "name").len(), "{set}");
            let mut mounted = BTreeSet::new();
            let mut images = BTreeSet::new();
            for container in containers(pod) {
                // The API server refuses a name that is there twice.
                let variables = names(&container["env"], "name");
                let distinct: BTreeSet<_> = variables.iter().collect();
                assert_eq!(distinct.len(), variables.len(), "{set}: {variables:?}");
                mounted.extend(names(&container["volumeMounts"], "name"));
                images.insert(container["image"].as_str().unwrap());
                for text in container["args"].as_array().unwrap() {
                    let text = text.as_str().unwrap();
                    assert!(
                        !text.contains("STORE_URI)"),
                        "{set}: a URI in arguments: {text}"
                    );
                }
            }
            assert_eq!(
                volumes, mounted,
                "{set}: each volume is mounted, each mount is a volume"
            );
            assert_eq!(images.len(), 1, "{set}: {images:?}");
            assert!(labels["app"].is_string(), "{set}");
        }
        let deployments = rendered
            .objects
            .iter()
            .filter(|object| object.kind() == "Deployment");
        for deployment in deployments {
            let (spec, selector) = (&deployment.value["spec"], "/spec/selector/matchLabels/app");
            let app = deployment.value.pointer(selector).unwrap();
            assert_eq!(&spec["template"]["metadata"]["labels"]["app"], app, "{set}");
        }
    }
}

#[test]
fn two_releases_in_a_namespace_share_no_object() {
    let everything = "{garbageCollection: {enabled: true}, traceArchival: {enabled: true, location: 's3://x', retention: 5m}}";
    let chart = chart();
    let named = |release| -> BTreeSet<_> {
        let rendered = render(&chart, release, everything);
        let all = rendered.objects.into_iter().chain(rendered.hooks);
        all.map(|object| (object.kind().to_owned(), object.name().to_owned()))
            .collect()
    };
    let both: Vec<_> = named("mlflow")
        .intersection(&named("prod"))
        .cloned()
        .collect();
    assert_eq!(both, []);
    assert_eq!(named("mlflow").len(), named("prod").len());
}

#[test]
fn garbage_collection_reaches_the_server_and_may_do_its_work() {
    let values = "{garbageCollection: {enabled: true}, mlflow: {staticPrefix: /mlflow}, env: [{name: MLFLOW_S3_ENDPOINT_URL, value: 'http://s3'}]}";
    let rendered = render(&chart(), "mlflow", values);
    let job = object(&rendered, "CronJob", "mlflow-gc");
    let pod = &job["spec"]["jobTemplate"]["spec"]["template"]["spec"];
    let variables = pod["containers"][0]["env"].as_array().unwrap();
    for (name, value) in [
        (
            "MLFLOW_TRACKING_URI",
            "https://mlflow.opendatahub.svc:8443/mlflow",
        ),
        ("MLFLOW_TRACKING_AUTH", "kubernetes"),
        ("MLFLOW_TRACKING_INSECURE_TLS", "true"),
        ("MLFLOW_S3_ENDPOINT_URL", "http://s3"),
    ] {
        assert!(
            variables.contains(&json!({"name": name, "value": value})),
            "{name}: {variables:?}"
        );
    }
    let role = object(&rendered, "ClusterRole", "opendatahub-mlflow-gc");
    let rules = role["rules"].as_array().unwrap();
    let namespaces =
        json!({"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list", "watch"]});
    assert!(rules.contains(&namespaces), "{rules:?}");
    let binding = object(&rendered, "ClusterRoleBinding", "opendatahub-mlflow-gc");
    assert_eq!(binding["subjects"][0]["name"], "mlflow-gc-sa");
    // It is no subject of the server's own binding.
    let server = object(&rendered, "ClusterRoleBinding", "opendatahub-mlflow");
    assert_eq!(names(&server["subjects"], "name"), ["mlflow-sa"]);
}

#[test]
fn a_monitor_needs_its_api() {
    let values = read_values("values", "metrics: {enabled: true}").unwrap();
    let release = Release::new("mlflow", "opendatahub");
    for (api, monitors) in [("apps/v1", 0), ("monitoring.coreos.com/v1", 1)] {
        let capabilities = Capabilities::new("v1.35.4").with([api]);
        let rendered = chart().render(&values, &release, &capabilities).unwrap();
        let all = rendered.objects.iter();
        let found = all.filter(|object| object.kind() == "ServiceMonitor");
        assert_eq!(found.count(), monitors, "{api}");
    }
}

#[test]
fn numbers_reach_the_configuration_as_integers() {
    let values = "traceArchival: {enabled: true, location: 's3://x', retention: 5m, maxTracesPerPass: 5000000, longRetentionAllowlist: ['1', 'on']}";
    let rendered = render(&chart(), "mlflow", values);
    let map = object(&rendered, "ConfigMap", "mlflow-trace-archival-config");
    let text = map["data"]["trace-archival.yaml"].as_str().unwrap();
    assert!(text.contains("max_traces_per_pass: 5000000\n"), "{text}");
    let config = read_values("trace-archival.yaml", text).unwrap();
    assert_eq!(
        config["trace_archival"]["long_retention_allowlist"],
        json!(["1", "on"])
    );
    let none = "traceArchival: {enabled: true, location: 's3://x', retention: 5m}";
    let rendered = render(&chart(), "mlflow", none);
    let map = object(&rendered, "ConfigMap", "mlflow-trace-archival-config");
    let text = map["data"]["trace-archival.yaml"].as_str().unwrap();
    let config = read_values("trace-archival.yaml", text).unwrap();
    assert_eq!(
        config["trace_archival"]["long_retention_allowlist"],
        json!([])
    );
}

#[test]
fn every_sample_renders() {
    let chart = chart();
    let mut samples = 0;
    for entry in std::fs::read_dir(here("../../charts/mlflow/samples")).unwrap() {
        let path = entry.unwrap().path();
        let rendered = render(&chart, "mlflow", &std::fs::read_to_string(&path).unwrap());
        assert!(rendered.objects.len() >= 5, "{}", path.display());
        samples += 1;
    }
    assert!(samples >= 5);
}

#[test]
fn notes_say_what_these_values_need() {
    let chart = chart();
    let notes = |values| render(&chart, "mlflow", values).notes.unwrap();
    assert!(notes("").contains("MLFLOW_TRACKING_INSECURE_TLS=true"));
    assert!(notes("").contains("kubectl delete pvc mlflow-pvc -n opendatahub"));
    let secret = notes("{tls: {source: secret}, storage: {keep: false}}");
    assert!(
        secret.contains("kubectl create secret tls mlflow-tls"),
        "{secret}"
    );
    assert!(
        !secret.contains("INSECURE") && !secret.contains("delete pvc"),
        "{secret}"
    );
    assert!(notes("replicaCount: 2").contains("WARNING: 2 pods share one volume"));
}

/// Arguments of a container of the Deployment.
fn arguments(values: &str, container: &str) -> Vec<String> {
    let rendered = render(&chart(), "mlflow", values);
    let deployment = object(&rendered, "Deployment", "mlflow");
    let pod = &deployment["spec"]["template"]["spec"];
    let found = containers(pod)
        .find(|candidate| candidate["name"] == container)
        .unwrap();
    let both = ["command", "args"]
        .into_iter()
        .filter_map(|field| found[field].as_array());
    both.flatten()
        .map(|word| word.as_str().unwrap().to_owned())
        .collect()
}

#[test]
#[ignore = "runs Python; `cargo xtask test --full` has it"]
fn the_server_answers_to_its_own_names_only() {
    let words = arguments(
        "mlflow: {extraAllowedHosts: [mlflow.example.com]}",
        "mlflow",
    );
    let place = words
        .iter()
        .position(|word| word == "--allowed-hosts")
        .unwrap();
    // As MLflow decides it, with the same function of Python.
    let decide = "
import fnmatch, sys
allowed = sys.argv[1].split(',')
for host in sys.argv[2:]:
    print(any(fnmatch.fnmatch(host, a) if '*' in a else host == a for a in allowed))
";
    let (own, foreign) = (
        [
            "localhost",
            "localhost:8443",
            "127.0.0.1:8443",
            "[::1]:8443",
            "10.1.2.3:8443",
            "172.31.0.9:8443",
            "192.168.0.1",
            "[fd00:10:244::5]:8443",
            "mlflow",
            "mlflow:8443",
            "mlflow.opendatahub.svc:8443",
            "mlflow.opendatahub.svc.cluster.local:8443",
            "mlflow.example.com",
        ],
        [
            "evil.example",
            "mlflow.evil.example",
            "172.32.0.1",
            "8.8.8.8:8443",
            "[2001:db8::1]:8443",
        ],
    );
    let output = Command::new("python3")
        .args(["-c", decide, &words[place + 1]])
        .args(own.iter().chain(&foreign))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = ["True\n".repeat(own.len()), "False\n".repeat(foreign.len())].concat();
    assert_eq!(
        said,
        expected,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "runs Python; `cargo xtask test --full` has it"]
fn the_init_container_makes_a_certificate_for_the_service() {
    // Of MLflow's requirements the one that the script uses.
    let python = cluster::tools::python("chart-mlflow", &["cryptography==46.0.3"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The Python that knows MLflow is the one that is called.
    std::fs::create_dir(folder.path().join("mlflow")).unwrap();
    let words = arguments("", "self-signed-certificate");
    let private = format!("{}/", folder.path().display());
    let words: Vec<_> = words
        .iter()
        .map(|word| word.replace("/etc/tls/private/", &private))
        .collect();
    let path = format!("{}:{}", python.display(), std::env::var("PATH").unwrap());
    let output = Command::new(&words[0])
        .args(&words[1..])
        .env("PATH", path)
        .env("PYTHONPATH", folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let key = std::fs::metadata(folder.path().join("tls.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    // A client that trusts this certificate and calls the Service by its name is content.
    let handshake = "
import ssl, sys
folder = sys.argv[1]
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain(folder + '/tls.crt', folder + '/tls.key')
client = ssl.create_default_context(cafile=folder + '/tls.crt')
to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
here = client.wrap_bio(to_client, to_server, server_hostname='mlflow.opendatahub.svc')
there = server.wrap_bio(to_server, to_client, server_side=True)
for _ in range(4):
    for side in (here, there):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pass
print(here.version())
";
    let output = Command::new(python.join("python"))
        .args(["-c", handshake])
        .arg(folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.starts_with("TLSv1"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn authorities_are_combined_and_followed() {
    let values = "caBundle: {configMaps: [{name: a, mountPath: /a}]}";
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir(path("mounted")).unwrap();
    std::fs::write(path("system.crt"), "SYSTEM").unwrap();
    std::fs::write(path("mounted/b.pem"), "B").unwrap();
    std::fs::write(path("mounted/a.crt"), "A").unwrap();
    std::fs::write(path("mounted/ignored.txt"), "NO").unwrap();
    let command = |container: &str| {
        let words = arguments(values, container);
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .env(
                "CA_BUNDLE_FILE_PATHS",
                format!("{} /none.crt", path("system.crt").display()),
            )
            .env("CA_BUNDLE_MOUNT_PATHS", path("mounted"))
            .env("CA_BUNDLE_OUTPUT", path("all.crt"))
            .env("CA_BUNDLE_WATCH_INTERVAL", "0.1");
        command
    };
    let output = command("combine-ca-bundles").output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let combined = || std::fs::read_to_string(path("all.crt")).unwrap();
    assert_eq!(combined(), "SYSTEM\nA\nB\n");
    let mode = std::fs::metadata(path("all.crt"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);

    // The watcher remembers what it started with, so a change counts only after that: change again
    // and again until one is seen.
    let mut watcher = command("ca-bundle-watcher").spawn().unwrap();
    let started = Instant::now();
    let mut round = 0;
    while !combined().contains("NEW") {
        assert!(started.elapsed() < Duration::from_mins(1), "{}", combined());
        round += 1;
        std::fs::write(path("mounted/c.crt"), format!("NEW {round}")).unwrap();
        std::thread::sleep(Duration::from_millis(300));
    }
    // It ends when its pod does.
    let terminate = Command::new("kill")
        .arg(watcher.id().to_string())
        .status()
        .unwrap();
    assert!(terminate.success());
    assert!(watcher.wait().unwrap().success());
}
