//! Names, labels and annotations by which Jobs of migrations are known.

use kube::core::ObjectMeta;
use resources::meta::{Pairs, pairs};
use runtime::component::Owner;

/// On a Job: the value of [`FORCE_MIGRATE`](api::mlflow::v1::FORCE_MIGRATE) that it was made for, which
/// tells one request from the next.
pub const FORCED_BY: &str = "mlflow.opendatahub.io/forced-by";
/// Label of all Jobs here, by which they are watched.
pub const JOB: &str = "mlflow.opendatahub.io/migration-job";
/// Label with the name of the resource.
pub const INSTANCE: &str = "mlflow.opendatahub.io/migration-instance";
/// Container that migrates.
pub const CONTAINER: &str = "db-migrate";
/// Label and value by which the NetworkPolicy finds the pods.
pub const COMPONENT: (&str, &str) = ("component", "mlflow-migration");

/// Most characters of a Job's name: it becomes a label of its pods.
const LONGEST: usize = 63;

/// What a Job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It changes the database.
    Migrate,
    /// It looks whether that can work, while the server still runs.
    Check,
}

impl Role {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Migrate, Self::Check];

    /// What stands in the Job's name.
    const fn infix(self) -> &'static str {
        match self {
            Self::Migrate => "mg",
            Self::Check => "pc",
        }
    }

    /// Value of label [`JOB`]. The Go operator looks for `true`, and would take every such Job for a
    /// migration.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Migrate => "true",
            Self::Check => "check",
        }
    }

    /// The script's argument.
    #[must_use]
    pub const fn argument(self) -> &'static str {
        match self {
            Self::Migrate => "migrate",
            Self::Check => "check",
        }
    }
}

/// Name of the Job of a generation of the resource: `mlflow-mg-3140-g1`. `server` is the name of the
/// Deployment, which is cut where the whole would be longer than a label may be.
#[must_use]
pub fn job(server: &str, role: Role, version: &str, generation: i64) -> String {
    let mut version = version.to_ascii_lowercase();
    version.retain(|c| c.is_ascii_alphanumeric());
    let version = version.strip_prefix('v').unwrap_or(&version);
    let rest = format!("-{}-{version}-g{generation}", role.infix());
    let kept = LONGEST.saturating_sub(rest.len());
    let base: String = server.chars().take(kept).collect();
    format!("{}{rest}", base.trim_end_matches('-'))
}

/// Which MLflow a Job, or a pod of one, belongs to, by its labels.
#[must_use]
pub fn owner(meta: &ObjectMeta) -> Option<Owner> {
    let labels = meta.labels.as_ref()?;
    labels.get(JOB)?;
    let name = labels.get(INSTANCE)?;
    Some(Owner {
        namespace: None,
        name: name.clone(),
    })
}

/// Labels of a Job and of its pods, of the resource `instance`.
#[must_use]
pub fn labels(instance: &str, role: Role) -> Pairs {
    pairs([COMPONENT, (JOB, role.label()), (INSTANCE, instance)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_version_and_generation() {
        assert_eq!(
            job("mlflow", Role::Migrate, "v3.14.0", 1),
            "mlflow-mg-3140-g1"
        );
        assert_eq!(
            job("mlflow", Role::Check, "3.14.0-RC.1", 12),
            "mlflow-pc-3140rc1-g12"
        );
    }

    #[test]
    fn a_name_fits_in_a_label() {
        let server = format!("mlflow-{}", "a".repeat(60));
        let name = job(&server, Role::Migrate, "3.14.0", i64::MAX);
        assert_eq!(name.len(), 63);
        assert!(name.ends_with("-mg-3140-g9223372036854775807"));
        let dashes = job(&format!("mlflow{}", "-".repeat(60)), Role::Check, "1", 1);
        assert_eq!(dashes, "mlflow-pc-1-g1");
    }
}
