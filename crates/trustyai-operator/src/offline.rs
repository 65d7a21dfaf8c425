//! TrustyAIService as `render` and `validate` work it, without a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use runtime::offline::Offline;

use crate::service::TrustyAi;
use crate::service::error::Error;

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
        _: &Self::Resource,
        observed: &Self::Observation,
    ) -> Result<Vec<String>, Error> {
        let Ok(validated) = &observed.validated else {
            return Ok(Vec::new());
        };
        let database = validated.database.as_ref();
        let trouble = database.and_then(|database| {
            let problem = database.problem.as_ref()?;
            Some(format!("Secret {}: {problem}", database.secret))
        });
        Ok(validated.warnings.iter().cloned().chain(trouble).collect())
    }
}
