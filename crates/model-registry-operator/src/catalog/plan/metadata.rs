//! Names, labels and owners as the Go operator gives them.

use kube::core::ObjectMeta;
use resources::meta::{Pairs, cluster, namespaced, pairs};
use resources::{Adoption, Kind, PlanError, Planned};
use serde::Serialize;

use super::View;
use crate::catalog::names::{CATALOG, POSTGRES};
use crate::registry::names::NAMESPACE_LABEL;

const OPERATOR: &str = "model-registry-operator";

/// Labels by which an object is known to be the catalog's, whoever made it.
pub const MADE_BY_US: [(&str, &str); 3] = [
    ("app", CATALOG),
    ("app.kubernetes.io/created-by", OPERATOR),
    ("app.kubernetes.io/part-of", CATALOG),
];

/// Labels of the catalog's pods, by which they are selected.
pub(super) fn pods() -> Pairs {
    selector(CATALOG)
}

/// Labels of the database's pods, by which they are selected.
pub(super) fn database_pods() -> Pairs {
    selector(POSTGRES)
}

fn selector(name: &str) -> Pairs {
    pairs([
        ("app", CATALOG),
        ("app.kubernetes.io/name", name),
        ("component", CATALOG),
    ])
}

fn labels(component: &str) -> Pairs {
    let mut labels = pairs(MADE_BY_US);
    labels.extend(pairs([
        ("app.kubernetes.io/component", component),
        ("app.kubernetes.io/instance", CATALOG),
        ("app.kubernetes.io/managed-by", OPERATOR),
        ("app.kubernetes.io/name", CATALOG),
        ("component", component),
    ]));
    labels
}

/// Metadata of an object of the catalog's.
pub(super) fn own(view: View<'_>, name: &str) -> ObjectMeta {
    namespaced(name, view.namespace, labels(CATALOG), view.owner)
}

/// Metadata of an object of the database's.
pub(super) fn database(view: View<'_>) -> ObjectMeta {
    namespaced(POSTGRES, view.namespace, labels(POSTGRES), view.owner)
}

/// Metadata of an object that outlives the Catalog.
pub(super) fn unowned(view: View<'_>, name: &str) -> ObjectMeta {
    namespaced(name, view.namespace, labels(CATALOG), None)
}

/// Metadata of an object that is not in the Catalog's namespace. A label says where that is.
pub(super) fn elsewhere(view: View<'_>, name: &str) -> ObjectMeta {
    let mut labels = labels(CATALOG);
    labels.extend(pairs([(NAMESPACE_LABEL, view.namespace)]));
    cluster(name, labels)
}

/// An object that is also taken from whatever made it before there was a resource.
pub(super) fn planned<K>(kind: Kind, object: &K) -> Result<Planned, PlanError>
where
    K: Serialize + kube::ResourceExt,
{
    let planned = Planned::new(kind, object)?;
    Ok(planned
        .identified_by(MADE_BY_US)
        .adopting(Adoption::Labelled))
}
