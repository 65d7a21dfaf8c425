//! Names and keys that live in people's clusters. Each is interface and must not change.

/// The one name that a Catalog may have.
pub const RESOURCE: &str = "catalog";
/// Name of what the Catalog becomes. It is that of the catalog before there was a resource.
pub const CATALOG: &str = "model-catalog";
/// Name of what the database becomes.
pub const POSTGRES: &str = "model-catalog-postgres";
/// Secret with the proxy's certificate.
pub const PROXY: &str = "model-catalog-kube-rbac-proxy";
/// ConfigMap with the authorities of that certificate, where the operator makes it.
pub const AUTHORITIES: &str = "model-catalog-ca";
/// ConfigMap with the proxy's configuration.
pub const PROXY_CONFIG: &str = "model-catalog-kube-rbac-proxy-config";
/// Route, and start of the names of what comes with it.
pub const ROUTE: &str = "model-catalog-https";
/// NetworkPolicy of the Route.
pub const ROUTE_POLICY: &str = "model-catalog-https-route";
/// NetworkPolicy where there is no Route.
pub const POLICY: &str = "model-catalog-https";
/// ClusterRoleBinding of the proxy.
pub const DELEGATOR: &str = "model-catalog-auth-delegator";
/// RoleBinding of everybody.
pub const AUTHENTICATED: &str = "model-catalog-authenticated";
/// Role of administrators.
pub const ADMIN: &str = "model-catalog-admin";
/// RoleBinding of administrators.
pub const ADMIN_BINDING: &str = "model-catalog-admin-binding";
/// ConfigMap with the sources that come with the catalog.
pub const DEFAULT_SOURCES: &str = "default-catalog-sources";
/// That ConfigMap at an earlier time.
pub const OLD_DEFAULT_SOURCES: &str = "model-catalog-default-sources";
/// ConfigMaps with the user's own sources, with the key of the list in each.
pub const USER_SOURCES: [(&str, &str); 3] = [
    ("model-catalog-sources", "catalogs"),
    ("mcp-catalog-sources", "mcp_catalogs"),
    ("agent-catalog-sources", "agent_catalogs"),
];
/// Key of every ConfigMap with sources.
pub const SOURCES_KEY: &str = "sources.yaml";
/// Label of a ConfigMap that somebody adds to the sources.
pub const SOURCE_LABEL: &str = "opendatahub.io/catalog-source";
/// Label of a Secret with the key to a source.
pub const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// Secret keys of the database.
pub const DATABASE_NAME: &str = "database-name";
/// Key of the user.
pub const DATABASE_USER: &str = "database-user";
/// Key of the password.
pub const DATABASE_PASSWORD: &str = "database-password";
/// Annotation of a Deployment: hash of the credentials that its pods were first made with.
pub const CREDENTIALS_BASELINE: &str = "aihub.opendatahub.io/credentials-baseline";
/// Annotation of a pod template: hash of the credentials that its pods read once.
pub const INPUTS_HASH: &str = "aihub.opendatahub.io/inputs-hash";
