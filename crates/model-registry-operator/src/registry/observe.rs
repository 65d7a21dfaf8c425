//! What the plan depends on that is not in the resource.
//!
//! Everything that is not a pure function of the resource happens here: reads, the choice of a
//! password and of a serving certificate. What is kept of a Secret are digests and the verdict
//! about characters; a value is only kept where an object of the plan holds it.

use std::collections::{BTreeMap, BTreeSet};

use api::modelregistry::v1beta1::ModelRegistry;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Secret};
use k8s_openapi::api::rbac::v1::{RoleBinding, Subject};
use kube::{Resource, ResourceExt};
use resources::certificates::{self, Fresh, Serving};
use resources::kind::{
    CONFIG_MAP, DEPLOYMENT, GROUP, HTTP_ROUTE, INGRESS_CONFIG, PERSISTENT_VOLUME_CLAIM,
    REFERENCE_GRANT, ROLE_BINDING, ROUTE, SECRET,
};
use resources::{Kind, Precondition};
use runtime::Capabilities;
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::config::Config;
use super::error::Error;
use super::names;
use super::references::{Holder, Reference, references};

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
    /// Secret of the generated Postgres.
    pub credentials: Option<Credentials>,
    /// Deployment of the generated Postgres as it is.
    pub postgres: Option<LivePostgres>,
    /// Volume of the generated Postgres as it is.
    pub volume: Option<LiveVolume>,
    /// An older registry of the same name, whose objects ours would fight with.
    pub namesake: Option<Namesake>,
    /// Whom RoleBindings give Role `registry-user-NAME`.
    pub users: Vec<Subject>,
    /// The ReferenceGrant that registries of a namespace share, as it is.
    pub grant: Grant,
}

/// What the cluster offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one API that is there or not"
)]
pub struct Platform {
    /// The Route API: this is OpenShift.
    pub openshift: bool,
    /// OpenShift's Group API. It is missing where identities come from elsewhere.
    pub groups: bool,
    /// Gateway API's HTTPRoute.
    pub http_routes: bool,
    /// Gateway API's ReferenceGrant.
    pub reference_grants: bool,
}

/// A referenced Secret or ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is known of each key.
    pub keys: BTreeMap<String, Entry>,
}

/// The value of a key, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// SHA-256 of the value.
    pub digest: [u8; 32],
    /// What makes the value useless in places.
    pub oddity: Option<Oddity>,
}

/// What makes a value useless in places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oddity {
    /// It is empty.
    Empty,
    /// It is not UTF-8, which no environment variable can hold.
    NotText,
    /// It has a NUL, which no environment variable can hold.
    Nul,
    /// It has a question mark, which ends the address for the server's MySQL parser.
    QuestionMark,
}

/// Where the proxy's certificate comes from, when the resource names none.
#[derive(Clone, Debug, PartialEq)]
pub enum Certificate {
    /// Nobody needs one, or the resource names it.
    Named,
    /// Somebody made Secret `NAME-kube-rbac-proxy`.
    Given,
    /// Secret `NAME-oauth-proxy`, of the time of the OAuth proxy.
    OldProxy,
    /// OpenShift makes Secret `NAME-kube-rbac-proxy`.
    ServiceCa,
    /// The operator makes Secret `NAME-kube-rbac-proxy`.
    Own {
        /// What serves and what clients trust.
        serving: Serving,
        /// What must hold for the Secret to be written.
        precondition: Precondition,
    },
}

/// User and password of the generated Postgres.
#[derive(Clone)]
pub struct Credentials {
    /// `data` of the Secret.
    pub data: BTreeMap<String, ByteString>,
    /// What must hold for the Secret to be written.
    pub precondition: Precondition,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("precondition", &self.precondition)
            .finish_non_exhaustive()
    }
}

/// Deployment of the generated Postgres as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivePostgres {
    /// Hash of the credentials that the pods were first made with.
    pub baseline: Option<String>,
    /// Group of its volumes.
    pub fs_group: Option<i64>,
}

/// Volume of the generated Postgres as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveVolume {
    /// Size asked for.
    pub size: Option<String>,
    /// Its storage class.
    pub storage_class: Option<String>,
    /// We asked for the storage class, and so own the field.
    pub class_is_ours: bool,
}

/// An older registry of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namesake {
    /// Its namespace.
    pub namespace: String,
}

/// The ReferenceGrant that registries of a namespace share.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Grant {
    /// There is none.
    #[default]
    Missing,
    /// It belongs to registries, by owner references; or the Go operator made it, without any.
    Shared {
        /// Who owns it.
        owners: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>,
        /// Version that was read.
        version: String,
    },
    /// It belongs to nobody: an administrator made it.
    Given,
}

impl Platform {
    /// What these capabilities mean for a registry.
    #[must_use]
    pub fn of(capabilities: &Capabilities) -> Self {
        Self {
            openshift: capabilities.has(ROUTE),
            groups: capabilities.has(GROUP),
            http_routes: capabilities.has(HTTP_ROUTE),
            reference_grants: capabilities.has(REFERENCE_GRANT),
        }
    }
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
            credentials: None,
            postgres: None,
            volume: None,
            namesake: None,
            users: Vec::new(),
            grant: Grant::default(),
        }
    }

    /// When the plan changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match &self.certificate {
            Certificate::Own { serving, .. } => Some(serving.due),
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
    let effective = super::defaults::migrated(spec, platform);
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
    let certificate = match proxy {
        Some(proxy) if proxy.tls_certificate_secret.is_none() && proxy.tls_key_secret.is_none() => {
            certificate(resource, platform, inputs).await?
        }
        _ => Certificate::Named,
    };
    let domain = match (&config.default_domain, proxy) {
        (Some(domain), _) => Some(domain.clone()),
        (None, Some(proxy)) if proxy.domain.as_deref().unwrap_or_default().is_empty() => {
            cluster_domain(inputs).await?
        }
        _ => None,
    };

    let postgres = effective.postgres.as_ref();
    let credentials_name = format!("{name}{}", names::POSTGRES_CREDENTIALS);
    let credentials = if postgres.is_some_and(api::modelregistry::v1beta1::Postgres::is_generated) {
        Some(credentials(
            inputs.get(SECRET, &credentials_name).await?.as_deref(),
        )?)
    } else if postgres.and_then(|p| p.deletion_policy) == Some(api::common::DeletionPolicy::Retain)
    {
        match inputs.get(SECRET, &credentials_name).await? {
            Some(secret) => Some(credentials(Some(&secret))?),
            None => None,
        }
    } else {
        None
    };

    Ok(Observation {
        platform,
        domain: domain.filter(|domain| !domain.is_empty()),
        referenced,
        authorities,
        certificate,
        credentials,
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
        namesake: older_namesake(resource, inputs),
        users: users(&name, &namespace, inputs),
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
    })
}

/// `data` of a referenced Secret or ConfigMap.
async fn read<I: Inputs>(
    holder: &Holder,
    inputs: &I,
) -> Result<Option<BTreeMap<String, ByteString>>, InputError> {
    let kind = holder.kind();
    let Some(value) = inputs.get(kind, holder.name()).await? else {
        return Ok(None);
    };
    Ok(Some(data(kind, &value)))
}

/// `data` of a Secret or ConfigMap as it was read.
pub(crate) fn data(kind: Kind, value: &Value) -> BTreeMap<String, ByteString> {
    if kind == CONFIG_MAP {
        let map: ConfigMap = serde_json::from_value(value.clone()).unwrap_or_default();
        let text = map
            .data
            .into_iter()
            .flatten()
            .map(|(k, v)| (k, ByteString(v.into_bytes())));
        text.chain(map.binary_data.into_iter().flatten()).collect()
    } else {
        let secret: Secret = serde_json::from_value(value.clone()).unwrap_or_default();
        // `stringData` is only there in a document that no API server has seen.
        let text = secret
            .string_data
            .into_iter()
            .flatten()
            .map(|(k, v)| (k, ByteString(v.into_bytes())));
        secret.data.into_iter().flatten().chain(text).collect()
    }
}

fn seen(data: &BTreeMap<String, ByteString>) -> Seen {
    let keys = data.iter().map(|(key, ByteString(value))| {
        (
            key.clone(),
            Entry {
                digest: Sha256::digest(value).into(),
                oddity: oddity(value),
            },
        )
    });
    Seen {
        keys: keys.collect(),
    }
}

fn oddity(value: &[u8]) -> Option<Oddity> {
    if value.is_empty() {
        Some(Oddity::Empty)
    } else if value.contains(&0) {
        Some(Oddity::Nul)
    } else if std::str::from_utf8(value).is_err() {
        Some(Oddity::NotText)
    } else if value.contains(&b'?') {
        Some(Oddity::QuestionMark)
    } else {
        None
    }
}

/// All certificates in the values, in the order of the keys. Nothing else: a Secret may hold
/// private keys beside them.
fn bundle(data: &BTreeMap<String, ByteString>) -> String {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let mut bundle = String::new();
    for ByteString(value) in data.values() {
        let text = String::from_utf8_lossy(value);
        for block in text.split(BEGIN).skip(1) {
            if let Some((body, _)) = block.split_once(END) {
                bundle.extend([BEGIN, body, END, "\n"]);
            }
        }
    }
    bundle
}

/// Where the certificate comes from, when the resource names none.
async fn certificate<I: Inputs>(
    resource: &ModelRegistry,
    platform: Platform,
    inputs: &I,
) -> Result<Certificate, Error> {
    let name = resource.name_any();
    let live = inputs
        .get(SECRET, &format!("{name}{}", names::PROXY))
        .await?;
    if live.is_none() {
        let old = inputs
            .get(SECRET, &format!("{name}{}", names::OLD_PROXY))
            .await?;
        if old.is_some_and(|secret| !made_by_service_ca(&secret)) {
            return Ok(Certificate::OldProxy);
        }
    }
    if platform.openshift {
        return Ok(Certificate::ServiceCa);
    }
    if live
        .as_ref()
        .is_some_and(|secret| !owned_by(resource, secret))
    {
        return Ok(Certificate::Given);
    }
    let existing = live.as_ref().map(|secret| data(SECRET, secret));
    let namespace = resource.namespace().unwrap_or_default();
    let hosts = BTreeSet::from([
        name.clone(),
        format!("{name}.{namespace}"),
        format!("{name}.{namespace}.svc"),
        format!("{name}.{namespace}.svc.cluster.local"),
    ]);
    let serving = certificates::advance(existing.as_ref(), &hosts, inputs.now(), &Fresh)
        .map_err(|error| Error::Certificate(error.to_string()))?;
    Ok(Certificate::Own {
        serving,
        precondition: precondition(live.as_deref()),
    })
}

/// OpenShift's service CA renews its Secrets as long as the Service asks for them.
pub(crate) fn made_by_service_ca(secret: &Value) -> bool {
    [
        "/metadata/annotations/service.beta.openshift.io~1originating-service-name",
        "/metadata/annotations/service.alpha.openshift.io~1originating-service-name",
    ]
    .iter()
    .any(|pointer| secret.pointer(pointer).is_some())
}

fn owned_by(resource: &ModelRegistry, object: &Value) -> bool {
    let owners = object
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    owners.into_iter().flatten().any(|owner| {
        owner.get("uid").and_then(Value::as_str) == resource.meta().uid.as_deref()
            && owner.get("controller").and_then(Value::as_bool) == Some(true)
    })
}

pub(crate) fn precondition(live: Option<&Value>) -> Precondition {
    live.map_or(Precondition::Absent, |live| {
        live.pointer("/metadata/resourceVersion")
            .and_then(Value::as_str)
            .map_or(Precondition::None, |version| {
                Precondition::Version(version.to_owned())
            })
    })
}

/// The Secret as it is, with what is missing in it.
fn credentials(live: Option<&Value>) -> Result<Credentials, Error> {
    let mut data = live.map(|live| data(SECRET, live)).unwrap_or_default();
    data.retain(|_, ByteString(value)| !value.is_empty());
    if !data.contains_key(names::PASSWORD) {
        data.insert(names::PASSWORD.into(), ByteString(password()?.into_bytes()));
    }
    data.entry(names::USERNAME.into())
        .or_insert_with(|| ByteString(names::GENERATED_USER.as_bytes().to_vec()));
    Ok(Credentials {
        data,
        precondition: precondition(live),
    })
}

/// 128 random bits in the form that the Go operator gives them.
pub(crate) fn password() -> Result<String, Error> {
    use base64::Engine as _;
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Random(error.to_string()))?;
    Ok(base64::engine::general_purpose::URL_SAFE.encode(bytes))
}

fn live_postgres(deployment: &Value) -> LivePostgres {
    LivePostgres {
        baseline: deployment
            .pointer("/metadata/annotations")
            .and_then(|annotations| annotations.get(names::CREDENTIALS_BASELINE))
            .and_then(Value::as_str)
            .map(str::to_owned),
        fs_group: deployment
            .pointer("/spec/template/spec/securityContext/fsGroup")
            .and_then(Value::as_i64),
    }
}

fn live_volume(claim: &PersistentVolumeClaim) -> LiveVolume {
    let spec = claim.spec.as_ref();
    let requests = spec
        .and_then(|s| s.resources.as_ref())
        .and_then(|r| r.requests.as_ref());
    LiveVolume {
        size: requests
            .and_then(|r| r.get("storage"))
            .map(|size| size.0.clone()),
        storage_class: spec.and_then(|s| s.storage_class_name.clone()),
        class_is_ours: claim.annotations().contains_key(names::STORAGE_CLASS),
    }
}

/// The oldest registry of the name, by creation and then by uid, when it is not `resource`.
fn older_namesake<I: Inputs>(resource: &ModelRegistry, inputs: &I) -> Option<Namesake> {
    let age = |meta: &kube::core::ObjectMeta| {
        (
            meta.creation_timestamp.clone().map(|time| time.0),
            meta.uid.clone(),
        )
    };
    let own = age(resource.meta());
    // Without a creation time the resource is not in a cluster: then every other is older.
    inputs
        .namesakes(&resource.name_any())
        .into_iter()
        .filter(|other| {
            other.uid != resource.meta().uid || other.namespace != resource.meta().namespace
        })
        .filter(|other| own.0.is_none() || age(other) < own)
        .min_by_key(|other| age(other))
        .map(|other| Namesake {
            namespace: other.namespace.unwrap_or_default(),
        })
}

/// Whom RoleBindings give Role `registry-user-NAME`, sorted.
fn users<I: Inputs>(name: &str, namespace: &str, inputs: &I) -> Vec<Subject> {
    let role = format!("{}{name}", names::USER_ROLE);
    let mut subjects: Vec<Subject> = inputs
        .children_as::<RoleBinding>(ROLE_BINDING)
        .into_iter()
        .filter(|binding| binding.metadata.namespace.as_deref() == Some(namespace))
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

pub(crate) fn grant(live: Option<&Value>) -> Grant {
    let Some(live) = live else {
        return Grant::Missing;
    };
    let owners = live
        .pointer("/metadata/ownerReferences")
        .cloned()
        .and_then(|owners| serde_json::from_value::<Vec<_>>(owners).ok())
        .unwrap_or_default();
    let maker = live.pointer("/metadata/labels/app.kubernetes.io~1created-by");
    // The Go operator's has no owner either, and its label.
    if owners.is_empty() && maker.and_then(Value::as_str) != Some("model-registry-operator") {
        return Grant::Given;
    }
    let version = live
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    Grant::Shared {
        owners,
        version: version.to_owned(),
    }
}

/// OpenShift's domain for applications: the administrator's, else the installer's.
pub(crate) async fn cluster_domain<I: Inputs>(inputs: &I) -> Result<Option<String>, InputError> {
    if !inputs.capabilities().has(INGRESS_CONFIG) {
        return Ok(None);
    }
    let ingress = match inputs.get(INGRESS_CONFIG, "cluster").await {
        Ok(ingress) => ingress,
        // Not a right that registries stand or fall with: there is just no external host name.
        Err(InputError::Forbidden { .. }) => None,
        Err(error) => return Err(error),
    };
    let field = |pointer: &str| {
        ingress
            .as_ref()
            .and_then(|i| i.pointer(pointer))
            .and_then(Value::as_str)
            .filter(|d| !d.is_empty())
    };
    Ok(field("/spec/appsDomain")
        .or_else(|| field("/spec/domain"))
        .map(str::to_owned))
}
