//! What the user is told.

use api::modelregistry::v1beta1::{ModelRegistry, ModelRegistryStatus};
use runtime::component::Attempt;
use runtime::inputs::Inputs;

use super::Registry;

/// The status of `resource` after `attempt`.
pub fn status<I: Inputs>(
    _registry: &Registry,
    _resource: &ModelRegistry,
    _attempt: &Attempt<'_, Registry>,
    _inputs: &I,
) -> ModelRegistryStatus {
    ModelRegistryStatus::default()
}
