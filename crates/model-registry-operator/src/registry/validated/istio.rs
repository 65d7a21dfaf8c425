//! A registry in the mesh.

use api::modelregistry::v1beta1::GatewayTlsMode;
use resources::meta::Pairs;
use resources::names::{HostLabel, LabelValue, ObjectName};

use super::Derived;
use crate::registry::values::{Audience, AuthProvider, Port};

/// Istio in front of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Istio {
    /// TLS between the mesh and the registry.
    pub tls: TlsMode,
    /// Who decides who may call; `None` where the installation leaves that to somebody else.
    pub guard: Option<Guard>,
    /// The way in from outside the mesh.
    pub gateway: Gateway,
}

/// TLS mode of a DestinationRule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Plain text.
    Disable,
    /// Only the server has a certificate.
    Simple,
    /// Both have one.
    Mutual,
    /// Both have one, made by Istio.
    IstioMutual,
}

impl TlsMode {
    /// All, as Istio writes them.
    pub const ALL: [(&'static str, Self); 4] = [
        ("DISABLE", Self::Disable),
        ("SIMPLE", Self::Simple),
        ("MUTUAL", Self::Mutual),
        ("ISTIO_MUTUAL", Self::IstioMutual),
    ];

    /// As Istio writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, mode)| *mode == self)
            .map_or("ISTIO_MUTUAL", |(text, _)| text)
    }
}

/// Authorino, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Name of the AuthorizationPolicy.
    pub policy: Derived,
    /// Name of Authorino in the mesh configuration.
    pub provider: AuthProvider,
    /// Labels by which Authorino finds the AuthConfig.
    pub labels: Pairs,
    /// Whom tokens are for.
    pub audiences: Vec<Audience>,
}

/// The way in from outside the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gateway {
    /// Nobody asked for one.
    Closed,
    /// There is no domain for its host names.
    NoDomain,
    /// There is one.
    Open(Box<IstioGateway>),
}

impl Gateway {
    /// The gateway, where there is one.
    #[must_use]
    pub fn open(&self) -> Option<&IstioGateway> {
        match self {
            Self::Open(gateway) => Some(gateway),
            Self::Closed | Self::NoDomain => None,
        }
    }
}

/// A Gateway of Istio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IstioGateway {
    /// Value of label `istio` of the ingress gateway's pods.
    pub ingress: LabelValue,
    /// Value of their label `istio.io/rev`.
    pub control_plane: Option<LabelValue>,
    /// Way to the REST server.
    pub rest: Entrance,
    /// Way to the gRPC server.
    pub grpc: Entrance,
    /// Where Routes lead to.
    pub service: IngressService,
}

/// The Service of the ingress gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IngressService {
    /// Nobody asks: this is not OpenShift, or no Route is asked for.
    Unasked,
    /// There is one.
    Found {
        /// Namespace.
        namespace: HostLabel,
        /// Name.
        name: ObjectName,
    },
    /// There is none, or not just one.
    Ambiguous {
        /// How many there are.
        count: usize,
    },
}

/// One server of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrance {
    /// Host name.
    pub host: ObjectName,
    /// Port of the ingress gateway.
    pub port: Port,
    /// TLS; `None` for plain text.
    pub tls: Option<EntranceTls>,
    /// Name of its Route on OpenShift, where one is asked for.
    pub route: Option<ObjectName>,
}

/// TLS of one server of a Gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntranceTls {
    /// Whose certificates are checked.
    pub mode: GatewayTlsMode,
    /// Secret with the certificate, in the namespace of the ingress gateway.
    pub credential: Option<ObjectName>,
}

impl Entrance {
    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}
