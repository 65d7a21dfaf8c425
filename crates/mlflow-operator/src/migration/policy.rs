//! The NetworkPolicy of pods that migrate.
//!
//! Policies add up. These pods lack the label by which the server's policy finds its own, or that one
//! would allow them whatever it allows the server, and this one would mean nothing.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use resources::meta::{namespaced, pairs};
use resources::workload::matching;

use super::names::{COMPONENT, INSTANCE};

/// What the resource says of connections that its pods make.
#[derive(Clone, Copy, Debug)]
pub struct Egress<'a> {
    /// All of them are allowed.
    pub all: bool,
    /// Rules in the place of the usual ones.
    pub rules: &'a [NetworkPolicyEgressRule],
    /// Rules beside them.
    pub additional: &'a [NetworkPolicyEgressRule],
}

/// Name of the policy for the server `server`.
#[must_use]
pub fn name(server: &str) -> String {
    format!("{server}-migration")
}

/// Lets pods that migrate for the resource `instance`, whose server is `server`, reach names and
/// databases, and nobody reach them.
#[must_use]
pub fn policy(
    instance: &str,
    server: &str,
    namespace: &str,
    owner: Option<&OwnerReference>,
    egress: &Egress<'_>,
) -> NetworkPolicy {
    let mut rules = if egress.all {
        vec![NetworkPolicyEgressRule::default()]
    } else if egress.rules.is_empty() {
        let names = [("UDP", 53), ("TCP", 53), ("UDP", 5353), ("TCP", 5353)];
        vec![ports(&names), ports(&[("TCP", 5432), ("TCP", 3306)])]
    } else {
        // Whoever replaced the server's rules said where the database is.
        egress.rules.to_vec()
    };
    rules.extend(egress.additional.iter().cloned());
    NetworkPolicy {
        metadata: namespaced(&name(server), namespace, pairs([COMPONENT]), owner),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(matching(pairs([COMPONENT, (INSTANCE, instance)]))),
            policy_types: Some(["Ingress", "Egress"].map(str::to_owned).to_vec()),
            egress: Some(rules),
            ingress: None,
        }),
    }
}

fn ports(all: &[(&str, i32)]) -> NetworkPolicyEgressRule {
    let ports = all.iter().map(|(protocol, port)| NetworkPolicyPort {
        port: Some(IntOrString::Int(*port)),
        protocol: Some((*protocol).to_owned()),
        ..NetworkPolicyPort::default()
    });
    NetworkPolicyEgressRule {
        ports: Some(ports.collect()),
        to: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rules(egress: &Egress<'_>) -> Vec<NetworkPolicyEgressRule> {
        let policy = policy("mlflow", "mlflow", "ns", None, egress);
        policy.spec.unwrap().egress.unwrap()
    }

    #[test]
    fn names_and_databases_are_all_that_a_migration_reaches() {
        let none = Egress {
            all: false,
            rules: &[],
            additional: &[],
        };
        let policy = policy("mlflow-x", "mlflow-x", "ns", None, &none);
        insta::assert_json_snapshot!(policy);
    }

    #[test]
    fn rules_of_the_resource_replace_and_add() {
        let rule = |port: i32| -> NetworkPolicyEgressRule {
            serde_json::from_value(json!({"ports": [{"port": port, "protocol": "TCP"}]})).unwrap()
        };
        let (own, more) = ([rule(6432)], [rule(15012)]);
        let mut egress = Egress {
            all: false,
            rules: &[],
            additional: &more,
        };
        assert_eq!(rules(&egress).len(), 3);
        assert_eq!(rules(&egress).last(), Some(&rule(15012)));
        egress.rules = &own;
        assert_eq!(rules(&egress), [rule(6432), rule(15012)]);
        egress.all = true;
        let all = rules(&egress);
        assert_eq!(all.first(), Some(&NetworkPolicyEgressRule::default()));
    }
}
