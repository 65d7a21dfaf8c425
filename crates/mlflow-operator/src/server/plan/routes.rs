//! Ways in: the route from the platform's gateway, and the entry in OpenShift's menu.

use kube::core::{DynamicObject, ObjectMeta};
use resources::kind::HTTP_ROUTE;
use resources::meta::{namespaced, with_spec};
use resources::{Plan, Planned};
use serde_json::json;

use super::super::error::Error;
use super::super::validated::Validated;
use super::labels;
use crate::kinds::CONSOLE_LINK;
use crate::names::PORT;

/// The picture beside the entry: three bars of a chart, as an address of its own.
const PICTURE: &str = "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCAyNCAyNCI+PHBhdGggZD0iTTMgMTNoNHY4SDN6TTEwIDhoNHYxM2gtNHpNMTcgM2g0djE4aC00eiIgZmlsbD0iIzAxOTRlMiIvPjwvc3ZnPg==";

pub(super) fn routes(server: &Validated, plan: &mut Plan) -> Result<(), Error> {
    let Some(url) = server.url() else {
        return route(server, plan);
    };
    route(server, plan)?;
    if server.platform.openshift {
        let object = link(server, &url);
        plan.push(Planned::new(CONSOLE_LINK, &object)?);
    }
    Ok(())
}

/// The server takes everything under its prefix, but for what OpenTelemetry sends to `/v1`.
fn route(server: &Validated, plan: &mut Plan) -> Result<(), Error> {
    if !server.platform.http_routes {
        return Ok(());
    }
    let own = server.names.own.as_str();
    let prefix = server.names.prefix();
    let backend = json!([{"group": "", "kind": "Service", "name": own, "port": PORT, "weight": 1}]);
    let matches = |path: &str| json!([{"path": {"type": "PathPrefix", "value": path}}]);
    let spec = json!({
        "parentRefs": [{
            "group": HTTP_ROUTE.group,
            "kind": "Gateway",
            "name": server.settings.gateway_name,
            "namespace": server.settings.gateway_namespace,
        }],
        "rules": [
            {
                "matches": matches(&format!("{prefix}/v1")),
                "filters": [{
                    "type": "URLRewrite",
                    "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/v1"}},
                }],
                "backendRefs": backend,
            },
            {"matches": matches(&prefix), "backendRefs": backend},
        ],
    });
    let metadata = namespaced(
        own,
        &server.namespace,
        labels(server),
        server.owner.as_ref(),
    );
    plan.push(Planned::new(HTTP_ROUTE, &with_spec(metadata, &spec))?);
    Ok(())
}

fn link(server: &Validated, url: &str) -> DynamicObject {
    let metadata = ObjectMeta {
        name: Some(server.names.own.to_string()),
        labels: Some(labels(server)),
        owner_references: server.owner.clone().map(|owner| vec![owner]),
        ..ObjectMeta::default()
    };
    let spec = json!({
        "text": if server.names.suffix.is_empty() {
            "MLflow".to_owned()
        } else {
            format!("MLflow ({})", server.names.suffix.trim_start_matches('-'))
        },
        "href": url,
        "location": "ApplicationMenu",
        "applicationMenu": {"section": server.settings.section_title, "imageURL": PICTURE},
    });
    with_spec(metadata, &spec)
}
