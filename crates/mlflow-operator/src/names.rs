//! Names of what an MLflow becomes. They live in people's clusters, so they are those of the Go
//! operator.

/// The MLflow whose objects have no suffix.
pub const SINGLETON: &str = "mlflow";

/// What the names of an MLflow's objects have behind their stem: nothing, or `-NAME`.
#[must_use]
pub fn suffix(resource: &str) -> String {
    if resource == SINGLETON {
        String::new()
    } else {
        format!("-{resource}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_singleton_has_no_suffix() {
        assert_eq!(suffix("mlflow"), "");
        assert_eq!(suffix("production"), "-production");
    }
}
