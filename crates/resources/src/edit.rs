//! Changes of objects that belong to somebody else, where owning fields says too little: an item
//! of a list that is one string, or a value that goes back to what it was.

use serde_json::Value;

use crate::kind::Kind;

/// A change of an object that somebody else made and keeps. The object is read, changed and written
/// at the version that was read, so that nothing of anybody is lost.
///
/// A plan holds an edit only while the object is not as it should be: each one costs a read.
#[derive(Clone, Debug)]
pub struct Edit {
    /// Kind, which the component must have declared as watched, as shared or as owned.
    pub kind: Kind,
    /// Namespace, `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// uid of the object that is meant: another one of the same name is left alone.
    pub uid: String,
    /// What is asked for, in words of `change`.
    pub wanted: Value,
    /// What the object needs for that. It is asked again when somebody else was faster.
    pub change: fn(live: &Value, wanted: &Value) -> Change,
}

/// What an object needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It is as it should be.
    Nothing,
    /// This JSON merge patch.
    Merge(Value),
    /// It goes: it was made for us, and nobody else put anything into it.
    Delete,
}

impl PartialEq for Edit {
    /// What is asked for, of which object. Each `change` has words of its own.
    fn eq(&self, other: &Self) -> bool {
        (&self.kind, &self.namespace, &self.name) == (&other.kind, &other.namespace, &other.name)
            && self.uid == other.uid
            && self.wanted == other.wanted
    }
}
