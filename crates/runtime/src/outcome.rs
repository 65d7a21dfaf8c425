//! What the writes of one pass did.

use resources::Kind;

/// What the writes of one pass did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Objects that were not there before.
    pub created: Vec<Target>,
    /// Objects that were changed, repaired or taken over.
    pub updated: Vec<Target>,
    /// Objects of an earlier plan that are gone now.
    pub pruned: Vec<Target>,
    /// Names that somebody else's object holds.
    pub foreign: Vec<Target>,
    /// Objects of somebody else, in which a value that was to be shared is set by somebody else.
    /// Nothing of that share was written; it is tried again when the object changes.
    pub contested: Vec<Target>,
    /// Writes that failed.
    pub failed: Vec<Failed>,
    /// The pass ended early because the cluster had changed meanwhile; it is done again at once.
    pub stale: bool,
}

/// An object that was written, or was to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// Kind.
    pub kind: Kind,
    /// Namespace; `None` when cluster-scoped.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// A write that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// Object.
    pub target: Target,
    /// The rule that is missing, as `verb resource.group`, when the server said Forbidden or the
    /// rules known from the start do not allow it.
    pub missing_rule: Option<String>,
    /// The server's sentence. It never holds a Secret's value: the server does not repeat them.
    pub message: String,
}

impl Outcome {
    /// Whether every object of the plan is as planned. A contested value is somebody's choice:
    /// trying again does not help.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.foreign.is_empty() && !self.stale
    }

    /// Whether anything was written.
    #[must_use]
    pub fn changed(&self) -> bool {
        !(self.created.is_empty() && self.updated.is_empty() && self.pruned.is_empty())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}
