//! Admits every Route, as an OpenShift router does with those whose host is not taken.

use futures::StreamExt as _;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};

use super::DOMAIN;

/// Watches all Routes and admits each, one after the other.
pub(super) async fn run(client: Client) {
    let resource =
        ApiResource::from_gvk(&GroupVersionKind::gvk("route.openshift.io", "v1", "Route"));
    let all = Api::<DynamicObject>::all_with(client.clone(), &resource);
    let mut routes = watcher(all, watcher::Config::default())
        .default_backoff()
        .applied_objects()
        .boxed();
    while let Some(event) = routes.next().await {
        let Ok(route) = event else { continue };
        let api = Api::namespaced_with(
            client.clone(),
            &route.namespace().unwrap_or_default(),
            &resource,
        );
        if let Err(error) = admit(&api, &route).await {
            tracing::debug!(%error, route = route.name_any(), "a route was not admitted");
        }
    }
}

async fn admit(api: &Api<DynamicObject>, route: &DynamicObject) -> Result<(), kube::Error> {
    let name = route.name_any();
    let params = PatchParams::default();
    let (host, generated) = host(route);
    if generated {
        let body = json!({
            "metadata": {"uid": route.uid(), "annotations": {"openshift.io/host.generated": "true"}},
            "spec": {"host": host},
        });
        // The change comes back as an event, and is admitted then.
        return api
            .patch(&name, &params, &Patch::Merge(body))
            .await
            .map(drop);
    }
    match ingress(route, &host, jiff::Timestamp::now()) {
        Some(status) => {
            let body = json!({"metadata": {"uid": route.uid()}, "status": status});
            api.patch_status(&name, &params, &Patch::Merge(body))
                .await
                .map(drop)
        }
        None => Ok(()),
    }
}

/// The host of a Route, and whether it had to be made up.
fn host(route: &DynamicObject) -> (String, bool) {
    let text = |field| {
        route
            .data
            .pointer(field)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    };
    match (text("/spec/host"), text("/spec/subdomain")) {
        (Some(host), _) => (host.to_owned(), false),
        (None, Some(subdomain)) => (format!("{subdomain}.{DOMAIN}"), false),
        (None, None) => {
            let namespace = route.namespace().unwrap_or_default();
            (format!("{}-{namespace}.{DOMAIN}", route.name_any()), true)
        }
    }
}

/// The status that the router writes, unless it is there.
fn ingress(route: &DynamicObject, host: &str, now: jiff::Timestamp) -> Option<Value> {
    if route
        .data
        .pointer("/status/ingress/0/host")
        .and_then(Value::as_str)
        == Some(host)
    {
        return None;
    }
    Some(json!({"ingress": [{
        "host": host,
        "routerName": "default",
        "routerCanonicalHostname": format!("router-default.{DOMAIN}"),
        "wildcardPolicy": "None",
        "conditions": [{"type": "Admitted", "status": "True", "lastTransitionTime": now.to_string()}],
    }]}))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(data: &Value) -> DynamicObject {
        let mut object = json!({"metadata": {"name": "a", "namespace": "n"}});
        object
            .as_object_mut()
            .unwrap()
            .extend(data.as_object().unwrap().clone());
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn a_host_is_kept_or_made() {
        assert_eq!(
            host(&route(&json!({"spec": {"host": "h.example"}}))),
            ("h.example".to_owned(), false)
        );
        assert_eq!(
            host(&route(&json!({"spec": {"host": ""}}))),
            ("a-n.apps.example.test".to_owned(), true)
        );
        assert_eq!(
            host(&route(&json!({"spec": {"subdomain": "s"}}))),
            ("s.apps.example.test".to_owned(), false)
        );
    }

    #[test]
    fn an_admitted_route_is_left_alone() {
        let admitted = route(&json!({"spec": {}, "status": {"ingress": [{"host": "h"}]}}));
        assert_eq!(ingress(&admitted, "h", jiff::Timestamp::UNIX_EPOCH), None);
        let moved = ingress(&admitted, "other", jiff::Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(
            moved.pointer("/ingress/0/conditions/0/status"),
            Some(&json!("True"))
        );
    }
}
