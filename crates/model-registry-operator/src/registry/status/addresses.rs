//! Where a registry can be reached.

use api::modelregistry::v1beta1::{ModelRegistrySpec, ServiceRoute};
use resources::exposure::Exposure;
use serde_json::Value;

use super::super::validate::Validated;
use super::super::validated::istio::Entrance;

/// Port that `https` needs not be told.
const HTTPS: i32 = 443;
/// The same for `http`.
const HTTP: i32 = 80;

/// Host names, external ones first. `spec` has its defaults.
pub(super) fn hosts(validated: &Validated, spec: &ModelRegistrySpec) -> Vec<String> {
    let (name, namespace) = (validated.name.as_str(), validated.namespace.as_str());
    let gateway = validated
        .gateway
        .as_ref()
        .map(|gateway| gateway_host(&gateway.gateway.domain, name));
    let proxy = spec
        .kube_rbac_proxy
        .as_ref()
        .filter(|proxy| proxy.service_route == ServiceRoute::Enabled);
    let domain = proxy
        .and_then(|proxy| proxy.domain.as_ref())
        .filter(|domain| !domain.is_empty());
    let external = domain.map(|domain| format!("{name}-rest.{domain}"));
    let mesh = entrances(validated);
    let mesh = mesh.map(|entrance| entrance.host.to_string());
    let internal = [
        format!("{name}.{namespace}.svc.cluster.local"),
        format!("{name}.{namespace}"),
        name.to_owned(),
    ];
    let asked = validated.open_ways().map(|ways| &ways.hosts);
    let asked = asked.into_iter().flatten().map(ToString::to_string);
    let outer = asked.chain(gateway).chain(external).chain(mesh);
    let mut hosts: Vec<String> = Vec::new();
    for host in outer.chain(internal) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// The address to use: from outside the cluster where there is a way in, first the one that the
/// resource asks for, else the Service.
/// `route` gives a Route as it is.
pub(super) fn url(
    validated: &Validated,
    spec: &ModelRegistrySpec,
    route: impl Fn(&str) -> Option<Value>,
) -> String {
    let (name, namespace) = (validated.name.as_str(), validated.namespace.as_str());
    let live_host = |name: &str| {
        let route = route(name)?;
        route
            .pointer("/spec/host")
            .and_then(Value::as_str)
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
    };
    if let Some(url) = validated.open_ways().and_then(Exposure::url) {
        return url;
    }
    if let Some(gateway) = &validated.gateway {
        return format!("https://{}", gateway_host(&gateway.gateway.domain, name));
    }
    if let Some(rest) = entrances(validated).next() {
        let (scheme, usual) = match rest.tls {
            Some(_) => ("https", HTTPS),
            None => ("http", HTTP),
        };
        return if rest.port.number() == usual {
            format!("{scheme}://{}", rest.host)
        } else {
            format!("{scheme}://{}", rest.address())
        };
    }
    if let Some(proxy) = &validated.proxy {
        let host = proxy.route.as_ref().and_then(|route| {
            live_host(route.name.object.as_str())
                .or_else(|| route.host.as_ref().map(ToString::to_string))
        });
        let port = spec
            .kube_rbac_proxy
            .as_ref()
            .map_or(HTTPS, |proxy| proxy.route_port);
        return match host {
            Some(host) if matches!(port, 0 | HTTPS) => format!("https://{host}"),
            Some(host) => format!("https://{host}:{port}"),
            None => format!(
                "https://{name}.{namespace}.svc.cluster.local:{}",
                proxy.port
            ),
        };
    }
    match validated
        .rest
        .route
        .as_ref()
        .and_then(|route| live_host(route.object.as_str()))
    {
        Some(host) => format!("http://{host}"),
        None => format!(
            "http://{name}.{namespace}.svc.cluster.local:{}",
            validated.rest.port
        ),
    }
}

/// The servers of the mesh's gateway, REST first.
fn entrances(validated: &Validated) -> impl Iterator<Item = &Entrance> {
    let gateway = validated
        .istio
        .as_ref()
        .and_then(|istio| istio.gateway.open());
    gateway
        .into_iter()
        .flat_map(|gateway| [&gateway.rest, &gateway.grpc])
}

fn gateway_host(domain: &str, name: &str) -> String {
    format!("{domain}/model-registry/{name}")
}
