//! How dashboards find registries, and what they read of their Services.

use cluster::{Platform, api_of, eventually};
use k8s_openapi::api::{authorization::v1::SelfSubjectRulesReview, core::v1::Endpoints};
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, PostParams},
};
use operator_harness::SOON;
use resources::kind::SERVICE;
use serde_json::{Value, json};

use super::{Settings, grants::user_of};
use crate::harness::MODEL_REGISTRY;

const EXTERNAL: &str = "routing.opendatahub.io/external-address-rest";

async fn found(platform: Platform, name: &str) -> (Settings, Value) {
    let settings = Settings::new(platform).await;
    settings
        .registry(
            name,
            json!({"postgres": {"generateDeployment": true}, "mysql": null}),
        )
        .await;
    settings.world.available(name).await;

    // Who may list Services does so, by label: the database's Service is not among them.
    let list = settings
        .api(SERVICE)
        .list(&ListParams::default().labels("component=model-registry"))
        .await
        .expect("a list");
    let names: Vec<_> = list.iter().map(kube::ResourceExt::name_any).collect();
    assert_eq!(names, [name]);

    // Everybody else asks what they may get, by name.
    let user = user_of(&settings, name, "ann").await;
    let review: SelfSubjectRulesReview =
        serde_json::from_value(json!({"spec": {"namespace": settings.world.namespace}}))
            .expect("a review");
    let rules: Api<SelfSubjectRulesReview> = Api::all(user.clone());
    let rules = rules
        .create(&PostParams::default(), &review)
        .await
        .expect("an answer")
        .status
        .expect("rules");
    let mine: Vec<String> = rules
        .resource_rules
        .into_iter()
        .filter(|rule| {
            rule.resources.iter().flatten().any(|r| r == "services")
                && rule.verbs.iter().any(|v| v == "get")
        })
        .flat_map(|rule| rule.resource_names.unwrap_or_default())
        .collect();
    assert_eq!(mine, [name]);
    let service = api_of(&user, Some(&settings.world.namespace), SERVICE)
        .get(name)
        .await
        .expect("the Service");
    assert_eq!(
        service.labels().get("component").map(String::as_str),
        Some("model-registry")
    );

    // Availability in lists: ready addresses of v1 Endpoints, with the same rights.
    let endpoints: Api<Endpoints> = Api::namespaced(user, &settings.world.namespace);
    let ready = endpoints.get(name).await.expect("Endpoints");
    assert!(
        ready
            .subsets
            .iter()
            .flatten()
            .any(|s| s.addresses.iter().flatten().count() > 0),
        "{ready:?}"
    );

    // The names: one dashboard's keys, and the other's. An empty description is one.
    for key in ["openshift.io/display-name", "displayName"] {
        assert_eq!(
            service.annotations().get(key).map(String::as_str),
            Some("Prod models"),
            "{key}"
        );
    }
    for key in ["openshift.io/description", "description"] {
        assert_eq!(
            service.annotations().get(key).map(String::as_str),
            Some(""),
            "{key}"
        );
    }

    // The address: TLS is told by the port's name, and the host is the cluster IP.
    let address = service.data["spec"]["clusterIP"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(!address.is_empty() && address != "None", "{address}");
    let ports = service.data["spec"]["ports"].clone();
    assert_eq!(ports.as_array().map(Vec::len), Some(1));
    assert_eq!(ports[0]["name"], "https-api");
    assert_eq!(ports[0]["appProtocol"], "https");

    let annotations = json!(service.annotations());
    (settings, annotations)
}

#[tokio::test]
async fn a_registry_is_found_on_kubernetes() {
    let (settings, annotations) = found(Platform::Kubernetes, "dash-found").await;
    // There is no way in from outside, so no address that would lead nowhere.
    assert_eq!(annotations[EXTERNAL], Value::Null);

    // Without the proxy the port says so.
    settings
        .world
        .edit(
            MODEL_REGISTRY,
            "dash-found",
            json!({"spec": {"kubeRBACProxy": null}}),
        )
        .await;
    let service = settings
        .world
        .until(SERVICE, "dash-found", |s| {
            s.data["spec"]["ports"][0]["name"] == "http-api"
        })
        .await;
    assert_eq!(
        service.data["spec"]["ports"].as_array().map(Vec::len),
        Some(1)
    );

    // Texts that are taken away disappear.
    let none = json!({"metadata": {"annotations": {"openshift.io/display-name": null, "openshift.io/description": null}}});
    settings.merge(MODEL_REGISTRY, "dash-found", none).await;
    eventually("no text is left", SOON, || async {
        let left = settings.service_annotations("dash-found").await;
        if left.keys().any(|key| {
            let key = key.to_lowercase();
            key.contains("description") || key.contains("display")
        }) {
            Err(format!("{left:?}"))
        } else {
            Ok(())
        }
    })
    .await
    .expect("none");
}

#[tokio::test]
async fn a_registry_is_found_on_openshift() {
    let (_settings, annotations) = found(Platform::OpenShift, "dash-found-os").await;
    let external = annotations[EXTERNAL].as_str().unwrap_or_default();
    assert_eq!(
        external, "dash-found-os-rest.apps.example.test:443",
        "without a scheme"
    );
}

/// A description that holds what YAML and JSON are made of arrives as it is.
#[tokio::test]
async fn any_text_arrives() {
    let settings = Settings::new(Platform::Kubernetes).await;
    let name = "dash-text";
    settings
        .registry(
            name,
            json!({"postgres": {"generateDeployment": true}, "mysql": null}),
        )
        .await;
    let text = "a: b\n- {c: \"d\"} # $(X) {{ .y }} 'ü'";
    settings
        .merge(
            MODEL_REGISTRY,
            name,
            json!({"metadata": {"annotations": super::texts(text, text)}}),
        )
        .await;
    settings
        .world
        .until(SERVICE, name, |s| {
            [
                "openshift.io/display-name",
                "displayName",
                "openshift.io/description",
                "description",
            ]
            .iter()
            .all(|key| s.annotations().get(*key).is_some_and(|found| found == text))
        })
        .await;
}
