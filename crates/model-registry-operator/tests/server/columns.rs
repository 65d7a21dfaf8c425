//! What `kubectl get` prints: the table that the API server makes.

use cluster::Platform;
use serde_json::{Value, json};

use crate::harness::{MODEL_REGISTRY, postgres, world};

#[tokio::test]
async fn wide_output_shows_name_and_description_as_dashboards_do() {
    let name = "columns";
    let world = world(Platform::Kubernetes, name).await;
    let texts = json!({"openshift.io/display-name": "Team A", "openshift.io/description": "models of team A"});
    world.registry(name, postgres()).await;
    world
        .edit(
            MODEL_REGISTRY,
            name,
            json!({"metadata": {"annotations": texts}}),
        )
        .await;
    world.available(name).await;

    let path = format!(
        "/apis/modelregistry.opendatahub.io/v1beta1/namespaces/{}/modelregistries/{name}",
        world.namespace
    );
    let request = http::Request::get(path)
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new())
        .expect("a request");
    let table: Value = world.client.request(request).await.expect("a table");
    let columns: Vec<_> = table["columnDefinitions"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|column| {
            (
                column["name"].as_str().unwrap_or_default(),
                column["priority"] == 0,
            )
        })
        .collect();
    let cells = table["rows"][0]["cells"].as_array().expect("cells");
    let cell = |name: &str| {
        let at = columns.iter().position(|(column, _)| *column == name);
        cells[at.expect("the column")].clone()
    };
    assert_eq!(cell("Display Name"), "Team A");
    assert_eq!(cell("Description"), "models of team A");
    assert_eq!(cell("Available"), "True");
    // Without -o wide there is room for these only.
    let narrow: Vec<_> = columns
        .iter()
        .filter(|(_, narrow)| *narrow)
        .map(|(column, _)| *column)
        .collect();
    assert_eq!(narrow, ["Name", "Available", "Age"]);

    // One dashboard reads the first key of each text on the Service, another one the second.
    let service = world
        .until(resources::kind::SERVICE, name, |service| {
            let annotation = |key: &str| {
                let annotations = service.metadata.annotations.as_ref();
                annotations.and_then(|all| all.get(key)).cloned()
            };
            annotation("displayName").as_deref() == Some("Team A")
                && annotation("description").as_deref() == Some("models of team A")
        })
        .await;
    let annotations = service.metadata.annotations.unwrap_or_default();
    for (key, text) in texts.as_object().expect("texts") {
        assert_eq!(annotations.get(key).map(String::as_str), text.as_str());
    }
}
