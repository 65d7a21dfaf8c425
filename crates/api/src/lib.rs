//! Types of every custom resource, their versions and rules.
//!
//! This crate knows no client. It holds the Rust types, the schemas that an API server
//! enforces, and the generators of the manifests and the reference made from them.

#[macro_use]
mod absent;
pub mod additions;
#[cfg(feature = "arbitrary")]
pub mod arbitrary;
pub mod codegen;
pub mod common;
pub mod modelregistry;
pub mod rules;
pub mod schema;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

/// The definitions that an installation applies.
///
/// ModelRegistry is served as v1beta1 only. Without a conversion webhook the API server
/// merely relabels an object from one version to the other, so that `spec.istio` of a
/// v1alpha1 resource would be pruned at its next write.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![schema::structural(
        modelregistry::v1beta1::ModelRegistry::crd(),
    )]
}

/// The definition of ModelRegistry v1alpha1 by itself, for comparison and conversion.
///
/// It is not part of [`crds`]; the reason is given there.
#[must_use]
pub fn v1alpha1() -> CustomResourceDefinition {
    schema::structural(modelregistry::v1alpha1::ModelRegistry::crd())
}
