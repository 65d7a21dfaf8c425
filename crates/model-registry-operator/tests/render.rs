//! `render`, `validate`, `completion` and `--version` as a person calls them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what is not there fails the test"
)]

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::process::{Command, Stdio};

use serde_json::Value;

struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Answer {
    /// The printed documents.
    fn documents(&self) -> Vec<Value> {
        assert_eq!(self.code, 0, "{}", self.err);
        serde_saphyr::from_multiple(&self.out).unwrap()
    }

    fn addresses(&self) -> BTreeSet<String> {
        self.documents().iter().map(address).collect()
    }

    fn get(&self, kind: &str, name: &str) -> Value {
        let wanted = format!("{kind}/{name}");
        self.documents()
            .into_iter()
            .find(|d| address(d) == wanted)
            .unwrap_or_else(|| panic!("no {wanted}"))
    }
}

fn address(document: &Value) -> String {
    format!(
        "{}/{}",
        document["kind"].as_str().unwrap(),
        document["metadata"]["name"].as_str().unwrap()
    )
}

fn call(arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Answer {
    let mut child = Command::new(env!("CARGO_BIN_EXE_model-registry-operator"))
        .args(arguments)
        .env_clear()
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A process that refuses its arguments ends without reading.
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    assert!(
        written
            .as_ref()
            .err()
            .is_none_or(|error| error.kind() == ErrorKind::BrokenPipe),
        "{written:?}"
    );
    let output = child.wait_with_output().unwrap();
    Answer {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn render(input: &str, more: &[&str]) -> Answer {
    call(&[&["render", "-f", "-"], more].concat(), input, &[])
}

fn registry(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: modelregistry.opendatahub.io/v1beta1\nkind: ModelRegistry\n\
         metadata: {{name: {name}, namespace: ns}}\nspec: {spec}\n"
    )
}

const MYSQL: &str = "{rest: {}, mysql: {host: h, database: d, username: u, passwordSecret: {name: db, key: password}}}";
const GENERATED: &str = "{rest: {}, postgres: {generateDeployment: true}, kubeRBACProxy: {}}";
const SECRET: &str = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: ns}\nstringData: {password: hunter22}\n";

#[test]
fn a_registry_becomes_its_objects() {
    let answer = render(&(registry("r", MYSQL) + SECRET), &[]);
    let addresses = answer.addresses();
    for object in [
        "ServiceAccount/r",
        "Service/r",
        "Deployment/r",
        "Role/registry-user-r",
        "RoleBinding/r-users",
    ] {
        assert!(addresses.contains(object), "{object} in {addresses:?}");
    }
    assert!(
        !addresses.contains("Secret/db"),
        "what is there already is not printed"
    );
    assert!(!answer.out.contains("hunter22"));
    assert_eq!(answer.err, "");
}

#[test]
fn what_exists_in_the_cluster_is_what_the_documents_say() {
    let without = render(&registry("r", MYSQL), &[]);
    assert_eq!(without.code, 0);
    assert!(without.err.contains(
        "warning: ModelRegistry ns/r: spec.mysql.passwordSecret: Secret db does not exist"
    ));
    let elsewhere = render(
        &(registry("r", MYSQL) + &SECRET.replace("namespace: ns", "namespace: other")),
        &[],
    );
    assert!(
        elsewhere.err.contains("does not exist"),
        "another namespace is never read"
    );
    let ingress = "---\napiVersion: config.openshift.io/v1\nkind: Ingress\nmetadata: {name: cluster}\nspec: {domain: apps.example.test}\n";
    let open = render(
        &(registry("r", MYSQL) + SECRET + ingress),
        &["--platform", "openshift"],
    );
    assert_eq!(
        open.get("Route", "r-https")["spec"]["host"],
        "r-rest.apps.example.test"
    );
    let plain = render(
        &(registry("r", MYSQL) + SECRET + ingress),
        &["--platform", "kubernetes"],
    );
    assert!(!plain.out.contains("kind: Route"));
}

#[test]
fn what_is_random_or_secret_is_a_placeholder_and_two_runs_agree() {
    let first = render(&registry("r", GENERATED), &[]);
    for (name, key) in [
        ("r-postgres-credentials", "password"),
        ("r-kube-rbac-proxy", "tls.key"),
    ] {
        assert_eq!(first.get("Secret", name)["data"][key], "<generated>");
    }
    assert_eq!(
        first.get("ConfigMap", "r-ca")["data"]["ca.crt"],
        "<generated>"
    );
    assert_eq!(first.out, render(&registry("r", GENERATED), &[]).out);
    // A password that is there is not printed either.
    let given = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: r-postgres-credentials, namespace: ns}\ndata: {username: dQ==, password: aHVudGVyMjI=}\n";
    let answer = render(&(registry("r", GENERATED) + given), &[]);
    assert!(!answer.out.contains("aHVudGVyMjI=") && !answer.out.contains("hunter22"));
}

#[test]
fn the_environment_is_honoured() {
    let environment = [(
        "RELATED_IMAGE_ODH_MODEL_REGISTRY_IMAGE",
        "example.test/registry@sha256:0123",
    )];
    let answer = call(
        &["render", "-f", "-"],
        &(registry("r", MYSQL) + SECRET),
        &environment,
    );
    let containers =
        answer.get("Deployment", "r")["spec"]["template"]["spec"]["containers"].clone();
    assert_eq!(containers[0]["image"], "example.test/registry@sha256:0123");
    let wrong = call(
        &["render", "-f", "-"],
        &registry("r", MYSQL),
        &[("REGISTRIES_NAMESPACE", "A b")],
    );
    assert_eq!(wrong.code, 1);
    assert!(wrong.err.contains("REGISTRIES_NAMESPACE"));
}

#[test]
fn names_that_yaml_takes_for_something_else_survive() {
    for name in ["y", "true", "null", "on", "no"] {
        let answer = render(&(registry(&format!("\"{name}\""), MYSQL) + SECRET), &[]);
        assert_eq!(
            answer.get("Service", name)["spec"]["selector"]["app"],
            *name
        );
        assert!(
            !answer
                .out
                .lines()
                .any(|line| line.trim_start().trim_start_matches("- ") == format!("name: {name}"))
        );
    }
}

#[test]
fn a_newline_in_a_value_adds_nothing() {
    let image = "{rest: {image: \"a:1\\n          stdin: true\"}, mysql: {host: h, database: d, username: u}}";
    let answer = render(&registry("r", image), &[]);
    assert_eq!(answer.code, 1);
    assert!(answer.err.contains("spec.rest.image"), "{}", answer.err);
}

#[test]
fn json_is_one_list_of_the_same_objects() {
    let yaml = render(&(registry("r", MYSQL) + SECRET), &[]).documents();
    let json = render(&(registry("r", MYSQL) + SECRET), &["-o", "json"]);
    let list: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(
        (&list["kind"], list["items"].as_array()),
        (&"List".into(), Some(&yaml))
    );
}

#[test]
fn files_are_read_together_and_every_resource_is_printed() {
    let dir = std::env::temp_dir().join(format!("render-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let (one, two) = (dir.join("one.yaml"), dir.join("two.yaml"));
    std::fs::write(&one, registry("a", MYSQL) + SECRET).unwrap();
    std::fs::write(&two, registry("b", MYSQL)).unwrap();
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    for arguments in [
        vec!["render", "-f", one, two],
        vec!["render", "-f", one, "-f", two],
    ] {
        let answer = call(&arguments, "", &[]);
        assert_eq!(answer.err, "");
        assert!(
            answer
                .addresses()
                .is_superset(&["Service/a".to_owned(), "Service/b".to_owned()].into())
        );
    }
    let missing = call(&["render", "-f", "/no/such/file"], "", &[]);
    assert_eq!(missing.code, 1);
    assert!(missing.err.starts_with("error: /no/such/file: "));
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn an_invalid_spec_exits_with_1_and_the_path_of_the_field() {
    let long = "a".repeat(64);
    for (resource, path) in [
        (
            registry("r", "{rest: {port: 0}}"),
            "spec.rest.port: Invalid value: 0",
        ),
        (
            registry("r", "{rest: {port: x}}"),
            "spec.rest.port: Invalid value: \"string\"",
        ),
        (registry("r", "{}"), "spec.rest: Required value"),
        (registry("r", "{rest: {}}"), "spec.postgres: Required value"),
        (
            registry(
                "r",
                "{rest: {}, kubeRBACProxy: {}, oauthProxy: {}, postgres: {generateDeployment: true}}",
            ),
            "spec: Invalid value: Cannot use both oauthProxy and kubeRBACProxy",
        ),
        (
            registry(
                "r",
                "{rest: {}, postgres: {generateDeployment: true, host: h}}",
            ),
            "spec.postgres: Invalid value: host and hostAddress must not be set when generateDeployment is true",
        ),
        (
            registry("r", "{rest: {}, kubeRBACProxy: {domain: not_a_domain}}"),
            "spec.kubeRBACProxy.domain: Invalid value",
        ),
        (registry("\"2024\"", MYSQL), "metadata.name: "),
        (registry(&long, MYSQL), "63"),
        (
            registry("r", MYSQL).replace("v1beta1", "v1alpha1"),
            "apiVersion: ",
        ),
    ] {
        for command in ["render", "validate"] {
            let answer = call(&[command, "-f", "-"], &resource, &[]);
            assert_eq!((answer.code, answer.out.as_str()), (1, ""), "{resource}");
            assert!(answer.err.contains(path), "{path} in {}", answer.err);
        }
    }
}

#[test]
fn what_the_dashboard_sends_is_valid() {
    let dashboard = "{grpc: {}, rest: {}, kubeRBACProxy: {}, postgres: null, mysql: {host: h, port: 3306, database: d, \
        username: u, passwordSecret: {name: db, key: password}}}";
    let answer = call(
        &["validate", "-f", "-"],
        &(registry("r", dashboard) + SECRET),
        &[],
    );
    assert_eq!(
        (answer.code, answer.out.as_str(), answer.err.as_str()),
        (0, "ModelRegistry ns/r: valid\n", "")
    );
}

#[test]
fn unknown_fields_are_a_warning_in_render_and_an_error_in_validate() {
    let resource = registry(
        "r",
        "{rest: {prot: 1}, postgres: {generateDeployment: true}}",
    );
    let printed = render(&resource, &[]);
    assert_eq!(printed.code, 0);
    assert!(
        printed
            .err
            .contains("warning: ModelRegistry ns/r: spec.rest.prot: unknown field")
    );
    let checked = call(&["validate", "-f", "-"], &resource, &[]);
    assert_eq!(
        (checked.code, checked.err.as_str()),
        (
            1,
            "error: ModelRegistry ns/r: spec.rest.prot: unknown field\n"
        )
    );
}

#[test]
fn nothing_to_do_is_an_error() {
    let answer = render(SECRET, &[]);
    assert_eq!(answer.code, 1);
    assert!(
        answer
            .err
            .contains("no document is of kind ModelRegistry, Catalog or AIHub")
    );
}

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &["render"][..],
        &["render", "-f", "-", "-o", "toml"],
        &["no-such-command"],
        &["--nonsense"],
    ] {
        let answer = call(arguments, "", &[]);
        assert_eq!((answer.code, answer.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!answer.err.is_empty());
    }
}

#[test]
fn version_and_completions_are_printed() {
    let version = call(&["--version"], "", &[]);
    assert!(version.out.starts_with(concat!(
        "model-registry-operator ",
        env!("CARGO_PKG_VERSION")
    )));
    for shell in ["bash", "zsh", "fish"] {
        let completion = call(&["completion", shell], "", &[]);
        assert_eq!(completion.code, 0);
        assert!(completion.out.contains("render"), "{shell}");
    }
}

fn sample(name: &str) -> String {
    let file = format!(
        "{}/../../samples/model-registry/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(file).unwrap()
}

#[test]
fn a_catalog_is_worked_as_its_operator_does() {
    let documents = format!(
        "{}---\n{}",
        sample("catalog/catalog.yaml"),
        sample("catalog/sources.yaml")
    );
    let rendered = render(&documents, &[]);
    let server = rendered.get("Deployment", "model-catalog");
    let args = server["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(
        args.contains("/data/labeled-sources/team-models/"),
        "{args}"
    );
    let secret = rendered.get("Secret", "model-catalog-postgres");
    assert_eq!(secret["data"]["database-password"], "<generated>");
    let valid = call(&["validate", "-f", "-"], &documents, &[]);
    assert_eq!(
        (valid.code, valid.out.as_str()),
        (0, "Catalog default/catalog: valid\n")
    );

    let other = documents.replace("name: catalog\n", "name: other\n");
    let refused = call(&["validate", "-f", "-"], &other, &[]);
    assert_eq!(refused.code, 1);
    let sentence = "Catalog default/other: Catalog.aihub.opendatahub.io \"other\" is invalid: \
                    metadata.name: Invalid value: \"other\": catalog resource name must be 'catalog'";
    assert!(refused.err.contains(sentence), "{}", refused.err);
}

#[test]
fn a_hub_is_worked_as_its_operator_does() {
    let hub = sample("aihub/aihub.yaml");
    let image = [(
        "RELATED_IMAGE_ODH_MODEL_REGISTRY_OPERATOR_IMAGE",
        "example.test/operator:1",
    )];
    let rendered = call(&["render", "-f", "-"], &hub, &image);
    let operator = rendered.get("Deployment", "catalog-controller-manager");
    let manager = &operator["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(manager["image"], "example.test/operator:1");
    assert_eq!(operator["metadata"]["namespace"], "opendatahub");
    let valid = call(&["validate", "-f", "-"], &hub, &[]);
    assert_eq!(
        (valid.code, valid.out.as_str()),
        (0, "AIHub default-aihub: valid\n")
    );

    let incomplete = hub.replace("  instancesNamespace: odh-model-registries\n", "");
    let refused = call(&["validate", "-f", "-"], &incomplete, &[]);
    assert_eq!(refused.code, 1);
    assert!(
        refused.err.contains("spec.instancesNamespace"),
        "{}",
        refused.err
    );
}
