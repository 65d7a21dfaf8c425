//! What should exist: the objects that a resource becomes.

use std::collections::{BTreeMap, BTreeSet};

use kube::ResourceExt;
use serde::Serialize;
use serde_json::Value;

use crate::edit::Edit;
use crate::kind::{
    AUTH_CONFIG, AUTHORIZATION_POLICY, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, CONFIG_MAP, DEFINITION,
    GROUP, Kind, NAMESPACE, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, ROLE, ROLE_BINDING, SECRET,
    SERVICE, SERVICE_ACCOUNT, Scope,
};
use crate::share::Share;

/// Objects that a resource becomes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    objects: Vec<Planned>,
    keep: BTreeSet<(&'static str, String, String)>,
    shares: Vec<Share>,
    edits: Vec<Edit>,
    retired: Vec<Retired>,
}

/// An object of an earlier time that nobody needs any more.
#[derive(Clone, Debug, PartialEq)]
pub struct Retired {
    /// Kind, which the component must have declared.
    pub kind: Kind,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels by which it is known to be ours. Without them it stays.
    pub identity: BTreeMap<String, String>,
}

/// What a name that is taken by somebody else's object means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// The resource cannot work without its own object: a condition and an event say so.
    #[default]
    Report,
    /// The other object serves as well (a Group that an administrator made): it is used as it is.
    Use,
}

/// Whether an object that is not ours becomes ours. Its owners are replaced then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Adoption {
    /// It does not.
    #[default]
    Never,
    /// When it carries the labels of ours: something else made it at an earlier time.
    Labelled,
    /// Whatever it is: somebody prepared it for us.
    Any,
}

/// What must hold in the cluster for this object to be written.
///
/// Content that comes from the cluster itself (a password that was read before) is only
/// written over the version that it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there.
    #[default]
    None,
    /// Nothing of this name: otherwise observe again.
    Absent,
    /// The object at this resource version: otherwise observe again.
    Version(String),
}

/// One object of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    /// Kind, which the component must have declared.
    pub kind: Kind,
    /// Namespace, `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Labels by which an object of this name without an owner reference is known to be ours.
    /// Empty: only an owner reference to the resource makes it ours.
    pub identity: BTreeMap<String, String>,
    /// Whether an object of this name that is not ours becomes ours.
    pub adoption: Adoption,
    /// What an object of somebody else under this name means.
    pub foreign: Foreign,
    /// What must hold for the write.
    pub precondition: Precondition,
    /// Objects of earlier waves, by kind and name, that this one is not written without: what
    /// they guard would be open.
    pub after: Vec<(Kind, String)>,
    /// The whole object as it is sent, with `apiVersion` and `kind`, without nulls.
    pub body: Value,
}

/// A plan that cannot be written down. These are mistakes in a builder, found by its tests.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The object does not serialise.
    #[error("{kind} cannot be written as JSON: {source}")]
    Json {
        /// Kind of the object.
        kind: &'static str,
        /// Cause.
        source: serde_json::Error,
    },
    /// Something in the object cannot be written down.
    #[error("{kind} {name} cannot be written: {message}")]
    Content {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Cause.
        message: String,
    },
    /// The object has no name, or has no namespace where its kind needs one.
    #[error("{kind} {name:?} has no name, or a namespace that its scope does not allow")]
    Address {
        /// Kind of the object.
        kind: &'static str,
        /// Its name, maybe empty.
        name: String,
    },
}

impl Planned {
    /// An object of `kind`.
    pub fn new<K: Serialize + ResourceExt>(kind: Kind, object: &K) -> Result<Self, PlanError> {
        let mut body = serde_json::to_value(object).map_err(|source| PlanError::Json {
            kind: kind.kind,
            source,
        })?;
        strip_nulls(&mut body);
        if let Value::Object(map) = &mut body {
            map.insert("apiVersion".into(), kind.api_version().into());
            map.insert("kind".into(), kind.kind.into());
        }
        let name = object.meta().name.clone().unwrap_or_default();
        let namespace = object.namespace();
        if name.is_empty() || namespace.is_some() != (kind.scope == Scope::Namespaced) {
            return Err(PlanError::Address {
                kind: kind.kind,
                name,
            });
        }
        Ok(Self {
            kind,
            namespace,
            name,
            identity: BTreeMap::new(),
            adoption: Adoption::default(),
            foreign: Foreign::default(),
            precondition: Precondition::default(),
            after: Vec::new(),
            body,
        })
    }

    /// Ours without an owner reference when it carries these labels.
    #[must_use]
    pub fn identified_by<'a>(
        mut self,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        self.identity = labels
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect();
        self
    }

    /// Whether an object of this name that is not ours becomes ours. The labels of
    /// [`Planned::identified_by`] must not be empty then.
    #[must_use]
    pub fn adopting(mut self, adoption: Adoption) -> Self {
        self.adoption = adoption;
        self
    }

    /// Somebody else's object under this name is used as it is.
    #[must_use]
    pub fn use_foreign(mut self) -> Self {
        self.foreign = Foreign::Use;
        self
    }

    /// Not written in a pass that could not write this object of an earlier wave.
    #[must_use]
    pub fn after(mut self, kind: Kind, name: &str) -> Self {
        self.after.push((kind, name.to_owned()));
        self
    }

    /// Written only when `precondition` holds.
    #[must_use]
    pub fn only_if(mut self, precondition: Precondition) -> Self {
        self.precondition = precondition;
        self
    }
}

impl Plan {
    /// Adds an object. Within a wave, the order of calls is the order of writes.
    pub fn push(&mut self, object: Planned) {
        self.objects.push(object);
    }

    /// An object that is neither written nor pruned: it holds data that outlives its use.
    pub fn keep(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.keep
            .insert((kind.kind, namespace.to_owned(), name.to_owned()));
    }

    /// Adds fields of somebody else's object.
    pub fn share(&mut self, share: Share) {
        self.shares.push(share);
    }

    /// Fields of somebody else's objects.
    #[must_use]
    pub fn shares(&self) -> &[Share] {
        &self.shares
    }

    /// Adds a change of somebody else's object. It is made after all writes.
    pub fn edit(&mut self, edit: Edit) {
        self.edits.push(edit);
    }

    /// Changes of somebody else's objects.
    #[must_use]
    pub fn edits(&self) -> &[Edit] {
        &self.edits
    }

    /// An object that goes when it carries these labels, whoever owns it.
    pub fn retire<'a>(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
        labels: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) {
        self.retired.push(Retired {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: labels
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .collect(),
        });
    }

    /// Objects of an earlier time that go.
    #[must_use]
    pub fn retired(&self) -> &[Retired] {
        &self.retired
    }

    /// Lets owners go before their objects of APIs that are not the API server's own: such an API may
    /// fail for good, and would hold up the deletion in the foreground.
    pub fn free_owners(&mut self) {
        let objects = self.objects.iter_mut();
        for object in objects.filter(|object| !object.kind.is_built_in()) {
            unblock(&mut object.body);
        }
    }

    /// Objects, in order.
    #[must_use]
    pub fn objects(&self) -> &[Planned] {
        &self.objects
    }

    /// Objects that may be written side by side, wave after wave: bindings need their roles, and
    /// what runs or leads to what runs comes last.
    pub fn waves(&self) -> impl Iterator<Item = Vec<&Planned>> {
        (0..WAVES).map(|wave| {
            self.objects
                .iter()
                .filter(|o| wave_of(o.kind) == wave)
                .collect()
        })
    }

    /// Whether the object is part of the plan, written or kept, in whatever version.
    #[must_use]
    pub fn has(&self, kind: Kind, namespace: Option<&str>, name: &str) -> bool {
        let is = |o: &Planned| o.kind.is_version_of(&kind) && o.name == name;
        self.objects
            .iter()
            .any(|o| is(o) && o.namespace.as_deref() == namespace)
            || self.keep.contains(&(
                kind.kind,
                namespace.unwrap_or_default().to_owned(),
                name.to_owned(),
            ))
    }

    /// The planned object of this kind and name.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Planned> {
        self.objects
            .iter()
            .find(|o| o.kind == kind && o.name == name)
    }
}

const WAVES: u8 = 4;

/// When a kind is written. The server refuses a binding whose role it does not know, pods start
/// with what is there, and routes lead to services. What is random is in Secrets: once they are
/// written, whoever goes on after a crash makes the same of them, a ConfigMap with a certificate's
/// authority for one.
fn wave_of(kind: Kind) -> u8 {
    match kind {
        NAMESPACE | DEFINITION => 0,
        SERVICE_ACCOUNT
        | SECRET
        | PERSISTENT_VOLUME_CLAIM
        | SERVICE
        | NETWORK_POLICY
        | AUTHORIZATION_POLICY
        | AUTH_CONFIG
        | ROLE
        | CLUSTER_ROLE
        | GROUP => 1,
        CONFIG_MAP | ROLE_BINDING | CLUSTER_ROLE_BINDING => 2,
        _ => 3,
    }
}

/// Takes from owner references that their owners wait for this object.
fn unblock(body: &mut Value) {
    let owners = body.pointer_mut("/metadata/ownerReferences");
    for owner in owners.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(owner) = owner.as_object_mut() {
            owner.remove("blockOwnerDeletion");
        }
    }
}

/// Removes nulls: in an apply they would ask for a field to be owned and empty.
fn strip_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, v| !v.is_null());
            map.values_mut().for_each(strip_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(strip_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
    use kube::core::ObjectMeta;
    use serde_json::json;

    use super::*;
    use crate::kind::{DEPLOYMENT, ROLE, ROLE_BINDING, ROUTE, SECRET, SERVICE_ACCOUNT};

    fn account(name: &str, namespace: Option<&str>) -> ServiceAccount {
        ServiceAccount {
            metadata: ObjectMeta {
                name: Some(name.into()),
                namespace: namespace.map(Into::into),
                ..ObjectMeta::default()
            },
            ..ServiceAccount::default()
        }
    }

    #[test]
    fn body_has_its_type_and_no_nulls() {
        let planned = Planned::new(SERVICE_ACCOUNT, &account("a", Some("ns"))).unwrap();
        assert_eq!(
            planned.body,
            json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a", "namespace": "ns"}})
        );
    }

    #[test]
    fn only_what_the_api_server_itself_serves_blocks_its_owner() {
        let blocks = |kind| {
            let object: kube::core::DynamicObject = serde_json::from_value(json!({
                "metadata": {"name": "a", "namespace": "ns", "ownerReferences": [{
                    "apiVersion": "v1", "kind": "Owner", "name": "o", "uid": "u",
                    "controller": true, "blockOwnerDeletion": true,
                }]},
            }))
            .unwrap();
            let mut plan = Plan::default();
            plan.push(Planned::new(kind, &object).unwrap());
            plan.free_owners();
            let owner = &plan.objects()[0].body["metadata"]["ownerReferences"][0];
            assert_eq!(owner["controller"], true);
            owner.get("blockOwnerDeletion").is_some()
        };
        assert!(blocks(DEPLOYMENT) && blocks(ROLE) && blocks(SECRET));
        assert!(!blocks(ROUTE));
    }

    #[test]
    fn an_address_that_the_scope_does_not_allow_is_an_error() {
        assert!(matches!(
            Planned::new(SERVICE_ACCOUNT, &account("a", None)),
            Err(PlanError::Address { .. })
        ));
        assert!(matches!(
            Planned::new(SECRET, &Secret::default()),
            Err(PlanError::Address { .. })
        ));
    }

    #[test]
    fn every_object_is_in_one_wave_and_identities_come_first() {
        let mut plan = Plan::default();
        let named = |kind: Kind| Planned {
            kind,
            ..Planned::new(SERVICE_ACCOUNT, &account("a", Some("ns"))).unwrap()
        };
        for kind in [DEPLOYMENT, ROLE_BINDING, ROLE, ROUTE, SERVICE_ACCOUNT] {
            plan.push(named(kind));
        }
        let waves: Vec<Vec<Kind>> = plan
            .waves()
            .map(|wave| wave.iter().map(|object| object.kind).collect())
            .collect();
        let expected: [&[Kind]; 4] = [
            &[],
            &[ROLE, SERVICE_ACCOUNT],
            &[ROLE_BINDING],
            &[DEPLOYMENT, ROUTE],
        ];
        assert_eq!(waves, expected);
    }

    #[test]
    fn kept_objects_are_part_of_the_plan() {
        let mut plan = Plan::default();
        plan.push(Planned::new(SERVICE_ACCOUNT, &account("a", Some("ns"))).unwrap());
        plan.keep(SECRET, "ns", "data");
        assert!(plan.has(SERVICE_ACCOUNT, Some("ns"), "a"));
        assert!(plan.has(SECRET, Some("ns"), "data"));
        assert!(!plan.has(SECRET, Some("ns"), "other"));
    }
}
