//! MLflow resources become running, migrated, secured MLflow servers.

pub mod migration;
pub mod names;
