//! What sort of cluster it is, by the APIs that it serves now.

use resources::kind::{HTTP_ROUTE, SERVICE_MONITOR};
use runtime::Capabilities;

use crate::kinds::CONSOLE_LINK;

/// What sort of cluster it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Platform {
    /// OpenShift: its console has entries for links.
    pub openshift: bool,
    /// Gateway API's HTTPRoute.
    pub http_routes: bool,
    /// Prometheus' ServiceMonitor.
    pub service_monitors: bool,
}

impl From<&Capabilities> for Platform {
    fn from(cluster: &Capabilities) -> Self {
        Self {
            openshift: cluster.has(CONSOLE_LINK),
            http_routes: cluster.has(HTTP_ROUTE),
            service_monitors: cluster.has(SERVICE_MONITOR),
        }
    }
}
