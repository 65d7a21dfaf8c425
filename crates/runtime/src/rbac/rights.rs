//! What one service account is given: its roles, the files that they are in, and what the tests show
//! of their use.

use kube::{api::ObjectMeta, core::TypeMeta};
use serde::Serialize;

use super::{OnlyWhen, RbacRule, Unused, held};

/// Namespace and name of a service account, as the manifests have them after kustomize.
pub type Account = (&'static str, &'static str);

/// All that one service account may be given.
#[derive(Clone, Debug)]
pub struct Rights {
    /// Who it is.
    pub account: Account,
    /// Its roles, the main one first. An installation may leave some out.
    pub roles: Vec<RoleFile>,
    /// Rights that no request of the tests uses.
    pub unused: &'static [Unused],
    /// Rights that only a race uses.
    pub races: &'static [OnlyWhen],
}

/// A generated manifest with one role.
#[derive(Clone, Debug)]
pub struct RoleFile {
    /// From the root of the workspace.
    pub path: &'static str,
    /// `ClusterRole` or `Role`.
    pub kind: &'static str,
    /// As the file has it. Kustomize may put a prefix before it.
    pub name: &'static str,
    /// What the operator does itself.
    pub rules: Vec<RbacRule>,
    /// What it gives to others, beside that. The API server refuses a role with a rule that its
    /// writer lacks.
    pub handed_out: Vec<RbacRule>,
}

impl RoleFile {
    /// A ClusterRole.
    #[must_use]
    pub fn for_cluster(path: &'static str, name: &'static str, rules: Vec<RbacRule>) -> Self {
        Self {
            path,
            kind: "ClusterRole",
            name,
            rules,
            handed_out: Vec::new(),
        }
    }

    /// A Role.
    #[must_use]
    pub fn for_namespace(path: &'static str, name: &'static str, rules: Vec<RbacRule>) -> Self {
        Self {
            kind: "Role",
            ..Self::for_cluster(path, name, rules)
        }
    }

    /// The file: `header`, and the role with the reason above each rule.
    pub fn manifest(&self, header: &str) -> Result<String, serde_saphyr::ser::Error> {
        let head = Head {
            types: TypeMeta {
                api_version: "rbac.authorization.k8s.io/v1".to_owned(),
                kind: self.kind.to_owned(),
            },
            metadata: ObjectMeta {
                name: Some(self.name.to_owned()),
                ..ObjectMeta::default()
            },
        };
        let head = serde_saphyr::to_string(&head)?;
        let mut text = format!("{header}{head}rules:\n{}", items(&self.rules)?);
        if !self.handed_out.is_empty() {
            text.push_str(
                "# From here on: what it gives to others. Who gives a right must have it.\n",
            );
            text.push_str(&items(&self.handed_out)?);
        }
        Ok(text)
    }
}

impl Rights {
    /// The generated files: path from the root of the workspace, and content, which begins with
    /// `header`.
    pub fn manifests(
        &self,
        header: &str,
    ) -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
        let files = self.roles.iter();
        files
            .map(|file| Ok((file.path.to_owned(), file.manifest(header)?)))
            .collect()
    }

    /// Every rule that the account has, for itself and for others.
    #[must_use]
    pub fn rules(&self) -> Vec<RbacRule> {
        let all = self.roles.iter();
        all.flat_map(|role| role.rules.iter().chain(&role.handed_out))
            .copied()
            .collect()
    }

    /// Every right that it gives to others, as `kubectl auth can-i` takes it.
    #[must_use]
    pub fn handed_out(&self) -> Vec<String> {
        let all = self.roles.iter();
        all.flat_map(|role| held(&role.handed_out)).collect()
    }
}

/// A role without its rules.
#[derive(Serialize)]
struct Head {
    #[serde(flatten)]
    types: TypeMeta,
    metadata: ObjectMeta,
}

/// Rules as items of a list in YAML, with the reason above each.
fn items(rules: &[RbacRule]) -> Result<String, serde_saphyr::ser::Error> {
    let mut text = String::new();
    for rule in rules {
        let item = serde_saphyr::to_string(&[rule.to_policy_rule()])?;
        text.push_str("# ");
        text.push_str(rule.reason);
        text.push('\n');
        text.push_str(&item);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::rbac::v1::{ClusterRole, Role};

    use super::*;
    use crate::rbac::{cluster, rule};

    const OWN: RbacRule = rule(&[""], &["secrets"], &["get"], "Its passwords.");
    const GIVEN: RbacRule = cluster(&["a.example"], &["things"], &["list"], "For people.");

    #[test]
    fn a_manifest_is_the_role_with_reasons() {
        let mut file = RoleFile::for_cluster("role.yaml", "manager", vec![OWN]);
        file.handed_out = vec![GIVEN];
        let text = file.manifest("# Generated.\n").unwrap();
        for line in ["# Generated.", "# Its passwords.", "# For people."] {
            assert!(text.lines().any(|one| one == line), "{text}");
        }
        let role: ClusterRole = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(role.metadata.name.as_deref(), Some("manager"));
        let rules = [OWN, GIVEN].map(|rule| rule.to_policy_rule());
        assert_eq!(role.rules, Some(rules.to_vec()));
    }

    #[test]
    fn an_account_holds_what_all_its_roles_give() {
        let mut main = RoleFile::for_cluster("role.yaml", "manager", vec![OWN]);
        main.handed_out = vec![GIVEN];
        let other = RoleFile::for_namespace("other.yaml", "other", vec![OWN]);
        let rights = Rights {
            account: ("ns", "operator"),
            roles: vec![main, other],
            unused: &[],
            races: &[],
        };
        assert_eq!(rights.rules(), [OWN, GIVEN, OWN]);
        assert_eq!(rights.handed_out(), ["list things.a.example"]);
        let files = rights.manifests("").unwrap();
        let (path, text) = files.last().unwrap();
        assert_eq!(path, "other.yaml");
        let role: Role = serde_saphyr::from_str(text).unwrap();
        assert_eq!(role.metadata.name.as_deref(), Some("other"));
    }
}
