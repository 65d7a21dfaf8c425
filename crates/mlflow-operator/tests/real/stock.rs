//! What needs `mlflow-kubernetes-plugins`, which is in Open Data Hub's image and not on PyPI, and the
//! nearest that stock MLflow has:
//!
//! | rendered | here |
//! |---|---|
//! | `--app-name=kubernetes-auth` | `--app-name=basic-auth`, with the key that it asks for |
//! | `kubernetes://` as the store of workspaces | the database, which holds the workspace `default` |
//! | `MLFLOW_TRACKING_AUTH=kubernetes` | name and password |
//!
//! And `--port=8443` becomes a free port, as several servers run on this machine.

use serde_json::{Value, json};

/// Who may do everything with `basic-auth`.
pub(crate) const USER: &str = "admin";
pub(crate) const PASSWORD: &str = "password1234";

/// Replaces, in all containers of a pod.
pub(crate) fn stock(pod: &mut Value, workspaces: &str, port: u16) {
    let containers = pod["containers"].as_array_mut().expect("containers");
    for container in containers {
        let mut login = Vec::new();
        for word in list(&mut container["args"]) {
            let text = word.as_str().expect("a word");
            *word = match text {
                "--app-name=kubernetes-auth" => {
                    login.push(("MLFLOW_FLASK_SERVER_SECRET_KEY", "key"));
                    "--app-name=basic-auth".into()
                }
                "--workspace-store-uri=kubernetes://" => {
                    format!("--workspace-store-uri={workspaces}").into()
                }
                "--port=8443" => format!("--port={port}").into(),
                _ => continue,
            };
        }
        let environment = list(&mut container["env"]);
        environment.retain_mut(|entry| {
            if entry["name"] == "MLFLOW_WORKSPACE_STORE_URI" {
                entry["value"] = workspaces.into();
            }
            let client = *entry == json!({"name": "MLFLOW_TRACKING_AUTH", "value": "kubernetes"});
            if client {
                login.extend([
                    ("MLFLOW_TRACKING_USERNAME", USER),
                    ("MLFLOW_TRACKING_PASSWORD", PASSWORD),
                ]);
            }
            !client
        });
        let entry = |(name, value)| json!({"name": name, "value": value});
        environment.extend(login.into_iter().map(entry));
    }
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    value.as_array_mut().expect("a list")
}
