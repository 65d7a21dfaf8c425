//! What a resource may read: the cluster, or the documents given to `render`.

use std::{future::Future, sync::Arc};

use jiff::Timestamp;
use kube::core::ObjectMeta;
use resources::Kind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::capabilities::Capabilities;
use crate::component::{Failure, Next};

/// What a resource may read, besides itself.
///
/// A namespaced object is only ever read in the resource's own namespace, or where its component
/// says ([`crate::component::Component::inputs_namespace`]). What was read is
/// remembered as a reference: when it changes, the resource is looked at again.
pub trait Inputs: Send + Sync {
    /// An object that the resource refers to; `None` when it is not there.
    fn get(
        &self,
        kind: Kind,
        name: &str,
    ) -> impl Future<Output = Result<Option<Arc<Value>>, InputError>> + Send;

    /// The watched part of an object that belongs to the resource, from memory, as its type.
    fn child_as<K: DeserializeOwned>(
        &self,
        kind: Kind,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<K>;

    /// The watched parts of all objects of `kind` that belong to the resource, by name, as their type.
    fn children_as<K: DeserializeOwned>(&self, kind: Kind) -> Vec<K>;

    /// Metadata of all [`crate::component::Landmark`]s of `kind`, in every namespace in scope, by
    /// namespace and name. When one comes, changes its labels or goes, every resource is looked at.
    fn landmarks(&self, kind: Kind) -> Vec<ObjectMeta>;

    /// The kept part of a [`crate::component::Landmark`], with its metadata.
    fn landmark(&self, kind: Kind, namespace: &str, name: &str) -> Option<Arc<Value>>;

    /// Metadata of all resources of this kind that have this name, in any namespace in scope:
    /// for names that the whole cluster shares.
    fn namesakes(&self, name: &str) -> Vec<ObjectMeta>;

    /// Metadata of the other resources of this kind in the resource's own namespace: for what only
    /// one of them may have. When one goes, or one comes that is no younger, those that asked are
    /// looked at.
    fn neighbours(&self) -> Vec<ObjectMeta>;

    /// Namespace of the oldest resource that has the name of `own`, by creation and then by uid, when
    /// that is another one: it has what the whole cluster shares.
    fn older(&self, own: &ObjectMeta) -> Option<String> {
        let age = |meta: &ObjectMeta| {
            let created = meta.creation_timestamp.clone().map(|time| time.0);
            (created, meta.uid.clone())
        };
        let own_age = age(own);
        self.namesakes(own.name.as_deref().unwrap_or_default())
            .into_iter()
            .filter(|other| other.namespace != own.namespace)
            // Without a creation time the resource is not in a cluster: then every other is older.
            .filter(|other| own_age.0.is_none() || age(other) < own_age)
            .min_by_key(age)
            .map(|other| other.namespace.unwrap_or_default())
    }

    /// What the cluster offers.
    fn capabilities(&self) -> Arc<Capabilities>;

    /// Time of this pass.
    fn now(&self) -> Timestamp;

    /// [`Inputs::child_as`], as it is.
    fn child(&self, kind: Kind, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.child_as(kind, namespace, name)
    }

    /// [`Inputs::children_as`], as they are.
    fn children(&self, kind: Kind) -> Vec<Value> {
        self.children_as(kind)
    }
}

/// An object could not be read. That it does not exist is not an error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum InputError {
    /// The operator may not read it.
    #[error("reading {kind} {name} is forbidden: the operator lacks `get {resource}`")]
    Forbidden {
        /// Kind.
        kind: &'static str,
        /// `plural.group`.
        resource: String,
        /// Name.
        name: String,
    },
    /// The API server did not answer as it should.
    #[error("reading {kind} {name} failed: {message}")]
    Unavailable {
        /// Kind.
        kind: &'static str,
        /// Name.
        name: String,
        /// Its sentence.
        message: String,
    },
}

impl Failure for InputError {
    fn reason(&self) -> &'static str {
        match self {
            Self::Forbidden { .. } => "MissingRights",
            Self::Unavailable { .. } => "ReadFailed",
        }
    }

    /// A missing rule may be granted at any time, and nothing tells us.
    fn next(&self) -> Next {
        Next::Retry
    }
}
