//! The overlay's Deployment says what the program says.

use std::fs;
use std::path::Path;

use k8s_openapi::api::apps::v1::Deployment;
use model_registry_operator::catalog::config::Config;
use model_registry_operator::cli::{Cli, Command};

/// Of the mesh, which leads to registries only.
const MESH: [&str; 7] = [
    "CREATE_AUTH_RESOURCES",
    "DEFAULT_AUDIENCES",
    "DEFAULT_AUTH_CONFIG_LABELS",
    "DEFAULT_AUTH_PROVIDER",
    "DEFAULT_CERT",
    "DEFAULT_CONTROL_PLANE",
    "DEFAULT_ISTIO_INGRESS",
];

#[test]
fn the_manifest_runs_the_subcommand_with_the_default_environment() {
    let file = "../../config/model-registry-operator/overlays/catalog/manager.yaml";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let deployment: Deployment = serde_saphyr::from_str(&text).unwrap();
    let pod = deployment.spec.unwrap().template.spec.unwrap();
    let container = pod.containers.into_iter().next().unwrap();
    let arguments = std::iter::once("manager".to_owned()).chain(container.args.unwrap());
    let cli = Cli::read(arguments.map(Into::into)).unwrap();
    assert!(matches!(cli.command, Some(Command::Catalog)) && cli.operator.leader_elect);
    assert!(cli.offline().is_none());
    let env = container.env.unwrap();
    let lookup = |name: &str| {
        if MESH.contains(&name) {
            return None;
        }
        let found = env.iter().find(|variable| variable.name == name);
        // What is read and not listed cannot be found by who installs.
        let found = found.unwrap_or_else(|| panic!("{name} is not in the manifest"));
        found.value.clone()
    };
    assert_eq!(Config::from_lookup(lookup), Config::from_lookup(|_| None));
}
