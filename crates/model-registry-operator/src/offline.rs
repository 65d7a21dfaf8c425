//! The program's kinds as `render` and `validate` work them, without a cluster.

use clap::Args;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use resources::Kind;
use runtime::offline::{self, Around, Offline, Worked, work};
use serde_json::Value;

use crate::aihub::{self, Hub};
use crate::catalog::{self, Catalog};
use crate::registry::config::{Config, ConfigError};
use crate::registry::observe::MESH;
use crate::registry::{self, Registry, validate};

/// What the cluster has beside what its platform has.
#[derive(Args, Clone, Copy, Debug)]
pub struct Also {
    /// The cluster has Istio and Authorino too.
    #[arg(long)]
    pub istio: bool,
}

impl offline::Also for Also {
    fn kinds(&self) -> &'static [Kind] {
        if self.istio { &MESH } else { &[] }
    }
}

impl Offline for Registry {
    fn definition() -> CustomResourceDefinition {
        api::model_registry()
    }

    fn lines(error: &Self::Error) -> String {
        match error {
            registry::error::Error::Validate(validate::ValidateError::Invalid(problems)) => {
                let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
                lines.join("\n")
            }
            error => error.to_string(),
        }
    }

    fn warnings(
        &self,
        resource: &Self::Resource,
        seen: &Self::Observation,
    ) -> Result<Vec<String>, Self::Error> {
        let validated = validate::validate(resource, seen, &self.config)?;
        let warnings = validated.warnings.iter().map(ToString::to_string);
        let troubles = validated.troubles.iter().map(ToString::to_string);
        Ok(warnings.chain(troubles).collect())
    }
}

impl Offline for Catalog {
    fn definition() -> CustomResourceDefinition {
        api::catalog()
    }

    fn warnings(
        &self,
        _: &Self::Resource,
        seen: &Self::Observation,
    ) -> Result<Vec<String>, Self::Error> {
        Ok(seen.ignored.clone())
    }
}

impl Offline for Hub {
    fn definition() -> CustomResourceDefinition {
        api::aihub()
    }
}

/// The program's kinds, as the environment sets them up.
pub struct Kinds {
    registry: Registry,
    catalog: Catalog,
    hub: Hub,
}

impl Kinds {
    /// Reads the variables through `lookup`. Warnings about them come beside.
    pub fn from_lookup(
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<String>), ConfigError> {
        let config = Config::from_lookup(&lookup)?;
        let warnings = config.warnings.clone();
        let kinds = Self {
            registry: Registry { config },
            catalog: Catalog {
                config: catalog::config::Config::from_lookup(&lookup)?,
            },
            hub: Hub {
                config: aihub::config::Config::from_lookup(&lookup)?,
            },
        };
        Ok((kinds, warnings))
    }
}

impl offline::Kinds for Kinds {
    fn names() -> String {
        "ModelRegistry, Catalog or AIHub".to_owned()
    }

    fn work(&self, document: &Value, around: &Around<'_>) -> Option<Result<Worked, String>> {
        work(&self.registry, document, around)
            .or_else(|| work(&self.catalog, document, around))
            .or_else(|| work(&self.hub, document, around))
    }
}
