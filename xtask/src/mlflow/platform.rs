//! The MLflow operator on a platform that is there.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{Common, namespace};

/// Which platform is there.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PlatformName {
    /// Open Data Hub
    Odh,
    /// Red Hat OpenShift AI
    Rhoai,
}

#[derive(Args, Debug)]
pub(crate) struct DeployToPlatform {
    #[command(flatten)]
    common: Common,
    /// Which platform
    #[arg(long, env = "PLATFORM", value_enum, default_value = "odh")]
    platform: PlatformName,
    /// The Gateway whose address users call
    #[arg(long, env = "ODH_GATEWAY_NAME", default_value = "data-science-gateway")]
    gateway_name: String,
    /// Its namespace
    #[arg(
        long,
        env = "ODH_GATEWAY_NAMESPACE",
        default_value = "openshift-ingress"
    )]
    gateway_namespace: String,
}

/// The operator on a platform, told where the platform's gateway is.
pub(crate) fn deploy_to_platform(options: &DeployToPlatform) -> Result<()> {
    let (common, name) = (&options.common, &options.gateway_name);
    let place = [
        "get",
        "gateway",
        name,
        "-n",
        &options.gateway_namespace,
        "-o",
        "json",
    ];
    let output = common.kubectl(&place).stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("running {}", common.kubectl))?;
    let missing = || {
        format!(
            "Gateway {}/{name} has no address: ODH_GATEWAY_NAME and ODH_GATEWAY_NAMESPACE name the \
             platform's Gateway, which has to be there first",
            options.gateway_namespace
        )
    };
    ensure!(output.status.success(), missing());
    let gateway: Value = serde_json::from_slice(&output.stdout)?;
    let host = address(&gateway).with_context(missing)?;
    let overlay = match options.platform {
        PlatformName::Odh => "overlays/odh",
        PlatformName::Rhoai => "overlays/rhoai",
    };
    let url = format!("https://{host}");
    let environment = [
        ("MLFLOW_URL", url.as_str()),
        ("GATEWAY_NAME", name),
        ("GATEWAY_NAMESPACE", &options.gateway_namespace),
    ];
    let objects = common.manifests(overlay, common.img.as_deref(), &environment)?;
    common.apply(None, &objects)?;
    println!(
        "the operator is in namespace {}, and MLflow will be at {url}/mlflow",
        namespace(&objects)?
    );
    Ok(())
}

/// The first address of a Gateway.
fn address(gateway: &Value) -> Option<&str> {
    let address = gateway.pointer("/status/addresses/0/value")?.as_str()?;
    Some(address).filter(|address| !address.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_of_a_gateway_is_one() {
        let gateway = |value: &str| json!({"status": {"addresses": [{"value": value}]}});
        assert_eq!(
            address(&gateway("gateway.example")),
            Some("gateway.example")
        );
        assert_eq!(address(&gateway("")), None);
        assert_eq!(address(&json!({})), None);
    }
}
