//! Whom the resource lets in: `spec.access` as subjects of RoleBindings.

use std::collections::BTreeMap;

use api::modelregistry::v1beta1::{Access, AccessRole, Authorization, ModelRegistrySpec};
use k8s_openapi::api::rbac::v1::Subject;
use resources::names::{HostLabel, NameError, ObjectName};
use resources::rbac;
use sha2::{Digest, Sha256};

use super::names::RegistryName;
use super::validate::Problem;
use super::values::ValueError;

/// Start of the name of the group of all service accounts of a namespace.
const SERVICE_ACCOUNTS_OF: &str = "system:serviceaccounts:";

/// Somebody whom the resource lets in.
#[derive(Clone, Debug, PartialEq)]
pub struct Grantee {
    /// Name of the RoleBinding.
    pub binding: ObjectName,
    /// What they may do.
    pub role: AccessRole,
    /// Who they are.
    pub subject: Subject,
}

impl Grantee {
    /// Whether it stands for all service accounts of a namespace, which a dashboard shows as a
    /// project.
    #[must_use]
    pub fn is_namespace(&self) -> bool {
        self.subject.kind == "Group" && self.subject.name.starts_with(SERVICE_ACCOUNTS_OF)
    }
}

/// Whom `spec`, which has its defaults, lets in: each once, sorted by the name of the binding.
pub(super) fn grantees(
    name: &RegistryName,
    spec: &ModelRegistrySpec,
) -> Result<Vec<Grantee>, Vec<Problem>> {
    let mut problems = Vec::new();
    let by_method = spec
        .kube_rbac_proxy
        .as_ref()
        .is_some_and(|proxy| proxy.authorization() == Authorization::ByMethod);
    let is_viewer = |access: &Access| access.role == AccessRole::Viewer;
    if spec.access.iter().any(is_viewer) && !by_method {
        problems.push(Problem::ViewerByMethod);
    }
    let mut found = BTreeMap::new();
    for (index, access) in spec.access.iter().enumerate() {
        for (field, subject) in subjects(access) {
            let field = format!("spec.access[{index}].{field}");
            let grantee = subject
                .map_err(|wrong| wrong.at(&field))
                .and_then(|subject| grantee(name, access.role, subject));
            match grantee {
                Ok(grantee) => {
                    found.insert(grantee.binding.to_string(), grantee);
                }
                Err(problem) => problems.push(problem),
            }
        }
    }
    if problems.is_empty() {
        Ok(found.into_values().collect())
    } else {
        Err(problems)
    }
}

/// Why a text names nobody.
enum Wrong {
    Value(ValueError),
    Name(NameError),
}

impl Wrong {
    fn at(self, field: &str) -> Problem {
        let field = field.to_owned();
        match self {
            Self::Value(source) => Problem::Value { field, source },
            Self::Name(source) => Problem::Reference { field, source },
        }
    }
}

type Found = (String, Result<Subject, Wrong>);

/// The subjects of one entry, each with the field that names it.
fn subjects(access: &Access) -> Vec<Found> {
    let named = |list: &'static str, named: fn(&str) -> Subject, names: &[String]| {
        let subject = move |(index, name): (usize, &String)| {
            let subject = if name.is_empty() {
                Err(Wrong::Value(ValueError::Empty))
            } else {
                Ok(named(name))
            };
            (format!("{list}[{index}]"), subject)
        };
        names.iter().enumerate().map(subject).collect::<Vec<_>>()
    };
    let mut found = named("users", rbac::user, &access.users);
    found.extend(named("groups", rbac::group, &access.groups));
    for (index, account) in access.service_accounts.iter().enumerate() {
        let subject = HostLabel::parse(&account.namespace)
            .and_then(|_| ObjectName::parse(&account.name))
            .map(|_| rbac::account(&account.namespace, &account.name));
        found.push((
            format!("serviceAccounts[{index}]"),
            subject.map_err(Wrong::Name),
        ));
    }
    for (index, namespace) in access.namespaces.iter().enumerate() {
        let subject = HostLabel::parse(namespace)
            .map(|namespace| rbac::group(&format!("{SERVICE_ACCOUNTS_OF}{namespace}")))
            .map_err(Wrong::Name);
        found.push((format!("namespaces[{index}]"), subject));
    }
    found
}

/// One binding per subject: dashboards show the first subject of a binding as all of it.
fn grantee(name: &RegistryName, role: AccessRole, subject: Subject) -> Result<Grantee, Problem> {
    let mut hash = Sha256::new();
    let namespace = subject.namespace.as_deref().unwrap_or_default();
    for part in [&subject.kind, namespace, &subject.name] {
        hash.update(part);
        hash.update([0]);
    }
    let digest = resources::content::short(&hash.finalize());
    let role_name = match role {
        AccessRole::User => "user",
        AccessRole::Viewer => "viewer",
    };
    let binding = ObjectName::parse(&format!("{}-{role_name}-{digest}", name.as_str()))
        .map_err(Problem::Name)?;
    Ok(Grantee {
        binding,
        role,
        subject,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(access: &Value, authorization: &str) -> Result<Vec<Grantee>, Vec<String>> {
        let spec = json!({"rest": {}, "kubeRBACProxy": {"authorization": authorization}, "access": access});
        let spec = serde_json::from_value(spec).expect("a spec");
        let name = RegistryName::parse("team-a").expect("a name");
        grantees(&name, &spec).map_err(|found| found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_subject_has_one_binding_however_often_it_is_named() {
        let access = json!([{"users": ["ann"], "groups": ["system:serviceaccounts:ds1"],
            "serviceAccounts": [{"namespace": "ds1", "name": "pipeline"}], "namespaces": ["ds1"]},
            {"role": "viewer", "users": ["ann"]}]);
        let found = read(&access, "ByMethod").expect("all is well");
        let told: Vec<_> = found
            .iter()
            .map(|g| (g.role, g.subject.kind.as_str(), g.subject.name.as_str()))
            .collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for one in [
            (AccessRole::User, "User", "ann"),
            (AccessRole::User, "Group", "system:serviceaccounts:ds1"),
            (AccessRole::User, "ServiceAccount", "pipeline"),
            (AccessRole::Viewer, "User", "ann"),
        ] {
            assert!(told.contains(&one), "{one:?} in {told:?}");
        }
        assert_eq!(found.iter().filter(|g| g.is_namespace()).count(), 1);
    }

    #[test]
    fn what_names_nobody_is_said_by_its_field() {
        let access = json!([{"users": [""], "namespaces": ["Bad_One"],
            "serviceAccounts": [{"namespace": "", "name": "a"}]}, {"role": "viewer", "groups": ["all"]}]);
        let problems = read(&access, "Get").expect_err("much is wrong");
        assert_eq!(problems.len(), 4, "{problems:?}");
        assert_eq!(
            problems[0],
            format!("spec.access: {}", api::rules::VIEWER_BY_METHOD)
        );
        for (problem, field) in problems[1..].iter().zip([
            "spec.access[0].users[0]: ",
            "spec.access[0].serviceAccounts[0]: ",
            "spec.access[0].namespaces[0]: ",
        ]) {
            assert!(problem.starts_with(field), "{problem}");
        }
    }
}
