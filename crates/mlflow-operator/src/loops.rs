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

#[cfg(test)]
mod tests {
    use operator_harness::environment;

    use super::*;

    #[test]
    fn a_loop_runs_where_it_is_switched_on() {
        let module = ("ENABLE_MLFLOW_OPERATOR_MODULE_CONTROLLER", "true");
        let access = ("ENABLE_NAMESPACE_RBAC", "true");
        for (switches, loops) in [
            (vec![], 0),
            (vec![module], 1),
            (vec![access], 1),
            (vec![module, access], 2),
        ] {
            let variables = [&switches[..], &[("MLFLOW_IMAGE", "i")]].concat();
            let config = Config::from_lookup(environment(&variables)).unwrap();
            assert_eq!(beside(&config, "n").len(), loops, "{switches:?}");
        }
    }
}
