//! MLflow as `render` and `validate` work it, without a cluster.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use runtime::offline::Offline;

use crate::server::error::Error;
use crate::server::observe::{Observation, Reference};
use crate::server::{Server, validate};

impl Offline for Server {
    fn definition() -> CustomResourceDefinition {
        api::mlflow()
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
        seen: &Observation,
    ) -> Result<Vec<String>, Error> {
        let validated = validate::validate(resource, seen, &self.installation)?;
        let missing = seen.references.iter().filter(|one| one.is_missing());
        let missing = missing.map(Reference::trouble);
        Ok(validated.warnings.into_iter().chain(missing).collect())
    }
}
