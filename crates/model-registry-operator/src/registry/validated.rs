//! What builders may use: the only input of every builder, made of types that say what they hold.

pub mod istio;

use api::common::Operand;
use api::modelregistry::v1beta1::SslMode;
use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::api::rbac::v1::Subject;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use resources::cert_manager::Issuer;
use resources::exposure::Exposure;
use resources::names::{DataKey, HostLabel, LabelValue, ObjectName, ServiceName};

use super::access::Grantee;
use super::config::Gateway;
use super::names::RegistryName;
use super::observe::{Certificate, Credentials, Grant, LivePostgres, Platform, Trust};
use super::trouble::Trouble;
use super::values::{Ciphers, Host, Image, MySqlDatabase, MySqlUser, Port, PostgresName};
use super::warning::Warning;

/// A resource that objects can be built from.
#[derive(Clone, Debug)]
pub struct Validated {
    /// Name.
    pub name: RegistryName,
    /// Namespace.
    pub namespace: HostLabel,
    /// Reference from children to the resource; `None` when the resource is not in a cluster.
    pub owner: Option<OwnerReference>,
    /// What the cluster offers.
    pub platform: Platform,
    /// Name of Role `registry-user-NAME`.
    pub user_role: Derived,
    /// Name of the group of users, its binding and its Group.
    pub users: Derived,
    /// Whom the resource lets in.
    pub access: Vec<Grantee>,
    /// Annotation `openshift.io/display-name` of the resource.
    pub display_name: Option<String>,
    /// Annotation `openshift.io/description` of the resource.
    pub description: Option<String>,
    /// The server.
    pub rest: Rest,
    /// Its database.
    pub database: Database,
    /// The Postgres that the operator runs, or its data.
    pub postgres: Option<Generated>,
    /// The data of a Postgres that is switched off goes. Without being asked to it stays: a slip in
    /// an edit must not cost it.
    pub drops_data: bool,
    /// What became of the data of a generated Postgres that is not used any more.
    pub left_data: Option<LeftData>,
    /// The proxy.
    pub proxy: Option<Proxy>,
    /// The way in through a gateway.
    pub gateway: Option<GatewayRoute>,
    /// Ways in by what every Kubernetes may have.
    pub expose: Option<Exposure>,
    /// Istio in front of the registry, in the proxy's place.
    pub istio: Option<istio::Istio>,
    /// The gRPC server of v0.2 between REST server and database.
    pub metadata_store: Option<MetadataStore>,
    /// Address from outside the cluster as `host:port` or `host/path`, where there is one.
    pub external_address: Option<String>,
    /// How the pods run.
    pub operand: Operand,
    /// Hash of the keys that the server reads once, for its pod template.
    pub inputs_hash: Option<String>,
    /// What is wrong with the database's configuration. It does not stop anything.
    pub troubles: Vec<Trouble>,
    /// What is written in the resource and means nothing.
    pub warnings: Vec<Warning>,
}

/// A derived name that is also the value of label `app.kubernetes.io/instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// Name of the object.
    pub object: ObjectName,
    /// The same as a label.
    pub label: LabelValue,
}

/// The server.
#[derive(Clone, Debug)]
pub struct Rest {
    /// Port.
    pub port: Port,
    /// Image.
    pub image: Image,
    /// Compute resources.
    pub resources: ResourceRequirements,
    /// Name of the Route without authentication, when one is asked for and possible.
    pub route: Option<Derived>,
}

/// The gRPC server of v0.2 between REST server and database.
#[derive(Clone, Debug)]
pub struct MetadataStore {
    /// Port.
    pub port: Port,
    /// Image.
    pub image: Image,
    /// Compute resources.
    pub resources: ResourceRequirements,
}

/// The server's database.
#[derive(Clone, Debug)]
pub enum Database {
    /// Postgres.
    Postgres {
        /// Server.
        host: Host,
        /// Port.
        port: Port,
        /// User.
        user: Option<PostgresName>,
        /// Password of the user.
        password: Option<SecretKey>,
        /// Database.
        database: Option<PostgresName>,
        /// How much the connection insists on TLS; `None` leaves it to the client.
        ssl_mode: Option<SslMode>,
        /// Passphrase of the client's key.
        passphrase: Option<SecretKey>,
        /// TLS.
        tls: Tls,
    },
    /// MySQL or MariaDB.
    MySql {
        /// Server.
        host: Host,
        /// Port.
        port: Port,
        /// User.
        user: MySqlUser,
        /// Password of the user.
        password: Option<SecretKey>,
        /// Database.
        database: MySqlDatabase,
        /// TLS.
        tls: Tls,
    },
}

/// TLS to the database.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// Client certificate.
    pub certificate: Option<SecretKey>,
    /// Its key.
    pub key: Option<SecretKey>,
    /// Authorities in one file.
    pub root: Option<FileSource>,
    /// Authorities from many keys, made into one file.
    pub bundle: Option<Bundle>,
    /// Ciphers.
    pub ciphers: Option<Ciphers>,
    /// Whether the server's certificate is verified; `None` leaves the flag out.
    pub verify: Option<bool>,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: ObjectName,
    /// Key.
    pub key: DataKey,
}

/// A key of a Secret or ConfigMap that becomes a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// Of a Secret.
    Secret(SecretKey),
    /// Of a ConfigMap.
    ConfigMap {
        /// Name of the ConfigMap.
        name: ObjectName,
        /// Key.
        key: DataKey,
    },
}

/// Authorities from many keys, made into one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// ConfigMap that the operator makes of them.
    pub config_map: ObjectName,
    /// All certificates; `None` while the source is missing, and pods wait for it.
    pub content: Option<String>,
}

/// The Postgres that the operator runs, or its data.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Name of Deployment, Service and NetworkPolicy.
    pub name: ServiceName,
    /// The same as a label.
    pub label: LabelValue,
    /// Name of the Secret.
    pub secret: ObjectName,
    /// Name of the volume.
    pub volume: ObjectName,
    /// Image.
    pub image: Image,
    /// Content of the Secret; `None` when it is not there and not needed.
    pub credentials: Option<Credentials>,
    /// Hash of the credentials.
    pub credentials_hash: Option<String>,
    /// There is a volume already.
    pub has_volume: bool,
    /// Size of the volume.
    pub size: String,
    /// Storage class of the volume, where it is chosen.
    pub storage_class: Option<ObjectName>,
    /// The volume and the password outlive the resource.
    pub retain: bool,
    /// The workload runs. Else only the data is held.
    pub running: bool,
    /// The Deployment as it is.
    pub live: Option<LivePostgres>,
}

/// What became of the data of a generated Postgres that is not used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftData {
    /// It is kept and goes with the registry: nobody decided otherwise.
    Kept,
    /// It is kept and outlives the registry.
    Retained,
    /// It is being deleted, as asked for.
    Deleted,
}

/// The proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// Port.
    pub port: Port,
    /// Image.
    pub image: Image,
    /// Compute resources, where they are chosen.
    pub resources: Option<ResourceRequirements>,
    /// Serving certificate.
    pub certificate: SecretKey,
    /// Its key.
    pub key: SecretKey,
    /// Where the certificate comes from.
    pub source: Certificate,
    /// Who signs the certificate, where cert-manager makes it.
    pub issuer: Option<Issuer>,
    /// How clients learn which authority to trust.
    pub trust: Trust,
    /// ConfigMap for clients with the authorities.
    pub authorities: ObjectName,
    /// ConfigMap with the proxy's configuration.
    pub config: ObjectName,
    /// Its ClusterRoleBinding.
    pub delegator: Derived,
    /// NetworkPolicy where no Route is.
    pub policy: Derived,
    /// Route, where there is one.
    pub route: Option<ProxyRoute>,
    /// Access by method.
    pub by_method: Option<ByMethod>,
    /// It is an OAuth proxy, and no kube-rbac-proxy.
    pub oauth: Option<OAuth>,
}

/// What an OAuth proxy needs beside its certificate.
#[derive(Clone, Debug)]
pub struct OAuth {
    /// Secret that its cookies are signed with.
    pub cookie_secret: ObjectName,
    /// Its content; `None` where nothing was observed.
    pub cookie: Option<Credentials>,
}

/// The Route to the proxy.
#[derive(Clone, Debug)]
pub struct ProxyRoute {
    /// Name of the Route.
    pub name: Derived,
    /// Name of its NetworkPolicy.
    pub policy: Derived,
    /// Host; `None` leaves the choice to OpenShift.
    pub host: Option<ObjectName>,
}

/// Access by method.
#[derive(Clone, Debug)]
pub struct ByMethod {
    /// Role for everything, and the binding that mirrors the users.
    pub api: Derived,
    /// Role for reading.
    pub viewer: Derived,
    /// Whom RoleBindings of people give Role `registry-user-NAME`.
    pub users: Vec<Subject>,
}

/// The way in through a gateway.
#[derive(Clone, Debug)]
pub struct GatewayRoute {
    /// Name of the HTTPRoute.
    pub name: Derived,
    /// Namespace of the HTTPRoute.
    pub namespace: HostLabel,
    /// The gateway.
    pub gateway: Gateway,
    /// The ReferenceGrant as it is; `None` where the API is missing.
    pub grant: Option<Grant>,
}

impl Validated {
    /// Name and number of the Service's port.
    #[must_use]
    pub fn service_port(&self) -> (&'static str, Port) {
        match &self.proxy {
            Some(proxy) => ("https-api", proxy.port),
            None => ("http-api", self.rest.port),
        }
    }

    /// The ways in that lead to the registry with what the cluster offers.
    #[must_use]
    pub fn open_ways(&self) -> Option<&Exposure> {
        self.expose
            .as_ref()
            .filter(|ways| ways.is_open(self.platform.http_routes))
    }
}

impl Database {
    /// Port.
    #[must_use]
    pub fn port(&self) -> Port {
        match self {
            Self::Postgres { port, .. } | Self::MySql { port, .. } => *port,
        }
    }

    /// TLS.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        match self {
            Self::Postgres { tls, .. } | Self::MySql { tls, .. } => tls,
        }
    }
}
