//! From a checked server to the values of the chart. Pure.

use api::mlflow::v1::{Egress, MLflowSpec};
use k8s_openapi::api::core::v1::ResourceRequirements;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::chart;
use super::error::Error;
use super::observe::{Certificate, Trust};
use super::validated::Validated;
use crate::names::{COMPONENT, PLATFORM_CA, PORT, SERVING_CERTIFICATE};

/// Variable by which OpenSSL takes OpenShift's choice of ciphers.
const CIPHERS: (&str, &str) = ("UVICORN_SSL_CIPHERS", "PROFILE=SYSTEM");
/// The file of the image with the authorities that it trusts.
const IMAGE_CA: &str = "/etc/pki/tls/certs/ca-bundle.crt";
/// Where a server that is not root may write, on clusters that do not choose a group themselves.
const GROUP: &str = "1001";

/// The values of the chart.
pub(super) fn values(server: &Validated) -> Result<Map<String, Value>, Error> {
    let spec = &server.spec;
    let names = &server.names;
    let values = json!({
        "namespace": server.namespace,
        "resourceSuffix": names.suffix,
        "commonLabels": {COMPONENT.0: COMPONENT.1},
        "podLabels": spec.pod_labels,
        "podAnnotations": annotations(server),
        "image": {
            "name": server.image,
            "imagePullPolicy": spec.image.as_ref().and_then(|image| image.image_pull_policy),
        },
        "imagePullSecrets": spec.image_pull_secrets,
        "replicaCount": spec.replicas,
        "resources": replaced("resources", spec.resources.as_ref())?,
        "serviceAccount": {"name": server.account},
        "rbac": {"name": names.role.as_str()},
        "tls": tls(server),
        "storage": {
            "enabled": server.claim.is_some(),
            // The operator makes the claim itself: it has more fields than the chart knows.
            "existingClaim": names.claim.as_str(),
            "fsGroup": if server.platform.openshift { "none" } else { GROUP },
        },
        "temporaryStorage": spec.temporary_storage,
        "mlflow": stores(server),
        "env": environment(server),
        "envFrom": spec.env_from,
        "podSecurityContext": replaced("podSecurityContext", spec.pod_security_context.as_ref())?,
        "securityContext": replaced("securityContext", spec.security_context.as_ref())?,
        "service": {"annotations": service_annotations(server)},
        "metrics": {
            "enabled": server.platform.service_monitors,
            "tlsConfig": scrape(server),
        },
        "networkPolicy": network(spec),
        "podDisruptionBudget": spec.pod_disruption_budget,
        "nodeSelector": spec.node_selector,
        "tolerations": spec.tolerations,
        "affinity": spec.affinity,
        "resourceClaims": spec.resource_claims,
        "garbageCollection": garbage_collection(spec)?,
        "traceArchival": trace_archival(spec)?,
        "caBundle": {"filePaths": [IMAGE_CA], "configMaps": bundles(server)},
    });
    let Value::Object(mut values) = values else {
        return Err(Error::Render("values are no object".to_owned()));
    };
    // A null takes the chart's default away; what nobody set keeps it.
    values.retain(|_, value| !value.is_null());
    Ok(values)
}

/// `given` in the place of the chart's default at `path`, field by field: a field that is not given is
/// null, which takes the default away. Null where nothing is given.
fn replaced(path: &str, given: Option<&impl Serialize>) -> Result<Value, Error> {
    let Some(given) = given else {
        return Ok(Value::Null);
    };
    let given = serde_json::to_value(given).map_err(|error| Error::Render(error.to_string()))?;
    Ok(over(&chart::default(path)?, given))
}

fn over(default: &Value, given: Value) -> Value {
    let (Value::Object(defaults), Value::Object(mut given)) = (default, given.clone()) else {
        return given;
    };
    for (key, default) in defaults {
        let value = given.remove(key);
        let value = value.map_or(Value::Null, |value| over(default, value));
        given.insert(key.clone(), value);
    }
    Value::Object(given)
}

fn annotations(server: &Validated) -> Value {
    let mut all = server.spec.pod_annotations.clone();
    let hash = server.memory.hash.clone();
    all.extend(hash.map(|hash| (crate::names::INPUTS_HASH.to_owned(), hash)));
    json!(all)
}

fn tls(server: &Validated) -> Value {
    let secret = match &server.certificate {
        Certificate::Given { secret, .. } => secret.as_str(),
        _ => server.names.tls.as_str(),
    };
    let issuer = server.spec.tls.as_ref();
    let issuer = issuer.and_then(|tls| tls.cert_manager.as_ref());
    let ca = match server.certificate.trust(&server.names) {
        Trust::ConfigMap(name, key) => json!({"configMap": name, "key": key}),
        Trust::Secret(name, key) => json!({"secret": name, "key": key}),
        Trust::Unknown => json!({}),
    };
    json!({
        "source": if issuer.is_some() { "certManager" } else { "secret" },
        "secretName": secret,
        // On OpenShift the group of the pods reads it.
        "defaultMode": if server.platform.openshift { 0o640 } else { 0o644 },
        "certManager": {"issuerRef": issuer.map_or(json!({}), |issuer| json!(issuer.issuer_ref))},
        "ca": ca,
    })
}

/// By it OpenShift makes the certificate, where nobody else does.
fn service_annotations(server: &Validated) -> Value {
    let asked = server.spec.tls.clone().unwrap_or_default();
    let elsewhere = asked.secret_name.is_some()
        || asked.cert_manager.is_some()
        || matches!(server.certificate, Certificate::Own { .. });
    if elsewhere {
        json!({})
    } else {
        json!({SERVING_CERTIFICATE: server.names.tls.as_str()})
    }
}

/// How Prometheus checks the certificate.
fn scrape(server: &Validated) -> Value {
    let name = format!("{}.{}.svc", server.names.own, server.namespace);
    match server.certificate.trust(&server.names) {
        Trust::ConfigMap(map, key) => {
            json!({"ca": {"configMap": {"name": map, "key": key}}, "serverName": name})
        }
        Trust::Secret(secret, key) => {
            json!({"ca": {"secret": {"name": secret, "key": key}}, "serverName": name})
        }
        Trust::Unknown => json!({"insecureSkipVerify": true}),
    }
}

fn stores(server: &Validated) -> Value {
    let spec = &server.spec;
    let from = |key: &Option<api::mlflow::v1::SecretKey>| {
        key.as_ref()
            .map_or(json!({}), |key| json!({"secretKeyRef": key}))
    };
    let uri = |uri: &Option<String>| uri.clone().unwrap_or_default();
    json!({
        "backendStoreUri": uri(&spec.backend_store_uri),
        "backendStoreUriFrom": from(&spec.backend_store_uri_from),
        "readReplicaBackendStoreUri": uri(&spec.read_replica_backend_store_uri),
        "readReplicaBackendStoreUriFrom": from(&spec.read_replica_backend_store_uri_from),
        "registryStoreUri": uri(&spec.registry_store_uri),
        "registryStoreUriFrom": from(&spec.registry_store_uri_from),
        "serveArtifacts": spec.serve_artifacts,
        "artifactsDestination": uri(&spec.artifacts_destination),
        "defaultArtifactRoot": uri(&spec.default_artifact_root),
        "enableWorkspaces": true,
        "workspaceStoreUri": "kubernetes://",
        "workspaceLabelSelector": server.workspaces,
        "workers": spec.workers,
        "port": PORT,
        "allowedHosts": ["*"],
        "corsAllowedOrigins": origins(server).join(","),
        "staticPrefix": server.names.prefix(),
    })
}

/// Origins that may call from a browser: the Service, this machine, the gateway, and what the resource
/// adds. A comma in one of them would make two of it.
fn origins(server: &Validated) -> Vec<String> {
    let (own, namespace) = (&server.names.own, &server.namespace);
    let mut all = vec![
        format!("https://{own}:{PORT}"),
        format!("https://{own}.{namespace}.svc:{PORT}"),
        format!("https://{own}.{namespace}.svc.cluster.local:{PORT}"),
        "localhost:*".to_owned(),
        "127.0.0.1:*".to_owned(),
    ];
    all.extend(server.settings.url.as_deref().and_then(origin));
    let extra = server.spec.extra_allowed_origins.iter();
    let extra = extra.map(|origin| origin.trim().to_owned());
    all.extend(extra.filter(|origin| !origin.is_empty() && !origin.contains(',')));
    all
}

/// Scheme and host of an address.
fn origin(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}"))
}

fn environment(server: &Validated) -> Value {
    let env = &server.spec.env;
    let (name, value) = CIPHERS;
    let chosen = env.iter().any(|variable| variable.name == name);
    let mut all: Vec<Value> = env.iter().map(|variable| json!(variable)).collect();
    if server.platform.openshift && !chosen {
        all.push(json!({"name": name, "value": value}));
    }
    Value::Array(all)
}

fn network(spec: &MLflowSpec) -> Value {
    let policy = spec.network_policy.clone().unwrap_or_default();
    json!({
        "egress": policy.egress.unwrap_or(Egress::Restricted),
        "ingressFrom": policy.ingress_from,
        "egressRules": spec.network_policy_egress_rules,
        "additionalEgressRules": spec.network_policy_additional_egress_rules,
    })
}

fn garbage_collection(spec: &MLflowSpec) -> Result<Value, Error> {
    let Some(asked) = &spec.garbage_collection else {
        return Ok(json!({"enabled": false}));
    };
    let mut values = json!({
        "enabled": true,
        "schedule": asked.schedule,
        "olderThan": asked.older_than.clone().unwrap_or_default(),
    });
    job_resources(
        &mut values,
        "garbageCollection.resources",
        asked.resources.as_ref(),
    )?;
    Ok(values)
}

/// Requests and limits of a job, where somebody set them.
fn job_resources(
    values: &mut Value,
    path: &str,
    asked: Option<&ResourceRequirements>,
) -> Result<(), Error> {
    if let (Some(values), true) = (values.as_object_mut(), asked.is_some()) {
        values.insert("resources".to_owned(), replaced(path, asked)?);
    }
    Ok(())
}

fn trace_archival(spec: &MLflowSpec) -> Result<Value, Error> {
    let Some(asked) = spec.trace_archival.as_ref().filter(|asked| asked.enabled) else {
        return Ok(json!({"enabled": false}));
    };
    let mut values = json!({
        "enabled": true,
        "schedule": asked.schedule,
        "location": asked.location.clone().unwrap_or_default(),
        "retention": asked.retention.clone().unwrap_or_default(),
        "maxTracesPerPass": asked.max_traces_per_pass,
        "longRetentionAllowlist": asked.long_retention_allowlist,
    });
    job_resources(
        &mut values,
        "traceArchival.resources",
        asked.resources.as_ref(),
    )?;
    Ok(values)
}

/// The platform's authorities, then the user's.
fn bundles(server: &Validated) -> Value {
    let platform = server
        .has_platform_ca
        .then(|| json!({"name": PLATFORM_CA, "mountPath": "/etc/pki/tls/certs/platform"}));
    let user = server.spec.ca_bundle_config_map.as_ref();
    let user =
        user.map(|bundle| json!({"name": bundle.name, "mountPath": "/etc/pki/tls/certs/custom"}));
    json!(platform.into_iter().chain(user).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_takes_the_place_of_the_whole_default() {
        let default = json!({"requests": {"cpu": "1", "memory": "2Gi"}, "limits": {"cpu": "4"}});
        assert_eq!(
            over(
                &default,
                json!({"requests": {"memory": "8Gi"}, "claims": []})
            ),
            json!({"requests": {"cpu": null, "memory": "8Gi"}, "limits": null, "claims": []})
        );
    }

    #[test]
    fn an_origin_has_no_path() {
        for (address, expected) in [
            (
                "https://gw.example.test:8443/base",
                Some("https://gw.example.test:8443"),
            ),
            ("https://gw.example.test", Some("https://gw.example.test")),
            ("https:///x", None),
            ("gw", None),
        ] {
            assert_eq!(origin(address).as_deref(), expected);
        }
    }
}
