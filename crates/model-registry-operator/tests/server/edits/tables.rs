//! What each field becomes, but those of databases.

use operator_harness::edits::{self, Row, Want, at, container, pod, row};
use serde_json::{Value, json};

use super::{proxy as sidecar, server};

/// The address that a Service tells of.
const EXTERNAL: &str = "/metadata/annotations/routing.opendatahub.io~1external-address-rest";

fn resources() -> Value {
    json!({"requests": {"cpu": "7m", "memory": "77Mi"}, "limits": {"cpu": "70m", "memory": "777Mi"}})
}

/// The metadata store's container.
fn store(pointer: &str, value: impl Into<Value>) -> Want {
    container("grpc-container", pointer, value)
}

/// Base: a Postgres, no proxy, plain Kubernetes.
pub(super) fn rest() -> Vec<Row> {
    vec![
        row(
            &["rest.port"],
            json!({"rest": {"port": 9999}}),
            vec![
                server("/args/--port", "9999"),
                server("/ports/http-api/containerPort", 9999),
                at("Service N", "/spec/ports/http-api/port", 9999),
            ],
        ),
        row(
            &["rest.image"],
            json!({"rest": {"image": "registry.test/server@sha256:0123"}}),
            vec![
                server("/image", "registry.test/server@sha256:0123"),
                server("/imagePullPolicy", "IfNotPresent"),
            ],
        ),
        row(
            &["rest.resources"],
            json!({"rest": {"resources": resources()}}),
            vec![server("/resources", resources())],
        ),
        row(
            &["grpc.image"],
            json!({"grpc": {"image": "registry.test/grpc:1"}}),
            vec![
                store("/image", "registry.test/grpc:1"),
                store("/args/--postgres_config_host", "db.example.test"),
                server("/args/--mlmd-port", "9090"),
                server("/args/--embedmd-database-type", Value::Null),
                server("/env", Value::Null),
                at("Service N", "/spec/ports/grpc-api/port", 9090),
            ],
        ),
        row(
            &["grpc.port"],
            json!({"grpc": {"image": "registry.test/grpc:1", "port": 9091}}),
            vec![
                store("/args/--grpc_port", "9091"),
                server("/args/--mlmd-port", "9091"),
                at("Service N", "/spec/ports/grpc-api/port", 9091),
            ],
        ),
        row(
            &["grpc.resources"],
            json!({"grpc": {"image": "registry.test/grpc:1", "resources": resources()}}),
            vec![store("/resources", resources())],
        ),
        row(
            &["authentication"],
            json!({"authentication": "KubeRBACProxy"}),
            vec![
                sidecar("/name", "kube-rbac-proxy"),
                at("Service N", "/spec/ports/https-api/port", 8443),
                at(
                    "ClusterRoleBinding N-auth-delegator",
                    "/roleRef/name",
                    "system:auth-delegator",
                ),
                at(
                    "NetworkPolicy N-proxy",
                    "/spec/ingress/0/ports/0/port",
                    8443,
                ),
            ],
        ),
    ]
}

/// Base: a Postgres, no proxy, plain Kubernetes.
pub(super) fn operand() -> Vec<Row> {
    let mut rows = edits::operand("rest-container", ("PGPASSWORD", Value::Null));
    rows.push(row(
        &["operand.replicas"],
        json!({"operand": {"replicas": 3}}),
        vec![at("Deployment N", "/spec/replicas", 3)],
    ));
    rows
}

/// Base: a Postgres and the proxy, plain Kubernetes.
pub(super) fn ingress() -> Vec<Row> {
    edits::ingress("N", "https-api", |port| {
        vec![at("Service N", EXTERNAL, format!("a.example.test:{port}"))]
    })
}

/// Base: a Postgres and the proxy, OpenShift, which has Gateway API.
pub(super) fn gateways() -> Vec<Row> {
    vec![edits::gateways(vec![
        at("HTTPRoute N", "/spec/rules/0/backendRefs/N/port", 8443),
        at(
            "NetworkPolicy N-https-route",
            "/spec/ingress/0/from",
            Value::Null,
        ),
    ])]
}

/// What both proxies share.
fn any_proxy(
    name: &'static str,
    port: &'static [&'static str],
    tls: &'static [&'static str],
) -> Vec<Row> {
    let key = |key: &str| json!({"name": "other", "key": key});
    vec![
        row(
            port,
            json!({name: {"port": 9443}}),
            vec![
                sidecar("/args/--secure-listen-address", "0.0.0.0:9443"),
                sidecar("/ports/https-proxy/containerPort", 9443),
                at("Service N", "/spec/ports/https-api/port", 9443),
                at(
                    "NetworkPolicy N-proxy",
                    "/spec/ingress/0/ports/0/port",
                    9443,
                ),
            ],
        ),
        row(
            tls,
            json!({name: {"tlsCertificateSecret": key("tls.crt"), "tlsKeySecret": key("tls.key")}}),
            vec![
                pod(
                    "/spec/volumes/kube-rbac-proxy-cert/secret/secretName",
                    "other",
                ),
                pod(
                    "/spec/volumes/kube-rbac-proxy-key/secret/secretName",
                    "other",
                ),
                sidecar("/args/--tls-cert-file", "/etc/tls/private-cert/tls.crt"),
                sidecar(
                    "/args/--tls-private-key-file",
                    "/etc/tls/private-key/tls.key",
                ),
                at(
                    "Service N",
                    "/metadata/annotations/service.beta.openshift.io~1serving-cert-secret-name",
                    Value::Null,
                ),
            ],
        ),
        row(
            tls,
            json!({name: {"tlsCertificateSecret": key("ca.crt"), "tlsKeySecret": key("pass")}}),
            vec![
                sidecar("/args/--tls-cert-file", "/etc/tls/private-cert/ca.crt"),
                sidecar("/args/--tls-private-key-file", "/etc/tls/private-key/pass"),
            ],
        ),
    ]
}

/// Base: a Postgres and the proxy, plain Kubernetes.
pub(super) fn proxy() -> Vec<Row> {
    let mut rows = any_proxy(
        "kubeRBACProxy",
        &["kubeRBACProxy.port"],
        &[
            "kubeRBACProxy.tlsCertificateSecret.name",
            "kubeRBACProxy.tlsCertificateSecret.key",
            "kubeRBACProxy.tlsKeySecret.name",
            "kubeRBACProxy.tlsKeySecret.key",
        ],
    );
    rows.extend([
        row(
            &["kubeRBACProxy.image"],
            json!({"kubeRBACProxy": {"image": "registry.test/proxy:1"}}),
            vec![sidecar("/image", "registry.test/proxy:1")],
        ),
        row(
            &["kubeRBACProxy.resources"],
            json!({"kubeRBACProxy": {"resources": resources()}}),
            vec![sidecar("/resources", resources())],
        ),
        row(
            &["kubeRBACProxy.authorization"],
            json!({"kubeRBACProxy": {"authorization": "ByMethod"}}),
            vec![
                at(
                    "Role registry-api-N",
                    "/rules/0/resources/0",
                    "services/api",
                ),
                at("Role registry-viewer-N", "/rules/0/verbs", json!(["get"])),
                at(
                    "RoleBinding registry-api-N",
                    "/subjects/N-users/kind",
                    "Group",
                ),
                at(
                    "ConfigMap N-kube-rbac-proxy-config",
                    "/data/config-file.yaml/authorization/resourceAttributes/subresource",
                    "api",
                ),
                at(
                    "ConfigMap N-kube-rbac-proxy-config",
                    "/data/config-file.yaml/authorization/resourceAttributes/verb",
                    Value::Null,
                ),
            ],
        ),
        // One binding of each kind of subject, called after what it holds.
        row(
            &["access"],
            json!({"kubeRBACProxy": {"authorization": "ByMethod"}, "access": [
                {"users": ["ann"]}, {"role": "viewer", "namespaces": ["ds1"]}]}),
            vec![
                at(
                    "RoleBinding N-user-61a78b578d94dc99",
                    "/roleRef/name",
                    "registry-user-N",
                ),
                at(
                    "RoleBinding N-user-61a78b578d94dc99",
                    "/subjects/ann/kind",
                    "User",
                ),
                at("RoleBinding registry-api-N", "/subjects/ann/kind", "User"),
                at(
                    "RoleBinding N-viewer-c8e09dc98e31af7f",
                    "/roleRef/name",
                    "registry-viewer-N",
                ),
                at(
                    "RoleBinding N-viewer-c8e09dc98e31af7f",
                    "/subjects/system:serviceaccounts:ds1/kind",
                    "Group",
                ),
                at(
                    "RoleBinding N-viewer-c8e09dc98e31af7f",
                    "/metadata/labels/opendatahub.io~1rb-project-subject",
                    "true",
                ),
            ],
        ),
        // The server's port is the proxy's way to it.
        row(
            &["rest.port"],
            json!({"rest": {"port": 9999}}),
            vec![
                sidecar("/args/--upstream", "http://127.0.0.1:9999/"),
                at("Service N", "/spec/ports/https-api/port", 8443),
            ],
        ),
    ]);
    rows
}

/// Base: a Postgres and the old proxy, plain Kubernetes.
pub(super) fn oauth_proxy() -> Vec<Row> {
    let mut rows = any_proxy(
        "oauthProxy",
        &["oauthProxy.port"],
        &[
            "oauthProxy.tlsCertificateSecret.name",
            "oauthProxy.tlsCertificateSecret.key",
            "oauthProxy.tlsKeySecret.name",
            "oauthProxy.tlsKeySecret.key",
        ],
    );
    // Only an image of its own makes it run as what it was.
    let oauth = |pointer: &str, value: &str| container("oauth-proxy", pointer, value);
    rows.push(row(
        &["oauthProxy.image"],
        json!({"oauthProxy": {"image": "registry.test/oauth-proxy:1"}}),
        vec![
            oauth("/image", "registry.test/oauth-proxy:1"),
            oauth("/args/--upstream", "http://localhost:8080"),
            pod("/spec/containers/kube-rbac-proxy", Value::Null),
            pod(
                "/spec/volumes/oauth-proxy-cert/secret/secretName",
                "N-oauth-proxy",
            ),
            at("ConfigMap N-kube-rbac-proxy-config", "", Value::Null),
            at("Service N", "/spec/ports/https-api/port", 8443),
        ],
    ));
    rows
}

fn any_proxy_route(
    name: &'static str,
    [service_route, domain, route_port]: [&'static [&'static str]; 3],
) -> Vec<Row> {
    vec![
        row(
            service_route,
            json!({name: {"serviceRoute": "disabled"}}),
            vec![
                at("Route N-https", "", Value::Null),
                at("NetworkPolicy N-https-route", "", Value::Null),
                at(
                    "NetworkPolicy N-proxy",
                    "/spec/ingress/0/ports/0/port",
                    8443,
                ),
                at("Service N", EXTERNAL, Value::Null),
            ],
        ),
        row(
            domain,
            json!({name: {"domain": "other.example.test"}}),
            vec![
                at("Route N-https", "/spec/host", "N-rest.other.example.test"),
                at("Service N", EXTERNAL, "N-rest.other.example.test:443"),
            ],
        ),
        row(
            route_port,
            json!({name: {"routePort": 8444}}),
            vec![at("Service N", EXTERNAL, "N-rest.apps.example.test:8444")],
        ),
    ]
}

/// Base: a Postgres and the proxy, OpenShift.
pub(super) fn proxy_route() -> Vec<Row> {
    any_proxy_route(
        "kubeRBACProxy",
        [
            &["kubeRBACProxy.serviceRoute"],
            &["kubeRBACProxy.domain"],
            &["kubeRBACProxy.routePort"],
        ],
    )
}

/// Base: a Postgres and the old proxy, OpenShift.
pub(super) fn oauth_proxy_route() -> Vec<Row> {
    any_proxy_route(
        "oauthProxy",
        [
            &["oauthProxy.serviceRoute"],
            &["oauthProxy.domain"],
            &["oauthProxy.routePort"],
        ],
    )
}

/// Base: a Postgres and no proxy, OpenShift.
pub(super) fn rest_route() -> Vec<Row> {
    vec![
        row(
            &["rest.serviceRoute"],
            json!({"rest": {"serviceRoute": "enabled"}}),
            vec![
                at("Route N-http", "/spec/to/name", "N"),
                at("Route N-http", "/spec/port/targetPort", "http-api"),
                at("Route N-http", "/spec/tls", Value::Null),
            ],
        ),
        row(
            &["authentication"],
            json!({"authentication": null}),
            vec![
                sidecar("/name", "kube-rbac-proxy"),
                at("Route N-https", "/spec/tls/termination", "reencrypt"),
            ],
        ),
    ]
}
