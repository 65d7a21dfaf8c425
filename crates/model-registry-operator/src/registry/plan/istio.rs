//! The registry in the mesh: how Istio leads to it, and whom Authorino lets through.

use kube::core::ObjectMeta;
use resources::kind::{
    AUTH_CONFIG, AUTHORIZATION_POLICY, DESTINATION_RULE, ISTIO_GATEWAY, ROUTE, VIRTUAL_SERVICE,
};
use resources::meta::{annotated, pairs, with_spec};
use resources::names::{HostLabel, ObjectName};
use resources::{Kind, Plan, PlanError, Planned};
use serde_json::{Value, json};

use super::metadata::{called, derived, identity, own, pod_labels};
use crate::registry::names::{GATEWAY_NAME_LABEL, GATEWAY_NAMESPACE_LABEL};
use crate::registry::validated::Validated;
use crate::registry::validated::istio::{Entrance, Guard, IngressService, Istio, IstioGateway};
use crate::registry::values::{Audience, Port};

/// Who may call. Before the pods, which are open without it.
pub(super) fn guard(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(Istio {
        guard: Some(guard),
        gateway,
        ..
    }) = &registry.istio
    else {
        return Ok(());
    };
    let policy = json!({
        "action": "CUSTOM",
        "selector": {"matchLabels": pod_labels(registry)},
        "provider": {"name": guard.provider.as_str()},
        "rules": [{}],
    });
    let metadata = derived(registry, &guard.policy);
    push(plan, AUTHORIZATION_POLICY, metadata, &policy)?;
    let mut metadata = own(registry);
    // Ours win: by them the object is known.
    let mut labels = guard.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(labels);
    push(
        plan,
        AUTH_CONFIG,
        metadata,
        &auth_config(registry, guard, gateway.open()),
    )
}

/// The object that the pods must not run without.
pub(super) fn guarded(registry: &Validated, pods: Planned) -> Planned {
    match registry
        .istio
        .as_ref()
        .and_then(|istio| istio.guard.as_ref())
    {
        Some(guard) => pods.after(AUTHORIZATION_POLICY, guard.policy.object.as_str()),
        None => pods,
    }
}

/// How the mesh leads to the registry.
pub(super) fn mesh(registry: &Validated, plan: &mut Plan) -> Result<(), PlanError> {
    let Some(istio) = &registry.istio else {
        return Ok(());
    };
    let gateway = istio.gateway.open();
    let rule = json!({
        "host": registry.name.as_str(),
        "trafficPolicy": {"tls": {"mode": istio.tls.as_str()}},
    });
    push(plan, DESTINATION_RULE, own(registry), &rule)?;
    push(
        plan,
        VIRTUAL_SERVICE,
        own(registry),
        &virtual_service(registry, gateway),
    )?;
    if let Some(gateway) = gateway {
        let metadata = annotated(own(registry), pairs([("maistra.io/manageRoute", "true")]));
        push(plan, ISTIO_GATEWAY, metadata, &servers(registry, gateway))?;
        if let IngressService::Found { namespace, name } = &gateway.service {
            for entrance in [&gateway.rest, &gateway.grpc] {
                if let Some(route) = &entrance.route {
                    plan.push(gateway_route(registry, entrance, route, (namespace, name))?);
                }
            }
        }
    }
    Ok(())
}

fn push(plan: &mut Plan, kind: Kind, metadata: ObjectMeta, spec: &Value) -> Result<(), PlanError> {
    plan.push(Planned::new(kind, &with_spec(metadata, spec))?);
    Ok(())
}

/// By the host and port that a client asks for: one Service has several ports.
fn virtual_service(registry: &Validated, gateway: Option<&IstioGateway>) -> Value {
    let name = registry.name.as_str();
    let to = |authority: String, port: Port| {
        json!({
            "match": [{"headers": {":authority": {"regex": authority}}}],
            "route": [{"destination": {"host": name, "port": {"number": port.number()}}}],
        })
    };
    let grpc = registry.metadata_store.as_ref().map(|store| store.port);
    let ports = [Some(registry.rest.port), grpc];
    let mut routes: Vec<Value> = ports
        .iter()
        .flatten()
        .map(|port| to(format!("{name}(\\..*)?:{port}"), *port))
        .collect();
    let mut hosts = vec![name.to_owned()];
    if let Some(gateway) = gateway {
        for (entrance, port) in [&gateway.rest, &gateway.grpc].into_iter().zip(ports) {
            hosts.push(entrance.host.to_string());
            let host = entrance.host.as_str().replace('.', "\\.");
            routes.extend(port.map(|port| to(format!("{host}(:{})?", entrance.port), port)));
        }
    }
    json!({"gateways": [name], "hosts": hosts, "http": routes})
}

fn servers(registry: &Validated, gateway: &IstioGateway) -> Value {
    let mut selector = pairs([("istio", gateway.ingress.as_str())]);
    if let Some(revision) = &gateway.control_plane {
        selector.extend(pairs([("istio.io/rev", revision.as_str())]));
    }
    let server = |entrance: &Entrance, name: &str, plain: &str| {
        let tls = entrance.tls.as_ref().map(|tls| {
            json!({
                "mode": tls.mode,
                "credentialName": tls.credential.as_ref().map(ObjectName::as_str),
            })
        });
        json!({
            "name": format!("{}-{name}-server", registry.name.as_str()),
            "hosts": [entrance.host.as_str()],
            "port": {
                "name": name,
                "number": entrance.port.number(),
                "protocol": if tls.is_some() { "HTTPS" } else { plain },
            },
            "tls": tls,
        })
    };
    json!({
        "selector": selector,
        "servers": [server(&gateway.rest, "rest", "HTTP"), server(&gateway.grpc, "grpc", "GRPC")],
    })
}

/// Who has a token of the cluster and may `get` the registry's Service.
fn auth_config(registry: &Validated, guard: &Guard, gateway: Option<&IstioGateway>) -> Value {
    let (name, namespace) = (registry.name.as_str(), registry.namespace.as_str());
    let outside = gateway.map(|gateway| [&gateway.rest.host, &gateway.grpc.host]);
    let hosts: Vec<String> = outside
        .into_iter()
        .flatten()
        .map(ToString::to_string)
        .chain([
            format!("{name}.{namespace}.svc.cluster.local"),
            format!("{name}.{namespace}"),
            name.to_owned(),
        ])
        .collect();
    let audiences: Vec<_> = guard.audiences.iter().map(Audience::as_str).collect();
    let value = |text: &str| json!({"value": text});
    json!({
        "authentication": {"cluster-users": {
            "credentials": {"authorizationHeader": {}},
            "kubernetesTokenReview": {"audiences": audiences},
        }},
        "authorization": {"k8s-rbac": {"kubernetesSubjectAccessReview": {
            "user": {"selector": "auth.identity.user.username"},
            "authorizationGroups": {"selector": "auth.identity.user.groups"},
            "resourceAttributes": {
                "verb": value("get"),
                "group": value(""),
                "resource": value("services"),
                "namespace": value(namespace),
                "name": value(name),
            },
        }}},
        "hosts": hosts,
    })
}

/// In the namespace of the ingress gateway. There no owner reference reaches: labels say whose it
/// is.
fn gateway_route(
    registry: &Validated,
    entrance: &Entrance,
    route: &ObjectName,
    (namespace, service): (&HostLabel, &ObjectName),
) -> Result<Planned, PlanError> {
    let mut metadata = called(registry, route.as_str());
    let labels = metadata.labels.get_or_insert_default();
    labels.extend(pairs([
        (GATEWAY_NAME_LABEL, registry.name.as_str()),
        (GATEWAY_NAMESPACE_LABEL, registry.namespace.as_str()),
    ]));
    metadata = annotated(
        metadata,
        pairs([("maistra.io/original-host", entrance.host.as_str())]),
    );
    if *namespace != registry.namespace {
        metadata.namespace = Some(namespace.to_string());
        metadata.owner_references = None;
    }
    let (port, tls) = match entrance.tls {
        Some(_) => ("https", json!({"termination": "passthrough"})),
        None => ("http2", Value::Null),
    };
    let spec = json!({
        "host": entrance.host.as_str(),
        "port": {"targetPort": port},
        "tls": tls,
        "to": {"kind": "Service", "name": service.as_str(), "weight": 100},
        "wildcardPolicy": "None",
    });
    let object = with_spec(metadata, &spec);
    let mut known_by = identity(registry);
    known_by.push((GATEWAY_NAMESPACE_LABEL, registry.namespace.as_str()));
    Ok(Planned::new(ROUTE, &object)?.identified_by(known_by))
}
