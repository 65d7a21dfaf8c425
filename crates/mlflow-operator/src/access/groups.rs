//! The platform's groups, as its Auth lists them.

use serde_json::Value;

use super::error::Error;

/// The platform's groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Groups {
    /// Who may change.
    pub admins: Vec<String>,
    /// Who may see, beside those.
    pub allowed: Vec<String>,
}

impl Groups {
    /// The groups of an Auth. A list that is not there is empty.
    ///
    /// # Errors
    /// A list is none, or holds something else than names.
    pub fn of(auth: &Value) -> Result<Self, Error> {
        Ok(Self {
            admins: list(auth, "adminGroups")?,
            allowed: list(auth, "allowedGroups")?,
        })
    }

    /// Who may see: everybody who is named, once.
    #[must_use]
    pub fn viewers(&self) -> Vec<&str> {
        once(self.allowed.iter().chain(&self.admins))
    }

    /// Who may change, each once.
    #[must_use]
    pub fn editors(&self) -> Vec<&str> {
        once(self.admins.iter())
    }
}

fn list(auth: &Value, name: &str) -> Result<Vec<String>, Error> {
    let wrong = |field: String, value: &Value, wanted| Error::Groups {
        field,
        found: what(value),
        wanted,
    };
    let items = match auth.pointer(&format!("/spec/{name}")) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong(format!("spec.{name}"), other, "a list of groups")),
    };
    let group = |(index, item): (usize, &Value)| match item {
        Value::String(group) => Ok(group.clone()),
        other => Err(wrong(
            format!("spec.{name}[{index}]"),
            other,
            "the name of a group",
        )),
    };
    items.iter().enumerate().map(group).collect()
}

/// In their order, each once. A subject without a name would be refused with the whole binding.
fn once<'a>(groups: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    let mut all: Vec<&str> = Vec::new();
    for group in groups {
        if !group.is_empty() && !all.contains(&group.as_str()) {
            all.push(group);
        }
    }
    all
}

fn what(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn groups(spec: &Value) -> Result<Groups, Error> {
        Groups::of(&json!({"spec": spec}))
    }

    #[test]
    fn everybody_is_named_once_and_viewers_begin_with_those_who_may_only_see() {
        let both = json!({"adminGroups": ["admins", "admins", "", "both"],
            "allowedGroups": ["system:authenticated", "both"]});
        let both = groups(&both).unwrap();
        assert_eq!(both.viewers(), ["system:authenticated", "both", "admins"]);
        assert_eq!(both.editors(), ["admins", "both"]);
    }

    #[test]
    fn a_list_that_is_not_there_is_empty() {
        for auth in [
            json!({}),
            json!({"spec": {}}),
            json!({"spec": {"adminGroups": null}}),
        ] {
            assert_eq!(Groups::of(&auth).unwrap(), Groups::default());
        }
    }

    #[test]
    fn a_list_that_is_none_is_named_with_its_place() {
        for (spec, start) in [
            (
                json!({"adminGroups": "admins"}),
                "Auth auth: spec.adminGroups is a text, and a list",
            ),
            (
                json!({"allowedGroups": ["a", 5]}),
                "Auth auth: spec.allowedGroups[1] is a number,",
            ),
            (
                json!({"allowedGroups": [{}]}),
                "Auth auth: spec.allowedGroups[0] is an object,",
            ),
        ] {
            let message = groups(&spec).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }
}
