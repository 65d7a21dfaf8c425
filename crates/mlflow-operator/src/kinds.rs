//! Kinds that only this operator knows.

use resources::Kind;

/// Kind MLflow.
pub const MLFLOW: Kind = Kind::cluster("mlflow.opendatahub.io", "v1", "MLflow", "mlflows");

/// An entry of the menu of OpenShift's console.
pub const CONSOLE_LINK: Kind =
    Kind::cluster("console.openshift.io", "v1", "ConsoleLink", "consolelinks");
