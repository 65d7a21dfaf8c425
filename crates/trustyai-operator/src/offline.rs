//! TrustyAIService as `render` and `validate` work it, without a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use runtime::offline::Offline;

use crate::service::error::Error;
use crate::service::{TrustyAi, validate};

impl Offline for TrustyAi {
    fn definition() -> CustomResourceDefinition {
        api::trustyai()
    }

    fn lines(error: &Error) -> String {
        match error {
            Error::Invalid(problems) => problems.join("\n"),
            error => error.to_string(),
        }
    }

    fn warnings(
        &self,
        resource: &Self::Resource,
        seen: &Self::Observation,
    ) -> Result<Vec<String>, Error> {
        let validated = validate::validate(resource, seen, self.config())?;
        let database = validated.database.as_ref();
        let trouble = database.and_then(|database| {
            let problem = database.problem.as_ref()?;
            Some(format!("Secret {}: {problem}", database.secret))
        });
        Ok(validated.warnings.into_iter().chain(trouble).collect())
    }
}
