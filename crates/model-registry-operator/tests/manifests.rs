//! The Deployment's manifest says what the program says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::Command;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Container;
use model_registry_operator::cli::Cli;
use model_registry_operator::registry::config::Config;
use serde_json::Value;

fn manager() -> Container {
    let file = "../../config/model-registry-operator/manager/manager.yaml";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let deployment: Deployment = serde_saphyr::from_str(&text).unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let [container] = <[Container; 1]>::try_from(pod.containers).unwrap();
    container
}

#[test]
fn its_environment_is_the_default_one() {
    let env = manager().env.unwrap();
    let lookup = |name: &str| {
        let found = env.iter().find(|variable| variable.name == name);
        // What is read and not listed cannot be found by who installs.
        found
            .unwrap_or_else(|| panic!("{name} is not in the manifest"))
            .value
            .clone()
    };
    assert_eq!(Config::from_lookup(lookup), Config::from_lookup(|_| None));
}

#[test]
fn its_arguments_run_the_operator_under_the_lease() {
    let container = manager();
    assert_eq!(container.command.unwrap(), ["/manager"]);
    let arguments = std::iter::once("manager".to_owned()).chain(container.args.unwrap());
    let cli = Cli::read(arguments.map(Into::into)).unwrap();
    assert!(cli.operator.leader_elect);
    assert!(cli.offline().is_none());
    let ports: Vec<String> = container
        .ports
        .unwrap()
        .iter()
        .map(|port| format!(":{}", port.container_port))
        .collect();
    let listens = [
        cli.operator.metrics_bind_address,
        cli.operator.health_probe_bind_address,
    ];
    assert_eq!(ports, listens.map(|address| address.to_string()));
}

/// A binding to an account that is not there gives nothing, and nobody says so.
#[test]
fn every_account_that_a_binding_names_is_installed_with_it() {
    let kubectl = cluster::tools::ensure().unwrap().kubectl;
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/model-registry-operator");
    for folder in [
        "default",
        "overlays/aihub",
        "overlays/catalog",
        "overlays/namespaced",
        "overlays/webhook",
    ] {
        let built = Command::new(&kubectl)
            .arg("kustomize")
            .arg(config.join(folder))
            .output()
            .unwrap();
        assert!(built.status.success(), "{folder}");
        let objects = cluster::objects(&String::from_utf8(built.stdout).unwrap()).unwrap();
        let objects: Vec<Value> = objects
            .into_iter()
            .map(|object| serde_json::to_value(object).unwrap())
            .collect();
        let accounts: Vec<(&Value, &Value)> = objects
            .iter()
            .filter(|object| object["kind"] == "ServiceAccount")
            .map(|account| {
                let meta = &account["metadata"];
                (&meta["namespace"], &meta["name"])
            })
            .collect();
        let subjects: Vec<&Value> = objects
            .iter()
            .flat_map(|object| object["subjects"].as_array().into_iter().flatten())
            .filter(|subject| subject["kind"] == "ServiceAccount")
            .collect();
        assert!(!subjects.is_empty(), "{folder}");
        for subject in subjects {
            let named = (&subject["namespace"], &subject["name"]);
            assert!(accounts.contains(&named), "{folder}: {subject}");
        }
    }
}
