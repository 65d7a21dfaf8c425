//! What the installation sets: environment variables of the Go operator.

use crate::registry::config::{Config as Shared, ConfigError};
use resources::names::DataKey;

/// Image with the data of the catalogs that come with it.
const DATA_IMAGE: &str = "quay.io/opendatahub/odh-model-metadata-collection:latest";

/// What the installation sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What registries have too: images, domain, gateway, namespace.
    pub shared: Shared,
    /// `RELATED_IMAGE_ODH_MODEL_METADATA_COLLECTION_IMAGE`.
    pub data_image: String,
    /// `RELATED_IMAGE_ODH_MODEL_PERFORMANCE_DATA_IMAGE`.
    pub performance_image: String,
    /// The database; `None` with `SKIP_MODEL_CATALOG_DB_CREATION=true`: somebody else provides
    /// Secret and Service `model-catalog-postgres`.
    pub database: Option<Database>,
}

/// The database that is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// `CATALOG_POSTGRES_DATABASE`.
    pub name: String,
    /// `CATALOG_POSTGRES_USER`.
    pub user: String,
}

impl Config {
    /// Reads the variables through `lookup`. Values are trimmed, empty ones count as unset.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let or = |name: &str, default: &str| {
            lookup(name)
                .map(|value| value.trim().to_owned())
                .filter(|value| !value.is_empty())
                .unwrap_or_else(|| default.to_owned())
        };
        let word = |variable: &'static str, default: &str| {
            let value = or(variable, default);
            match DataKey::parse(&value) {
                Ok(_) => Ok(value),
                Err(_) => Err(ConfigError::Value {
                    variable,
                    reason: format!("{value:?} may have letters, digits, '-', '_' and '.' only"),
                }),
            }
        };
        let image = |variable: &'static str| {
            let value = or(variable, DATA_IMAGE);
            let odd = |c: char| c.is_whitespace() || c.is_control();
            if value.contains(odd) {
                let reason = format!("{value:?} is not an image: it has a blank");
                return Err(ConfigError::Value { variable, reason });
            }
            Ok(value)
        };
        let skip = or("SKIP_MODEL_CATALOG_DB_CREATION", "false") == "true";
        let database = Database {
            name: word("CATALOG_POSTGRES_DATABASE", "model_catalog")?,
            user: word("CATALOG_POSTGRES_USER", "catalog_user")?,
        };
        Ok(Self {
            data_image: image("RELATED_IMAGE_ODH_MODEL_METADATA_COLLECTION_IMAGE")?,
            performance_image: image("RELATED_IMAGE_ODH_MODEL_PERFORMANCE_DATA_IMAGE")?,
            database: (!skip).then_some(database),
            shared: Shared::from_lookup(&lookup)?,
        })
    }

    /// Reads the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            let found = pairs.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn only_the_word_true_skips_the_database() {
        for (value, skipped) in [("true", true), ("True", false), ("1", false), ("", false)] {
            let config = config(&[("SKIP_MODEL_CATALOG_DB_CREATION", value)]).unwrap();
            assert_eq!(config.database.is_none(), skipped, "{value}");
        }
    }

    #[test]
    fn a_value_that_no_probe_can_hold_is_an_error() {
        assert_eq!(
            config(&[("CATALOG_POSTGRES_USER", "a b")])
                .unwrap_err()
                .to_string(),
            "CATALOG_POSTGRES_USER: \"a b\" may have letters, digits, '-', '_' and '.' only"
        );
        assert!(config(&[("RELATED_IMAGE_ODH_MODEL_PERFORMANCE_DATA_IMAGE", "a b")]).is_err());
    }
}
