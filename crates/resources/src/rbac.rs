//! Roles, their bindings, and whom they are for.

use k8s_openapi::api::rbac::v1::{
    ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::core::ObjectMeta;

use crate::kind::{CLUSTER_ROLE, Kind, ROLE};
use crate::meta::{annotated, pairs};

/// A rule for objects of the core group, by their names.
#[must_use]
pub fn rule(resource: &str, names: Vec<String>, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec![resource.to_owned()]),
        resource_names: Some(names),
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
        ..PolicyRule::default()
    }
}

/// A Role for people, with the name and the description that OpenShift's console shows.
#[must_use]
pub fn role(metadata: ObjectMeta, texts: [&str; 2], rules: Vec<PolicyRule>) -> Role {
    let [name, description] = texts;
    let annotations = pairs([
        ("openshift.io/display-name", name),
        ("openshift.io/description", description),
    ]);
    Role {
        metadata: annotated(metadata, annotations),
        rules: Some(rules),
    }
}

/// Gives `subjects` the Role of this name.
#[must_use]
pub fn binding(metadata: ObjectMeta, role: &str, subjects: Vec<Subject>) -> RoleBinding {
    RoleBinding {
        metadata,
        role_ref: role_ref(ROLE, role),
        subjects: Some(subjects),
    }
}

/// Gives `subjects` the ClusterRole of this name, in the namespace of the binding.
#[must_use]
pub fn binding_of_cluster_role(
    metadata: ObjectMeta,
    role: &str,
    subjects: Vec<Subject>,
) -> RoleBinding {
    RoleBinding {
        metadata,
        role_ref: role_ref(CLUSTER_ROLE, role),
        subjects: Some(subjects),
    }
}

/// Lets an account ask the API server who calls, and what they may do: for a proxy that does.
#[must_use]
pub fn delegator(metadata: ObjectMeta, account: Subject) -> ClusterRoleBinding {
    ClusterRoleBinding {
        metadata,
        role_ref: role_ref(CLUSTER_ROLE, "system:auth-delegator"),
        subjects: Some(vec![account]),
    }
}

fn role_ref(kind: Kind, name: &str) -> RoleRef {
    RoleRef {
        api_group: kind.group.to_owned(),
        kind: kind.kind.to_owned(),
        name: name.to_owned(),
    }
}

/// A user.
#[must_use]
pub fn user(name: &str) -> Subject {
    global("User", name)
}

/// A group of users or service accounts.
#[must_use]
pub fn group(name: &str) -> Subject {
    global("Group", name)
}

/// Users and groups belong to no namespace.
fn global(kind: &str, name: &str) -> Subject {
    Subject {
        api_group: Some(ROLE.group.to_owned()),
        kind: kind.to_owned(),
        name: name.to_owned(),
        namespace: None,
    }
}

/// A service account.
#[must_use]
pub fn account(namespace: &str, name: &str) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
    }
}
