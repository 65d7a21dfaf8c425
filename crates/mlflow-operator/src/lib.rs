//! MLflow resources become running, migrated, secured MLflow servers.

pub mod names;
