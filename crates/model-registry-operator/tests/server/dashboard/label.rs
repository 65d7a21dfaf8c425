//! The status that the settings page shows, by the rules of the page.

use cluster::{Platform, conditions};
use futures::{StreamExt as _, TryStreamExt as _};
use kube::runtime::watcher;
use serde_json::{Value, json};

use super::Settings;
use crate::harness::MODEL_REGISTRY;

/// What the page shows.
#[derive(Debug, PartialEq)]
pub(super) enum Shown {
    Progressing,
    /// With the texts of the pop-up.
    Unavailable(Vec<String>),
    Degrading,
    Available,
}

/// The first rule that fits, over type, status and message of conditions.
pub(super) fn of(registry: &Value) -> Shown {
    let all: Vec<&Value> = conditions(registry).collect();
    let is = |type_: &str, status: &str| {
        all.iter()
            .any(|c| c["type"] == type_ && c["status"] == status)
    };
    // When the registry is not available, every condition that is False is collected.
    let texts: Vec<String> = all
        .iter()
        .filter(|c| c["status"] == "False")
        .filter_map(|c| c["message"].as_str().map(str::to_owned))
        .collect();
    if all.is_empty() {
        Shown::Progressing
    } else if is("Available", "False") && !texts.iter().any(|t| t.contains("ContainerCreating")) {
        Shown::Unavailable(texts)
    } else if is("Degraded", "True") {
        Shown::Degrading
    } else if is("Available", "True") {
        Shown::Available
    } else {
        Shown::Progressing
    }
}

/// From creation to Available the page never says Unavailable: what starts is not broken.
async fn while_it_starts(platform: Platform, name: &str, database: Value) {
    let settings = Settings::new(platform).await;
    let registries = settings.api(MODEL_REGISTRY);
    let events = watcher(
        registries,
        watcher::Config::default().fields(&format!("metadata.name={name}")),
    );
    let watched = tokio::spawn(async move {
        let mut events = std::pin::pin!(events.boxed());
        let mut shown = Vec::new();
        while let Some(event) = events.try_next().await.expect("an event") {
            if let watcher::Event::Apply(object) | watcher::Event::InitApply(object) = event {
                let (now, data) = (of(&object.data), object.data.clone());
                let end = now == Shown::Available || matches!(now, Shown::Unavailable(_));
                shown.push((now, data["status"].clone()));
                if end {
                    break;
                }
            }
        }
        shown
    });
    settings.registry(name, database).await;
    let shown = tokio::time::timeout(std::time::Duration::from_mins(1), watched)
        .await
        .expect("in time")
        .expect("a list");
    let (last, before) = shown.split_last().expect("events");
    assert_eq!(last.0, Shown::Available, "{}", last.1);
    assert!(
        before.iter().all(|(shown, _)| *shown == Shown::Progressing),
        "{before:?}"
    );
    let starting = before
        .iter()
        .any(|(_, status)| status.to_string().contains("ContainerCreating"));
    assert!(
        starting,
        "Available is written while pods start, with the word: {before:?}"
    );
}

#[tokio::test]
async fn a_start_is_progress_on_kubernetes() {
    while_it_starts(
        Platform::Kubernetes,
        "dash-start",
        json!({"postgres": {"generateDeployment": true}, "mysql": null}),
    )
    .await;
}

#[tokio::test]
async fn a_start_is_progress_on_openshift() {
    while_it_starts(
        Platform::OpenShift,
        "dash-start-os",
        json!({"postgres": {"generateDeployment": true}, "mysql": null}),
    )
    .await;
}

/// No condition that has nothing to do with it is False: the page would list it.
async fn what_is_false(platform: Platform, name: &str) {
    let settings = Settings::new(platform).await;
    let default = json!({"postgres": {"generateDeployment": true}, "mysql": null});
    settings.registry(name, default).await;
    let registry = settings.world.available(name).await;
    let wrong: Vec<_> = conditions(&registry.data)
        .filter(|c| c["status"] == "False" && c["type"] != "Progressing")
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(of(&registry.data), Shown::Available);
}

#[tokio::test]
async fn only_what_is_wrong_is_false_on_kubernetes() {
    what_is_false(Platform::Kubernetes, "dash-false").await;
}

#[tokio::test]
async fn only_what_is_wrong_is_false_on_openshift() {
    what_is_false(Platform::OpenShift, "dash-false-os").await;
}

#[test]
fn the_rules_of_the_page() {
    let registry = |list: Value| json!({"status": {"conditions": list}});
    let c = |type_: &str, status: &str, message: &str| json!({"type": type_, "status": status, "message": message});
    assert_eq!(of(&json!({})), Shown::Progressing);
    assert_eq!(
        of(&registry(json!([c(
            "Available",
            "False",
            "pods wait: ContainerCreating"
        )]))),
        Shown::Progressing
    );
    let broken = registry(json!([
        c("Available", "False", "a"),
        c("Other", "False", "b"),
        c("Degraded", "True", "c")
    ]));
    assert_eq!(
        of(&broken),
        Shown::Unavailable(vec!["a".into(), "b".into()])
    );
    assert_eq!(
        of(&registry(json!([
            c("Available", "True", ""),
            c("Degraded", "True", "")
        ]))),
        Shown::Degrading
    );
    assert_eq!(
        of(&registry(json!([c("Available", "True", "")]))),
        Shown::Available
    );
}
