//! What the plan depends on that is not in the resource.
//!
//! Everything that is not a pure function of the resource happens here: reads, the choice of a
//! password and of a serving certificate. What is kept of a Secret are digests and the verdict
//! about characters; a value is only kept where an object of the plan holds it.

mod certificate;
mod cookie;
mod grant;
mod platform;
mod postgres;
mod referenced;

use std::collections::BTreeMap;

use api::modelregistry::v1beta1::ModelRegistry;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use k8s_openapi::api::rbac::v1::{RoleBinding, Subject};
use kube::core::ObjectMeta;
use kube::{Resource, ResourceExt};
use resources::content::bundle;
use resources::kind::{
    DEPLOYMENT, PERSISTENT_VOLUME_CLAIM, REFERENCE_GRANT, ROLE_BINDING, ROUTE, SERVICE,
};
use runtime::inputs::Inputs;

use super::config::Config;
use super::error::Error;
use super::names;
use super::references::{Holder, Reference, references};
pub use certificate::{Awaited, Certificate, Trust};
use certificate::{certificate, trust};
use cookie::cookie;
pub use grant::Grant;
pub(crate) use grant::grant;
pub(crate) use platform::cluster_domain;
use platform::domain;
pub use platform::{MESH, Platform};
pub(crate) use postgres::password;
pub use postgres::{Credentials, LivePostgres, LiveVolume};
use postgres::{live_postgres, live_volume, wanted_credentials};
pub use referenced::{Entry, Oddity, Seen};
use referenced::{read, seen};

/// What the plan depends on that is not in the resource.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What the cluster offers.
    pub platform: Platform,
    /// Domain of external host names: the installation's, else the cluster's.
    pub domain: Option<String>,
    /// What the resource refers to: `None` for an object that is not there.
    pub referenced: BTreeMap<Holder, Option<Seen>>,
    /// All certificates of the referenced directory of authorities, one after the other.
    pub authorities: Option<String>,
    /// Where the proxy's certificate comes from, when the resource names none.
    pub certificate: Certificate,
    /// How long somebody else may still take to make it.
    pub awaited: Awaited,
    /// How clients learn which authority to trust.
    pub trust: Trust,
    /// Secret of the generated Postgres.
    pub credentials: Option<Credentials>,
    /// Deployment of the generated Postgres as it is.
    pub postgres: Option<LivePostgres>,
    /// Volume of the generated Postgres as it is.
    pub volume: Option<LiveVolume>,
    /// An older registry of the same name, whose objects ours would fight with.
    pub namesake: Option<Namesake>,
    /// Whom RoleBindings of people give Role `registry-user-NAME`.
    pub users: Vec<Subject>,
    /// The ReferenceGrant that registries of a namespace share, as it is.
    pub grant: Grant,
    /// Secret that the OAuth proxy's cookies are signed with.
    pub cookie: Option<Credentials>,
    /// Services of ingress gateways, in every namespace.
    pub ingress_services: Vec<ObjectMeta>,
}

/// An older registry of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    /// Its namespace.
    pub namespace: String,
}

impl Observation {
    /// Nothing was looked at but the platform.
    #[must_use]
    pub fn of_platform(platform: Platform) -> Self {
        Self {
            platform,
            domain: None,
            referenced: BTreeMap::new(),
            authorities: None,
            certificate: Certificate::Named,
            awaited: Awaited::No,
            trust: Trust::Unasked,
            credentials: None,
            postgres: None,
            volume: None,
            namesake: None,
            users: Vec::new(),
            grant: Grant::default(),
            cookie: None,
            ingress_services: Vec::new(),
        }
    }

    /// When the plan changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match (&self.certificate, self.awaited) {
            (Certificate::Own { serving, .. }, _) => Some(serving.due),
            (_, Awaited::Until(time)) => Some(time),
            _ => None,
        }
    }
}

/// Reads what the plan of `resource` depends on.
pub async fn observe<I: Inputs>(
    resource: &ModelRegistry,
    config: &Config,
    inputs: &I,
) -> Result<Observation, Error> {
    let capabilities = inputs.capabilities();
    let platform = Platform::of(&capabilities);
    let name = resource.name_any();
    let namespace = resource.namespace().unwrap_or_default();
    let spec = &resource.spec;
    let undecided = spec.kube_rbac_proxy.is_none()
        && spec.oauth_proxy.is_none()
        && spec.istio.is_none()
        && spec.authentication.is_none();
    if undecided && capabilities.is_unsure(ROUTE) {
        return Err(Error::PlatformUnknown);
    }
    if spec.istio.is_some() && MESH.iter().any(|kind| capabilities.is_unsure(*kind)) {
        return Err(Error::MeshUnknown);
    }
    let effective = super::defaults::migrated(spec, platform);
    let is_oauth = effective.oauth_proxy.is_some();
    let asked = references(&effective);

    let mut referenced = BTreeMap::new();
    let mut authorities = None;
    for Reference { holder, key, .. } in &asked {
        if referenced.contains_key(holder) && key.is_some() {
            continue;
        }
        let content = read(holder, inputs).await?;
        if key.is_none() {
            authorities = content.as_ref().map(bundle);
        }
        referenced.insert(holder.clone(), content.map(|content| seen(&content)));
    }

    let proxy = effective.kube_rbac_proxy.as_ref();
    let (certificate, awaited) = certificate(resource, proxy, platform, is_oauth, inputs).await?;
    let trust = trust(resource, &effective, &certificate, inputs).await?;
    let gateway = effective
        .istio
        .as_ref()
        .and_then(|istio| istio.gateway.as_ref());

    Ok(Observation {
        platform,
        domain: domain(&effective, config, inputs).await?,
        referenced,
        authorities,
        certificate,
        awaited,
        trust,
        credentials: wanted_credentials(&name, &effective, inputs).await?,
        postgres: inputs
            .child(
                DEPLOYMENT,
                Some(&namespace),
                &format!("{name}{}", names::POSTGRES),
            )
            .map(|deployment| live_postgres(&deployment)),
        volume: inputs
            .child_as::<PersistentVolumeClaim>(
                PERSISTENT_VOLUME_CLAIM,
                Some(&namespace),
                &format!("{name}{}", names::POSTGRES_STORAGE),
            )
            .map(|claim| live_volume(&claim)),
        namesake: inputs
            .older(resource.meta())
            .map(|namespace| Namesake { namespace }),
        users: users(resource, &namespace, inputs),
        grant: if config.gateway.is_some() && platform.reference_grants {
            grant(
                inputs
                    .get(REFERENCE_GRANT, names::REFERENCE_GRANT)
                    .await?
                    .as_deref(),
            )
        } else {
            Grant::Missing
        },
        cookie: if is_oauth {
            Some(cookie(&name, inputs).await?)
        } else {
            None
        },
        ingress_services: if gateway.is_some() && platform.openshift {
            inputs.landmarks(SERVICE)
        } else {
            Vec::new()
        },
    })
}

fn is_controlled(resource: &ModelRegistry, meta: &kube::core::ObjectMeta) -> bool {
    let mut owners = meta.owner_references.iter().flatten();
    owners.any(|owner| {
        owner.controller == Some(true) && Some(&owner.uid) == resource.meta().uid.as_ref()
    })
}

/// Whom RoleBindings of people give Role `registry-user-NAME`, sorted. Those of our own are in the
/// plan, whose subjects may be others than theirs by now.
fn users<I: Inputs>(resource: &ModelRegistry, namespace: &str, inputs: &I) -> Vec<Subject> {
    let role = format!("{}{}", names::USER_ROLE, resource.name_any());
    let mut subjects: Vec<Subject> = inputs
        .children_as::<RoleBinding>(ROLE_BINDING)
        .into_iter()
        .filter(|binding| binding.metadata.namespace.as_deref() == Some(namespace))
        .filter(|binding| !is_controlled(resource, &binding.metadata))
        .filter(|binding| binding.role_ref.kind == "Role" && binding.role_ref.name == role)
        .flat_map(|binding| binding.subjects.unwrap_or_default())
        .collect();
    subjects.sort_by(|a, b| {
        (&a.kind, &a.namespace, &a.name, &a.api_group).cmp(&(
            &b.kind,
            &b.namespace,
            &b.name,
            &b.api_group,
        ))
    });
    subjects.dedup();
    subjects
}
