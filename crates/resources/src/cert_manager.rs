//! Certificates that cert-manager makes.

use api::exposure as asked;
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::json;

use crate::kind::CERTIFICATE;
use crate::names::{NameError, ObjectName};
use crate::plan::{PlanError, Planned};

/// Who signs, with names that an object can hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    name: ObjectName,
    kind: String,
    group: String,
}

impl Issuer {
    /// Reads the reference. `kind` and `group` keep to the schema's patterns.
    pub fn read(asked: &asked::IssuerReference) -> Result<Self, NameError> {
        let or = |text: &Option<String>, default: &str| {
            text.clone().unwrap_or_else(|| default.to_owned())
        };
        Ok(Self {
            name: ObjectName::parse(&asked.name)?,
            kind: or(&asked.kind, "Issuer"),
            group: or(&asked.group, CERTIFICATE.group),
        })
    }

    /// A serving certificate for `hosts` in Secret `secret`. Its key changes with every renewal.
    pub fn certificate(
        &self,
        metadata: ObjectMeta,
        secret: &ObjectName,
        hosts: &[String],
    ) -> Result<Planned, PlanError> {
        let certificate = DynamicObject {
            types: None,
            metadata,
            data: json!({"spec": {
                "secretName": secret.as_str(),
                "dnsNames": hosts,
                "issuerRef": {
                    "name": self.name.as_str(),
                    "kind": self.kind,
                    "group": self.group,
                },
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
                "usages": ["digital signature", "server auth"],
            }}),
        };
        Planned::new(CERTIFICATE, &certificate)
    }
}
