//! What the plan depends on that is not in the resource.

use std::collections::{BTreeMap, BTreeSet};

use api::catalog::v1alpha1::Catalog;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::{Resource, ResourceExt};
use resources::certificates;
use resources::content::{data, precondition};
use resources::kind::{AUTH, CONFIG_MAP, DEPLOYMENT, REFERENCE_GRANT, ROUTE, SECRET};
use resources::names::HostLabel;
use resources::{Precondition, meta};
use runtime::inputs::{InputError, Inputs};
use serde_json::Value;

use super::config::{Config, Database};
use super::error::Error;
use super::{names, sources};
use crate::registry::names::REFERENCE_GRANT as GRANT;
use crate::registry::observe::{
    Certificate, Credentials, Grant, Platform, cluster_domain, grant, password,
};

/// Most characters of the name of a labelled ConfigMap: a volume is called `labeled-NAME`.
const SOURCE_NAME: usize = 55;

/// What the plan depends on that is not in the resource.
#[derive(Clone, Debug)]
pub struct Observation {
    /// What the cluster offers.
    pub platform: Platform,
    /// Domain of external host names.
    pub domain: Option<String>,
    /// Groups whose members administer the platform.
    pub admins: Vec<String>,
    /// Labelled ConfigMaps with sources, sorted.
    pub labelled: Vec<HostLabel>,
    /// Labelled ConfigMaps that are no sources, each with the reason.
    pub ignored: Vec<String>,
    /// The user's own ConfigMaps, in the order of [`names::USER_SOURCES`].
    pub own: Vec<OwnSources>,
    /// Secrets with keys to sources, sorted.
    pub keys: Vec<String>,
    /// Where the proxy's certificate comes from.
    pub certificate: Certificate,
    /// Secret of the database.
    pub credentials: Option<Credentials>,
    /// The Deployments as they are, by name.
    pub live: BTreeMap<&'static str, LiveDeployment>,
    /// Namespace of an older Catalog.
    pub older: Option<String>,
    /// The ReferenceGrant of the namespace, as it is.
    pub grant: Grant,
}

/// One ConfigMap with the user's own sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnSources {
    /// There is none.
    Missing,
    /// It is the user's.
    Given,
    /// It has an entry of an earlier time: this is its content without it.
    Old {
        /// The whole `data`.
        data: BTreeMap<String, String>,
        /// What must hold for it to be written.
        precondition: Precondition,
    },
}

/// A Deployment as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveDeployment {
    /// Hash of the credentials that its pods were first made with.
    pub baseline: Option<String>,
    /// Its pods say that they do not run as root.
    pub restricted: bool,
}

/// Reads what the plan of `resource` depends on.
pub async fn observe<I: Inputs>(
    resource: &Catalog,
    config: &Config,
    inputs: &I,
) -> Result<Observation, Error> {
    let capabilities = inputs.capabilities();
    if capabilities.is_unsure(ROUTE) {
        return Err(Error::PlatformUnknown);
    }
    let platform = Platform::of(&capabilities);
    let namespace = resource.namespace().unwrap_or_default();
    let domain = match &config.shared.default_domain {
        Some(domain) => Some(domain.clone()),
        None => cluster_domain(inputs).await?,
    };
    let mut own = Vec::new();
    for (name, _) in names::USER_SOURCES {
        own.push(own_sources(inputs.get(CONFIG_MAP, name).await?.as_deref()));
    }
    let (labelled, ignored) = labelled(inputs);
    let credentials = match &config.database {
        Some(database) => Some(credentials(
            inputs.get(SECRET, names::POSTGRES).await?.as_deref(),
            database,
        )?),
        None => None,
    };
    let live = [names::CATALOG, names::POSTGRES]
        .into_iter()
        .filter_map(|name| {
            let deployment = inputs.child(DEPLOYMENT, Some(&namespace), name)?;
            Some((name, live(&deployment)))
        });
    Ok(Observation {
        platform,
        domain: domain.filter(|domain| !domain.is_empty()),
        admins: admins(inputs).await?,
        labelled,
        ignored,
        own,
        keys: keys(inputs),
        certificate: certificate(resource, platform, inputs).await?,
        credentials,
        live: live.collect(),
        older: inputs.older(resource.meta()),
        grant: if config.shared.gateway.is_some() && platform.reference_grants {
            grant(inputs.get(REFERENCE_GRANT, GRANT).await?.as_deref())
        } else {
            Grant::Missing
        },
    })
}

impl Observation {
    /// When the plan changes without any event.
    #[must_use]
    pub fn due(&self) -> Option<Timestamp> {
        match &self.certificate {
            Certificate::Own { serving, .. } => Some(serving.due),
            _ => None,
        }
    }
}

/// Groups of the platform's administrators; none where the platform does not say.
async fn admins<I: Inputs>(inputs: &I) -> Result<Vec<String>, InputError> {
    if !inputs.capabilities().has(AUTH) {
        return Ok(Vec::new());
    }
    let auth = match inputs.get(AUTH, "auth").await {
        Ok(auth) => auth,
        // The catalog does not stand or fall with it, and a condition names the missing rule.
        Err(InputError::Forbidden { .. }) => None,
        Err(error) => return Err(error),
    };
    let groups = auth
        .as_ref()
        .and_then(|auth| auth.pointer("/spec/adminGroups"))
        .and_then(Value::as_array);
    let groups: BTreeSet<String> = groups
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .filter(|group| !group.is_empty())
        .map(str::to_owned)
        .collect();
    Ok(groups.into_iter().collect())
}

/// ConfigMaps that somebody labelled as sources: names of those that are, sorted, and sentences
/// about those that are not.
fn labelled<I: Inputs>(inputs: &I) -> (Vec<HostLabel>, Vec<String>) {
    let (mut found, mut ignored) = (Vec::new(), Vec::new());
    for map in inputs.children(CONFIG_MAP) {
        let meta = meta::of(&map);
        let name = meta.name.unwrap_or_default();
        let labels = meta.labels.unwrap_or_default();
        if labels.get(names::SOURCE_LABEL).map(String::as_str) != Some("true") {
            continue;
        }
        let has_key = map
            .get("data")
            .is_some_and(|data| data.get(names::SOURCES_KEY).is_some());
        match HostLabel::parse(&name) {
            _ if !has_key => ignored.push(format!(
                "ConfigMap {name} is no source: it has no key {}; add it or remove label {}",
                names::SOURCES_KEY,
                names::SOURCE_LABEL
            )),
            Ok(label) if name.len() <= SOURCE_NAME => found.push(label),
            _ => ignored.push(format!(
                "ConfigMap {name} is no source: its name must have lower-case letters, digits and \
                 '-' only, and at most {SOURCE_NAME} characters; name it otherwise"
            )),
        }
    }
    found.sort();
    ignored.sort();
    (found, ignored)
}

fn own_sources(live: Option<&Value>) -> OwnSources {
    let Some(live) = live else {
        return OwnSources::Missing;
    };
    let mut data: BTreeMap<String, String> = live
        .get("data")
        .and_then(|data| serde_json::from_value(data.clone()).ok())
        .unwrap_or_default();
    match data
        .get(names::SOURCES_KEY)
        .and_then(|file| sources::without_old_default(file))
    {
        Some(file) => {
            data.insert(names::SOURCES_KEY.to_owned(), file);
            OwnSources::Old {
                data,
                precondition: precondition(Some(live)),
            }
        }
        None => OwnSources::Given,
    }
}

/// Secrets that are labelled as the catalog's and are not made by the operator: keys to sources.
fn keys<I: Inputs>(inputs: &I) -> Vec<String> {
    let mut keys: Vec<String> = inputs
        .children(SECRET)
        .iter()
        .map(meta::of)
        .filter(|meta| {
            let labels = meta.labels.as_ref();
            let component = labels.and_then(|labels| labels.get(names::COMPONENT_LABEL));
            component.is_some_and(|component| component == names::CATALOG)
        })
        .filter_map(|meta| meta.name)
        .filter(|name| name != names::PROXY && name != names::POSTGRES)
        .collect();
    keys.sort();
    keys
}

async fn certificate<I: Inputs>(
    resource: &Catalog,
    platform: Platform,
    inputs: &I,
) -> Result<Certificate, Error> {
    if platform.openshift {
        return Ok(Certificate::ServiceCa);
    }
    let live = inputs.get(SECRET, names::PROXY).await?;
    let is_ours = |secret: &Value| {
        let owners = meta::of(secret).owner_references.unwrap_or_default();
        owners
            .iter()
            .any(|owner| Some(&owner.uid) == resource.meta().uid.as_ref())
    };
    if live.as_deref().is_some_and(|secret| !is_ours(secret)) {
        return Ok(Certificate::Given);
    }
    let namespace = resource.namespace().unwrap_or_default();
    let (serving, precondition) =
        certificates::renew(live.as_deref(), names::CATALOG, &namespace, inputs.now())
            .map_err(|error| Error::Certificate(error.to_string()))?;
    Ok(Certificate::Own {
        serving,
        precondition,
    })
}

/// The Secret as it is, with what is missing in it.
fn credentials(live: Option<&Value>, database: &Database) -> Result<Credentials, Error> {
    let mut content = live.map(|live| data(SECRET, live)).unwrap_or_default();
    content.retain(|_, ByteString(value)| !value.is_empty());
    if !content.contains_key(names::DATABASE_PASSWORD) {
        let password = password().map_err(|error| Error::Password(error.to_string()))?;
        content.insert(
            names::DATABASE_PASSWORD.into(),
            ByteString(password.into_bytes()),
        );
    }
    for (key, value) in [
        (names::DATABASE_NAME, &database.name),
        (names::DATABASE_USER, &database.user),
    ] {
        content
            .entry(key.into())
            .or_insert_with(|| ByteString(value.as_bytes().to_vec()));
    }
    Ok(Credentials {
        data: content,
        precondition: precondition(live),
    })
}

fn live(deployment: &Value) -> LiveDeployment {
    LiveDeployment {
        baseline: meta::of(deployment)
            .annotations
            .and_then(|mut annotations| annotations.remove(names::CREDENTIALS_BASELINE)),
        restricted: deployment
            .pointer("/spec/template/spec/securityContext/runAsNonRoot")
            .and_then(Value::as_bool)
            == Some(true),
    }
}
