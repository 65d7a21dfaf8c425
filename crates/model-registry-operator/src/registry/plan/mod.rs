//! The objects that a registry becomes. Pure: the same input gives the same objects.

use resources::{Plan, PlanError};

use super::validate::Validated;

/// The objects that should exist, identities first and workloads last.
pub fn plan(_registry: &Validated) -> Result<Plan, PlanError> {
    Ok(Plan::default())
}
