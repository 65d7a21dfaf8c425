//! What an operator says about one kind of resource. Everything else is the runtime's.

use std::{fmt::Debug, future::Future, time::Duration};

use jiff::Timestamp;
use kube::{CustomResourceExt, Resource, core::ObjectMeta};
use resources::{Edit, Kind, Plan};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::inputs::Inputs;
use crate::outcome::Outcome;

/// One kind of custom resource and how it becomes objects.
///
/// `observe` reads, `plan` and `status` are pure: the same resource and observation give the
/// same objects, with a cluster or without.
pub trait Component: Send + Sync + 'static {
    /// The custom resource.
    type Resource: CustomResourceExt
        + Resource<DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Serialize
        + Send
        + Sync;
    /// What the plan depends on that is not in the resource.
    type Observation: Send + Sync;
    /// The resource's `status`; `()` where this component writes none.
    type Status: Serialize + Send + Sync;
    /// What can go wrong before anything is written.
    type Error: Failure;

    /// Facts that never change.
    const IDENTITY: Identity;

    /// Every kind that a plan may hold or a status may look at. What is planned, watched and
    /// pruned comes from this one list.
    fn kinds(&self) -> &[Watched];

    /// Kinds, among those, whose objects belong to somebody else and may get a few fields from
    /// plans ([`resources::Share`], [`resources::Edit`]).
    fn shared(&self) -> &[Kind] {
        &[]
    }

    /// Kinds, among those, whose objects are never deleted: they outlive the resource, or go with
    /// it by their owner reference. Whether they are changed as well is not said, so that the right
    /// to is only asked for when it is needed.
    fn undeleted(&self) -> &[Kind] {
        &[]
    }

    /// The names of the objects of this kind that are looked for; empty for all. With names, rights
    /// for these are enough.
    fn only_named(&self, _kind: Kind) -> &'static [&'static str] {
        &[]
    }

    /// Where a resource that is in no namespace looks for what it refers to. One that is in a namespace
    /// looks there.
    fn inputs_namespace(&self) -> Option<&str> {
        None
    }

    /// What any resource may look for by its labels, in every namespace in scope.
    fn landmarks(&self) -> &[Landmark] {
        &[]
    }

    /// Which resource an object belongs to, by its labels or by the kept `part` of it (null when
    /// only metadata is watched). A controller reference is looked at before.
    fn owner(&self, kind: Kind, meta: &ObjectMeta, part: &Value) -> Option<Owner>;

    /// Reads what the plan depends on.
    fn observe<I: Inputs>(
        &self,
        resource: &Self::Resource,
        inputs: &I,
    ) -> impl Future<Output = Result<Self::Observation, Self::Error>> + Send;

    /// The objects that should exist.
    fn plan(
        &self,
        resource: &Self::Resource,
        observation: &Self::Observation,
    ) -> Result<Plan, Self::Error>;

    /// What the user is told.
    fn status<I: Inputs>(
        &self,
        resource: &Self::Resource,
        attempt: &Attempt<'_, Self>,
        inputs: &I,
    ) -> Self::Status;

    /// Whether the resource that is being deleted must stay for now, for others who need it. Then only
    /// its status is written; a change of what is watched asks again.
    fn stays<I: Inputs>(&self, _resource: &Self::Resource, _inputs: &I) -> bool {
        false
    }

    /// What the resource that is being deleted needs until its finalizer goes, when that matters:
    /// this is written, what is not in it is deleted, and the finalizer stays until that is gone.
    fn parting<I: Inputs>(
        &self,
        _resource: &Self::Resource,
        _inputs: &I,
    ) -> impl Future<Output = Result<Option<Plan>, Self::Error>> + Send {
        std::future::ready(Ok(None))
    }

    /// What takes back the edits of earlier plans ([`resources::Edit`]), when the resource goes. What
    /// was shared is taken back without being asked for.
    fn undo<I: Inputs>(
        &self,
        _resource: &Self::Resource,
        _inputs: &I,
    ) -> impl Future<Output = Result<Vec<Edit>, Self::Error>> + Send {
        std::future::ready(Ok(Vec::new()))
    }

    /// A spec that every rule of the definition lets pass. A resource that is being deleted gets it
    /// where the API server refuses its end, because it was stored before a rule that it breaks.
    fn passing_spec(&self) -> Option<Value> {
        None
    }

    /// When the plan changes without any event: a certificate's renewal.
    fn due(&self, _observation: &Self::Observation) -> Option<Timestamp> {
        None
    }

    /// Events for people that a pass makes. `attempt` says what was written and what failed.
    fn events(&self, _resource: &Self::Resource, _attempt: &Attempt<'_, Self>) -> Vec<Note> {
        Vec::new()
    }

    /// The last event, before the finalizer goes.
    fn farewell(&self, _resource: &Self::Resource) -> Option<Note> {
        None
    }
}

/// Facts about a component that the runtime needs.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Name in metrics, logs and events: `modelregistry`.
    pub name: &'static str,
    /// Controller name in events, as the Go operator reports it.
    pub reporter: &'static str,
    /// Field manager of every apply.
    pub field_manager: &'static str,
    /// Managers whose fields become ours when their object is taken over.
    pub predecessors: &'static [&'static str],
    /// Finalizer on the resource; empty for none, where all that it makes goes by its owner
    /// references.
    pub finalizer: &'static str,
    /// Annotation that stops a resource when its value is `paused`.
    pub pause_annotation: &'static str,
}

/// A kind that a component plans or looks at.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// The kind.
    pub kind: Kind,
    /// Label selector of the watch; empty for all objects.
    pub selector: &'static str,
    /// How much of an object is kept in memory.
    pub detail: Detail,
    /// Whether plans may hold it: what is not owned is never written and never pruned.
    pub owned: bool,
    /// The API may be missing; it is used when it appears.
    pub optional: bool,
}

impl Watched {
    /// A kind that plans hold, of which metadata is kept.
    #[must_use]
    pub const fn owned(kind: Kind, selector: &'static str) -> Self {
        Self {
            kind,
            selector,
            detail: Detail::Metadata,
            owned: true,
            optional: false,
        }
    }

    /// A kind that is only looked at.
    #[must_use]
    pub const fn seen(kind: Kind, selector: &'static str) -> Self {
        Self {
            owned: false,
            ..Self::owned(kind, selector)
        }
    }

    /// The API may be missing.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self {
            optional: true,
            ..self
        }
    }

    /// These members are kept, and no others: see [`Detail::Fields`].
    #[must_use]
    pub const fn keeping(self, fields: &'static [&'static str]) -> Self {
        Self {
            detail: Detail::Fields(fields),
            ..self
        }
    }
}

/// Objects of somebody else that resources of every namespace depend on: the Service of an
/// ingress gateway, the ConfigMap with an installation's settings.
#[derive(Clone, Copy, Debug)]
pub struct Landmark {
    /// The kind.
    pub kind: Kind,
    /// Which objects of it.
    pub which: Which,
    /// They are followed while the cluster serves this kind, and without it nobody asks for them.
    /// `None`: always.
    pub with: Option<Kind>,
    /// The members named by these JSON pointers, which are kept beside name and labels.
    pub kept: &'static [&'static str],
}

/// Which objects are landmarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those with a label of this key, whatever its value.
    Labelled(&'static str),
    /// Those of this name, in any namespace.
    Named(&'static str),
}

/// How much of a watched object is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Metadata: enough to see drift and deletion.
    Metadata,
    /// The members named by these JSON pointers beside `metadata` without managed fields,
    /// for the status. `""` keeps all.
    Fields(&'static [&'static str]),
}

/// The resource that an object belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Namespace of the resource; `None` where the labels do not say: every resource of the name.
    pub namespace: Option<String>,
    /// Name of the resource; empty for every resource of the namespace.
    pub name: String,
}

impl Owner {
    /// Every resource of this namespace: for objects that matter to all of them.
    #[must_use]
    pub fn everyone_in(namespace: String) -> Self {
        Self {
            namespace: Some(namespace),
            name: String::new(),
        }
    }
}

/// One pass over a resource, as far as it came.
#[derive(Debug)]
pub struct Attempt<'a, C: Component + ?Sized> {
    /// What was read.
    pub observation: Option<&'a C::Observation>,
    /// What was planned.
    pub plan: Option<&'a Plan>,
    /// Why it ended before anything was written.
    pub failure: Option<&'a C::Error>,
    /// What the writes did.
    pub outcome: &'a Outcome,
    /// The annotation stops this resource.
    pub paused: bool,
    /// Rules that the operator's service account lacks, as `verb resource.group`.
    pub missing_rules: &'a [String],
    /// Time of this pass.
    pub now: Timestamp,
}

/// An error of observe, validate or plan.
pub trait Failure: std::error::Error + Send + Sync + 'static {
    /// Reason of the condition and the event, and label of the metric: CamelCase.
    fn reason(&self) -> &'static str;

    /// What happens next.
    fn next(&self) -> Next;
}

/// What happens after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing until something changes: the user's turn.
    Wait,
    /// Again after a while, growing with jitter up to a cap.
    Retry,
    /// Again at this distance.
    After(Duration),
}

/// An event for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// `Warning` instead of `Normal`.
    pub warning: bool,
    /// CamelCase reason.
    pub reason: &'static str,
    /// What was being done: CamelCase verb.
    pub action: &'static str,
    /// The sentence.
    pub message: String,
}
