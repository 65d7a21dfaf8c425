//! What is written in a resource and has no effect, or another one than it seems to have.

use std::fmt;

use api::modelregistry::v1beta1::{Grpc, ModelRegistrySpec, Postgres, ServiceRoute, SslMode};
use resources::quantity::is_smaller;

use super::defaults::{is_oauth_proxy, runs_metadata_store};
use super::observe::{MESH, Observation};
use super::references::filled;

/// Something that is written in the resource and means nothing, or means something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The field has no effect.
    Ignored {
        /// Path of the field.
        field: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// A Postgres authority is given, and the mode would not look at it.
    VerifiesAnyway {
        /// The mode that is written.
        mode: &'static str,
    },
    /// MySQL's authority is given and verification is switched off.
    NotVerified,
    /// Istio's place is taken by the proxy.
    IstioIsProxy,
    /// The ways in lead to a registry that asks nobody who they are.
    ExposedToAll,
    /// The gateway leads to a gRPC server that there is not.
    GatewayWithoutGrpc,
    /// The metadata store of v0.2 beside a REST server that does not know it.
    StoreWithTodaysServer,
    /// The volume is larger than asked for, and cannot shrink.
    VolumeLarger,
    /// The volume has another storage class, which is fixed.
    StorageClassFixed,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ignored { field, reason } => write!(f, "{field} has no effect: {reason}"),
            Self::VerifiesAnyway { mode } => write!(
                f,
                "spec.postgres.sslMode {mode} is raised to verify-full, because a root certificate is given; \
                 set sslMode to verify-full, or remove the root certificate"
            ),
            Self::NotVerified => f.write_str(
                "spec.mysql.verifyServerCert is false: the root certificate is not used to verify the server; \
                 set it to true",
            ),
            Self::IstioIsProxy => write!(
                f,
                "spec.istio makes no Istio objects: the cluster does not serve all of {}; the registry gets the \
                 authenticating proxy in their place, with the gateway's domain and port; install Istio and \
                 Authorino, or write what you need of it to spec.kubeRBACProxy",
                mesh_apis(),
            ),
            Self::GatewayWithoutGrpc => f.write_str(
                "spec.istio.gateway.grpc leads nowhere: the registry has no gRPC server; set \
                 spec.istio.gateway.grpc.gatewayRoute to disabled, or name a server in spec.grpc.image",
            ),
            Self::StoreWithTodaysServer => f.write_str(
                "spec.grpc.image is that of a metadata store, which the default image of the REST server does not \
                 know; set spec.rest.image to a release before v0.2.20, or remove spec.grpc.image",
            ),
            Self::ExposedToAll => f.write_str(
                "spec.expose leads to a registry without authentication: whoever reaches its hosts may read and \
                 write; set spec.kubeRBACProxy to {}, or remove spec.expose",
            ),
            Self::VolumeLarger => f.write_str(
                "spec.postgres.storage.size is smaller than the volume, which cannot shrink; \
                 it keeps its size",
            ),
            Self::StorageClassFixed => f.write_str(
                "spec.postgres.storage.storageClassName differs from that of the volume, which is fixed once it \
                 exists; the volume keeps its class",
            ),
        }
    }
}

/// What is written in `stored` and means nothing. `spec` has its defaults.
pub(super) fn warnings(
    stored: &ModelRegistrySpec,
    spec: &ModelRegistrySpec,
    observation: &Observation,
) -> Vec<Warning> {
    let mut found = Vec::new();
    let mut ignored = |when: bool, field: &'static str, reason: &'static str| {
        if when {
            found.push(Warning::Ignored { field, reason });
        }
    };
    let grpc = stored.grpc.as_ref();
    let has_store = grpc.is_some_and(runs_metadata_store);
    ignored(
        !has_store && grpc.is_some_and(|grpc| *grpc != Grpc::default()),
        "spec.grpc",
        "the registry has no gRPC endpoint any more; remove it, or name a server in spec.grpc.image",
    );
    ignored(
        stored.enable_database_upgrade.is_some(),
        "spec.enable_database_upgrade",
        "the registry migrates its schema by itself; remove it",
    );
    ignored(
        stored.downgrade_db_schema_version.is_some(),
        "spec.downgrade_db_schema_version",
        "the registry cannot go back to an older schema; remove it",
    );
    ignored(
        spec.kube_rbac_proxy.is_some() && stored.rest.service_route == ServiceRoute::Enabled,
        "spec.rest.serviceRoute",
        "the proxy has a Route of its own; use spec.kubeRBACProxy.serviceRoute",
    );
    ignored(
        spec.kube_rbac_proxy.is_none()
            && stored.rest.service_route == ServiceRoute::Enabled
            && !observation.platform.openshift,
        "spec.rest.serviceRoute",
        "the cluster has no Route API; remove it, or use spec.expose",
    );
    ignored(
        spec.kube_rbac_proxy.is_none() && !stored.access.is_empty(),
        "spec.access",
        "no proxy asks who calls, and whoever reaches the Service may read and write; \
         set spec.kubeRBACProxy",
    );
    ignored(
        stored
            .oauth_proxy
            .as_ref()
            .is_some_and(|old| old.image.is_some() && !is_oauth_proxy(old)),
        "spec.oauthProxy.image",
        "it is not named like an OAuth proxy, so the proxy is a kube-rbac-proxy; \
         use spec.kubeRBACProxy.image",
    );
    ignored(
        spec.postgres.is_some() && spec.mysql.is_some(),
        "spec.mysql",
        "spec.postgres is used; remove one of the two",
    );
    if let Some(mysql) = spec.mysql.as_ref().filter(|_| spec.postgres.is_none()) {
        ignored(
            mysql.skip_db_creation,
            "spec.mysql.skipDBCreation",
            "the registry never creates the database; remove it",
        );
        ignored(
            filled(mysql.ssl_root_certificates_config_map_name.as_ref()).is_some()
                && filled(mysql.ssl_root_certificates_secret_name.as_ref()).is_some(),
            "spec.mysql.sslRootCertificatesSecretName",
            "sslRootCertificatesConfigMapName is used; remove one of the two",
        );
    }
    if let Some(proxy) = stored
        .kube_rbac_proxy
        .as_ref()
        .filter(|_| !observation.platform.openshift)
    {
        ignored(
            proxy.domain.is_some() && proxy.service_route == ServiceRoute::Disabled,
            "spec.kubeRBACProxy.domain",
            "spec.kubeRBACProxy.serviceRoute is disabled",
        );
    }
    mesh_warnings(stored, spec, observation, &mut found);
    if spec.expose.is_some() && spec.kube_rbac_proxy.is_none() && spec.istio.is_none() {
        found.push(Warning::ExposedToAll);
    }
    if let Some(postgres) = stored.postgres.as_ref().filter(|_| spec.postgres.is_some()) {
        postgres_warnings(postgres, observation, &mut found);
    }
    tls_warnings(spec, &mut found);
    storage_warnings(stored, observation, &mut found);
    found
}

fn mesh_warnings(
    stored: &ModelRegistrySpec,
    spec: &ModelRegistrySpec,
    observation: &Observation,
    found: &mut Vec<Warning>,
) {
    let has_store = stored.grpc.as_ref().is_some_and(runs_metadata_store);
    if has_store && filled(stored.rest.image.as_ref()).is_none() {
        found.push(Warning::StoreWithTodaysServer);
    }
    if stored.istio.is_none() {
        return;
    }
    if stored.kube_rbac_proxy.is_some() || stored.oauth_proxy.is_some() {
        found.push(Warning::Ignored {
            field: "spec.istio",
            reason: "the proxy wins over it; remove one of the two",
        });
    } else if !observation.platform.mesh {
        found.push(Warning::IstioIsProxy);
    }
    let Some(istio) = &spec.istio else { return };
    if stored.rest.service_route == ServiceRoute::Enabled {
        found.push(Warning::Ignored {
            field: "spec.rest.serviceRoute",
            reason: "the way into the mesh is spec.istio.gateway; remove it",
        });
    }
    let gateway = istio.gateway.as_ref();
    if !has_store
        && gateway.is_some_and(|gateway| gateway.grpc.gateway_route == Some(ServiceRoute::Enabled))
    {
        found.push(Warning::GatewayWithoutGrpc);
    }
}

/// The APIs that a registry in the mesh takes.
fn mesh_apis() -> String {
    let mut all: Vec<String> = MESH.iter().map(resources::Kind::api_version).collect();
    all.dedup();
    all.join(", ")
}

fn postgres_warnings(postgres: &Postgres, observation: &Observation, found: &mut Vec<Warning>) {
    let mut ignored = |when: bool, field: &'static str, reason: &'static str| {
        if when {
            found.push(Warning::Ignored { field, reason });
        }
    };
    ignored(
        postgres.skip_db_creation,
        "spec.postgres.skipDBCreation",
        "the registry never creates the database; remove it",
    );
    ignored(
        filled(postgres.host.as_ref()).is_some()
            && filled(postgres.host_address.as_ref()).is_some(),
        "spec.postgres.hostAddress",
        "spec.postgres.host is used; remove one of the two",
    );
    if postgres.is_generated() {
        ignored(
            is_addressed(postgres),
            "spec.postgres",
            "port, user, database, password and TLS of the generated Postgres are chosen by the operator; \
             remove them",
        );
    } else {
        // Data that was left behind is still held by these.
        let holds = observation.volume.is_some();
        ignored(
            filled(postgres.image.as_ref()).is_some(),
            "spec.postgres.image",
            "it is that of a generated Postgres; remove it or set generateDeployment",
        );
        ignored(
            postgres.storage.is_some() && !holds,
            "spec.postgres.storage",
            "it is that of a generated Postgres; remove it or set generateDeployment",
        );
    }
}

/// Whether the spec says how to reach a server.
fn is_addressed(postgres: &Postgres) -> bool {
    let secrets = [
        &postgres.password_secret,
        &postgres.ssl_certificate_secret,
        &postgres.ssl_key_secret,
        &postgres.ssl_password_secret,
        &postgres.ssl_root_certificate_secret,
    ];
    filled(postgres.username.as_ref()).is_some()
        || filled(postgres.database.as_ref()).is_some()
        || postgres.port != Postgres::default().port
        || postgres.ssl_mode != SslMode::Disable
        || postgres.ssl_root_certificate_config_map.is_some()
        || secrets.iter().any(|secret| secret.is_some())
}

fn tls_warnings(spec: &ModelRegistrySpec, found: &mut Vec<Warning>) {
    if let Some(postgres) = &spec.postgres {
        let root = postgres.ssl_root_certificate_config_map.is_some()
            || postgres.ssl_root_certificate_secret.is_some();
        if root
            && matches!(
                postgres.ssl_mode,
                SslMode::Disable | SslMode::Allow | SslMode::Prefer
            )
        {
            found.push(Warning::VerifiesAnyway {
                mode: postgres.ssl_mode.as_str(),
            });
        }
    } else if let Some(mysql) = &spec.mysql {
        let root = mysql.ssl_root_certificate_config_map.is_some()
            || mysql.ssl_root_certificate_secret.is_some()
            || filled(mysql.ssl_root_certificates_config_map_name.as_ref()).is_some()
            || filled(mysql.ssl_root_certificates_secret_name.as_ref()).is_some();
        if root && mysql.verify_server_cert == Some(false) {
            found.push(Warning::NotVerified);
        }
    }
}

fn storage_warnings(
    stored: &ModelRegistrySpec,
    observation: &Observation,
    found: &mut Vec<Warning>,
) {
    let storage = stored
        .postgres
        .as_ref()
        .and_then(|postgres| postgres.storage.as_ref());
    let Some((storage, live)) = storage.zip(observation.volume.as_ref()) else {
        return;
    };
    if let Some((asked, live)) = storage.size.as_ref().zip(live.size.as_ref())
        && is_smaller(&asked.0, live)
    {
        found.push(Warning::VolumeLarger);
    }
    if let Some(asked) = filled(storage.storage_class_name.as_ref())
        && live.storage_class.as_ref() != Some(asked)
    {
        found.push(Warning::StorageClassFixed);
    }
}
