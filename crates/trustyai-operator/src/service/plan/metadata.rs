//! Names, labels and owners as the Go operator gives them, but for the label with its version:
//! with each version it would have every object written again.

use kube::core::ObjectMeta;
use resources::meta::{Pairs, cluster, namespaced, pairs};

use crate::service::names::{INSTANCE_LABEL, NAMESPACE_LABEL, PART_OF};
use crate::service::validate::selector;
use crate::service::validated::Validated;

/// Labels of every object of a service.
pub(super) fn labels(service: &Validated) -> Pairs {
    selector(service.names.as_str())
}

/// Metadata of an object in the service's namespace.
pub(super) fn called(service: &Validated, name: &str) -> ObjectMeta {
    labelled(service, name, [])
}

/// [`called`], with labels of its own.
pub(super) fn labelled<'a>(
    service: &'a Validated,
    name: &str,
    more: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> ObjectMeta {
    let mut labels = labels(service);
    labels.extend(pairs(more));
    namespaced(
        name,
        service.namespace.as_str(),
        labels,
        service.owner.as_ref(),
    )
}

/// Metadata of a cluster-scoped object. Labels say whose it is.
pub(super) fn clusterwide(service: &Validated, name: &str) -> ObjectMeta {
    let mut labels = labels(service);
    labels.extend(pairs([(NAMESPACE_LABEL, service.namespace.as_str())]));
    cluster(name, labels)
}

/// Labels by which an object without an owner reference is known to be this service's.
pub(super) fn identity(service: &Validated) -> Vec<(&str, &str)> {
    vec![(INSTANCE_LABEL, service.names.as_str()), PART_OF]
}
