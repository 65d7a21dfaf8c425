//! The loops beside that over MLflows, as the installation switches them on.

use runtime::operator::Loop;

use crate::access::Access;
use crate::config::{Config, MLFLOW_VERSION};
use crate::module::Module;

/// The loops beside that over MLflows, whose objects are in `namespace`.
#[must_use]
pub fn beside(config: &Config, namespace: &str) -> Vec<Loop> {
    let module = config.module.then(|| {
        Loop::of(Module {
            namespace: namespace.to_owned(),
            mlflow_version: MLFLOW_VERSION,
        })
    });
    let access = config.namespace_rbac.then(|| {
        let access = Access {
            role_prefix: config.role_prefix.clone(),
        };
        // MLflows have their objects in one namespace, people have theirs anywhere.
        Loop::of(access).everywhere()
    });
    module.into_iter().chain(access).collect()
}
