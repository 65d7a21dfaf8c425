//! Types of every custom resource, their versions and rules.
//!
//! This crate knows no client. It holds the Rust types, the schemas that an API server
//! enforces, and the generators of the manifests and the reference made from them.

#[macro_use]
mod absent;
pub mod additions;
pub mod aihub;
#[cfg(feature = "arbitrary")]
pub mod arbitrary;
pub mod catalog;
pub mod codegen;
pub mod common;
pub mod exposure;
pub mod mlflow;
pub mod modelregistry;
pub mod module;
pub mod rules;
pub mod schema;
pub mod trustyai;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion,
};
use kube::CustomResourceExt;

/// A definition as it is installed and documented; paths are from the root of the workspace.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Folder of its manifest.
    pub folder: &'static str,
    /// The page that has its fields.
    pub reference: &'static str,
    /// The definition.
    pub crd: CustomResourceDefinition,
}

/// Every definition.
#[must_use]
pub fn definitions() -> [Definition; 7] {
    let registry = |folder, crd| Definition {
        folder,
        reference: "docs/model-registry/api.md",
        crd,
    };
    let mlflows = |crd| Definition {
        folder: "config/mlflow-operator/crd",
        reference: "docs/mlflow/api.md",
        crd,
    };
    [
        registry("config/model-registry-operator/crd", model_registry()),
        registry("config/model-registry-operator/overlays/catalog", catalog()),
        registry("config/model-registry-operator/overlays/aihub", aihub()),
        Definition {
            folder: "config/trustyai-operator/crd",
            reference: "docs/trustyai/api.md",
            crd: trustyai(),
        },
        mlflows(mlflow()),
        mlflows(mlflow_config()),
        mlflows(mlflow_operator()),
    ]
}

/// The definition of ModelRegistry.
///
/// It is served and stored as v1beta1. v1alpha1 is known and not served: what a cluster
/// has stored in it can be read, as v1beta1 has all of its fields, and the API server would refuse
/// a definition without a version that is stored. Serving it needs the conversion webhook: without
/// one the API server merely relabels an object, and prunes what v1alpha1 has not.
#[must_use]
pub fn model_registry() -> CustomResourceDefinition {
    let mut crd = schema::structural(modelregistry::v1beta1::ModelRegistry::crd());
    for mut version in v1alpha1().spec.versions {
        version.served = false;
        crd.spec.versions.push(version);
    }
    crd
}

/// The definition of ModelRegistry v1alpha1 by itself, as it is when it is served.
#[must_use]
pub fn v1alpha1() -> CustomResourceDefinition {
    schema::structural(modelregistry::v1alpha1::ModelRegistry::crd())
}

/// The definition of Catalog. It belongs to an installation of its own.
#[must_use]
pub fn catalog() -> CustomResourceDefinition {
    schema::structural(catalog::v1alpha1::Catalog::crd())
}

/// The definition of TrustyAIService, stored as v1. v1alpha1 has the same schema: it says more than
/// that of the Go operator and requires less, so that the API server converts one to the other by
/// its label, with a webhook or without.
#[must_use]
pub fn trustyai() -> CustomResourceDefinition {
    let mut crd = schema::structural(trustyai::v1::TrustyAIService::crd());
    let older = crd.spec.versions.first().cloned();
    crd.spec
        .versions
        .extend(older.map(|version| CustomResourceDefinitionVersion {
            name: "v1alpha1".to_owned(),
            storage: false,
            ..version
        }));
    crd
}

/// The definition of MLflow, with the rule that its name is `mlflow`. An overlay takes that rule away
/// where there are to be several.
#[must_use]
pub fn mlflow() -> CustomResourceDefinition {
    let crd = schema::structural(mlflow::v1::MLflow::crd());
    rooted(
        crd,
        &[&[mlflow::rules::ONLY_NAME], mlflow::rules::ROOT].concat(),
    )
}

/// The definition of MLflowConfig. MLflow servers read it, and no operator does.
#[must_use]
pub fn mlflow_config() -> CustomResourceDefinition {
    rooted(
        schema::structural(mlflow::config::MLflowConfig::crd()),
        mlflow::rules::ONLY_CONFIG,
    )
}

/// The definition of MLflowOperator. It may have no spec: then the platform has said nothing yet.
#[must_use]
pub fn mlflow_operator() -> CustomResourceDefinition {
    let mut crd = rooted(
        schema::structural(mlflow::operator::MLflowOperator::crd()),
        mlflow::rules::ONLY_OPERATOR,
    );
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut();
        if let Some(root) = root.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            root.required = None;
        }
    }
    crd
}

/// With rules of the whole object, which is where a rule about the name has its place; and `spec` is
/// required.
fn rooted(mut crd: CustomResourceDefinition, rules: &[rules::Rule]) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let root = version.schema.as_mut();
        if let Some(root) = root.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            root.required = Some(vec!["spec".to_owned()]);
            root.x_kubernetes_validations = Some(rules::validations(rules));
        }
    }
    crd
}

/// The definition of AIHub. It belongs to an installation of its own.
#[must_use]
pub fn aihub() -> CustomResourceDefinition {
    // Without a spec there is nothing to say where anything goes.
    rooted(
        schema::structural(aihub::v1alpha1::AIHub::crd()),
        rules::ONLY_HUB,
    )
}
