//! Certificates for the samples with TLS: files in `certs/`, and the Secrets and the ConfigMap that
//! the samples name.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use kube::api::{Api, DeleteParams, DynamicObject};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, Config};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use serde_json::json;
use time::OffsetDateTime;

use crate::steps::root;

/// The registry of all samples.
const REGISTRY: &str = "modelregistry-sample";
/// Host name of the samples' database, and what its Secret and ConfigMap are called.
const DATABASE: (&str, &str) = ("model-registry-db", "model-registry-db-credential");
/// The authority's file, without its ending.
const AUTHORITY: &str = "domain";

#[derive(Args)]
pub(crate) struct Certificates {
    /// Domain of the gateway's host names. Without it, that of OpenShift's applications
    #[arg(long, env = "DOMAIN", value_parser = domain)]
    domain: Option<String>,
    /// Namespace of the samples. Without it, that of the current context
    #[arg(long, short = 'n')]
    namespace: Option<String>,
    /// Namespace of the ingress gateway
    #[arg(long, default_value = "istio-system")]
    ingress_namespace: String,
    /// Folder of the files
    #[arg(long, default_value = "certs")]
    directory: PathBuf,
    /// Write the files alone, and ask no cluster
    #[arg(long, conflicts_with = "clean")]
    files_only: bool,
    /// Remove what this task has made, in the folder and in the cluster
    #[arg(long)]
    clean: bool,
}

fn domain(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if text.is_empty() || !text.chars().all(plain) {
        return Err("a domain is made of letters, digits, '-' and '.'".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

/// One certificate with its key, PEM.
struct Issued {
    certificate: String,
    key: String,
}

/// All that the samples need.
struct All {
    authority: Issued,
    rest: Issued,
    grpc: Issued,
    database: Issued,
}

pub(crate) fn run(options: &Certificates) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let directory = root().join(&options.directory);
        if options.clean {
            clean_files(&directory)?;
            return Target::find(options).await?.clean().await;
        }
        if options.files_only {
            let Some(domain) = &options.domain else {
                bail!("--domain: name the domain of the gateway's host names");
            };
            let namespace = options.namespace.as_deref().unwrap_or("default");
            return write_files(&directory, &issue(domain, namespace)?);
        }
        let target = Target::find(options).await?;
        let domain = match &options.domain {
            Some(domain) => domain.clone(),
            None => target.domain().await?,
        };
        let all = issue(&domain, &target.namespace)?;
        write_files(&directory, &all)?;
        target.store(&all).await
    })
}

/// A self-signed authority, and what it signs, all valid for a year.
fn issue(domain: &str, namespace: &str) -> Result<All> {
    let mut params = params("model registry samples", Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let leaf = |names: Vec<String>| -> Result<Issued> {
        let first = names.first().cloned().unwrap_or_default();
        let mut params = self::params(&first, names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Issued {
            certificate: params.signed_by(&key, &authority)?.pem(),
            key: key.serialize_pem(),
        })
    };
    let (database, _) = DATABASE;
    Ok(All {
        rest: leaf(vec![format!("{REGISTRY}-rest.{domain}")])?,
        grpc: leaf(vec![format!("{REGISTRY}-grpc.{domain}")])?,
        database: leaf(vec![
            database.to_owned(),
            format!("{database}.{namespace}"),
            format!("{database}.{namespace}.svc"),
            format!("{database}.{namespace}.svc.cluster.local"),
        ])?,
        authority: Issued {
            certificate: authority.pem(),
            key: authority.key().serialize_pem(),
        },
    })
}

fn params(name: &str, names: Vec<String>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(names)?;
    // A common name has 64 characters; a host name that is longer stands where clients look.
    if name.len() <= 64 {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params
        .distinguished_name
        .push(DnType::OrganizationName, "modelregistry organization");
    let now = jiff::Timestamp::now().as_second();
    let (hour, year) = (3600, 365 * 24 * 3600);
    params.not_before = OffsetDateTime::from_unix_timestamp(now - hour)?;
    params.not_after = OffsetDateTime::from_unix_timestamp(now + year)?;
    Ok(params)
}

impl All {
    /// In the order of [`file_names`].
    fn files(&self) -> [&Issued; 4] {
        [&self.authority, &self.rest, &self.grpc, &self.database]
    }

    /// A Secret as the samples read it.
    fn secret(&self, name: &str, issued: &Issued) -> String {
        let data = json!({
            "tls.key": issued.key,
            "tls.crt": issued.certificate,
            "ca.crt": self.authority.certificate,
        });
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
            .to_string()
    }
}

/// Names of the files, without their ending.
fn file_names() -> [String; 4] {
    [
        AUTHORITY.to_owned(),
        format!("{REGISTRY}-rest.{AUTHORITY}"),
        format!("{REGISTRY}-grpc.{AUTHORITY}"),
        DATABASE.0.to_owned(),
    ]
}

fn write_files(directory: &Path, all: &All) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    for (name, issued) in file_names().iter().zip(all.files()) {
        for (end, mode, text) in [
            ("crt", 0o644, &issued.certificate),
            ("key", 0o600, &issued.key),
        ] {
            let path = directory.join(format!("{name}.{end}"));
            let mut options = fs::OpenOptions::new();
            options.write(true).create(true).truncate(true).mode(mode);
            let written = options
                .open(&path)
                .and_then(|mut file| file.write_all(text.as_bytes()));
            written.with_context(|| path.display().to_string())?;
        }
    }
    println!("certificates are in {}", directory.display());
    Ok(())
}

fn clean_files(directory: &Path) -> Result<()> {
    for name in file_names() {
        for end in ["crt", "key"] {
            let path = directory.join(format!("{name}.{end}"));
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// The cluster of the current context.
struct Target {
    client: Client,
    namespace: String,
    ingress: String,
}

impl Target {
    async fn find(options: &Certificates) -> Result<Self> {
        let config = Config::infer()
            .await
            .context("no cluster is known: set KUBECONFIG, or give --files-only")?;
        let namespace = options.namespace.clone();
        Ok(Self {
            namespace: namespace.unwrap_or_else(|| config.default_namespace.clone()),
            ingress: options.ingress_namespace.clone(),
            client: Client::try_from(config)?,
        })
    }

    fn api(&self, group: &str, kind: &str, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        cluster::api_of(&self.client, namespace, resource)
    }

    /// The domain of OpenShift's applications.
    async fn domain(&self) -> Result<String> {
        let ingress = self.api("config.openshift.io", "Ingress", None);
        let found = ingress.get("cluster").await.ok();
        let domain = found.and_then(|found| {
            let domain = found.data.pointer("/spec/domain")?.as_str()?;
            Some(domain.to_owned())
        });
        domain.context("the domain of the gateway's host names is not known: set DOMAIN")
    }

    /// Whether there is a namespace for the ingress gateway.
    async fn has_ingress(&self) -> Result<bool> {
        Ok(self
            .api("", "Namespace", None)
            .get_opt(&self.ingress)
            .await?
            .is_some())
    }

    async fn store(&self, all: &All) -> Result<()> {
        let (_, credential) = DATABASE;
        if self.has_ingress().await? {
            for (side, issued) in [("rest", &all.rest), ("grpc", &all.grpc)] {
                let name = gateway_secret(side);
                let secret = all.secret(&name, issued);
                cluster::apply_yaml(&self.client, &self.ingress, &secret).await?;
                println!("Secret {}/{name}", self.ingress);
            }
        } else {
            println!(
                "namespace {} does not exist: the certificates of the gateway are in files alone",
                self.ingress
            );
        }
        let secret = all.secret(credential, &all.database);
        cluster::apply_yaml(&self.client, &self.namespace, &secret).await?;
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": credential},
            "data": {"ca.crt": all.authority.certificate}});
        cluster::apply_yaml(&self.client, &self.namespace, &map.to_string()).await?;
        println!("Secret and ConfigMap {}/{credential}", self.namespace);
        Ok(())
    }

    async fn clean(&self) -> Result<()> {
        let (_, credential) = DATABASE;
        let (rest, grpc) = (gateway_secret("rest"), gateway_secret("grpc"));
        for (kind, namespace, name) in [
            ("Secret", &self.ingress, rest.as_str()),
            ("Secret", &self.ingress, grpc.as_str()),
            ("Secret", &self.namespace, credential),
            ("ConfigMap", &self.namespace, credential),
        ] {
            let api = self.api("", kind, Some(namespace));
            match api.delete(name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                answer => drop(answer?),
            }
        }
        Ok(())
    }
}

fn gateway_secret(side: &str) -> String {
    format!("{REGISTRY}-{side}-credential")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
    use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

    use super::*;

    fn verify(authority: &str, leaf: &str, name: &str) -> bool {
        let authority = CertificateDer::from_pem_slice(authority.as_bytes()).unwrap();
        let leaf = CertificateDer::from_pem_slice(leaf.as_bytes()).unwrap();
        let leaf = EndEntityCert::try_from(&leaf).unwrap();
        let anchors = [anchor_from_trusted_cert(&authority).unwrap()];
        let signed = leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &[],
            UnixTime::now(),
            KeyUsage::server_auth(),
            None,
            None,
        );
        let name = ServerName::try_from(name).unwrap();
        signed.is_ok() && leaf.verify_is_valid_for_subject_name(&name).is_ok()
    }

    #[test]
    fn every_certificate_verifies_for_its_own_host_and_no_other() {
        let all = issue("apps.example.test", "models").unwrap();
        let other = issue("apps.example.test", "models").unwrap();
        let hosts = [
            (&all.rest, "modelregistry-sample-rest.apps.example.test"),
            (&all.grpc, "modelregistry-sample-grpc.apps.example.test"),
            (&all.database, "model-registry-db"),
            (&all.database, "model-registry-db.models.svc.cluster.local"),
        ];
        for (issued, host) in hosts {
            let leaf = &issued.certificate;
            assert!(verify(&all.authority.certificate, leaf, host), "{host}");
            assert!(!verify(&other.authority.certificate, leaf, host), "{host}");
            assert!(!verify(&all.authority.certificate, leaf, "example.test"));
        }
    }

    #[test]
    fn files_and_secrets_have_the_names_and_keys_of_the_samples() {
        let folder = tempfile::tempdir().unwrap();
        let all = issue("apps.example.test", "models").unwrap();
        write_files(folder.path(), &all).unwrap();
        let authority = fs::read_to_string(folder.path().join("domain.crt")).unwrap();
        assert_eq!(authority, all.authority.certificate);
        let key = folder.path().join("modelregistry-sample-rest.domain.key");
        assert_eq!(
            fs::metadata(key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let secret: serde_json::Value = serde_json::from_str(&all.secret("s", &all.rest)).unwrap();
        let keys: Vec<_> = secret["stringData"].as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ca.crt", "tls.crt", "tls.key"]);
        clean_files(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        clean_files(folder.path()).unwrap();
    }

    #[test]
    fn a_domain_is_a_domain() {
        assert_eq!(domain("Apps.Example.test").unwrap(), "apps.example.test");
        assert!(domain("").is_err() && domain("a b").is_err());
    }

    /// In a cluster: where the samples look, and gone again.
    #[tokio::test]
    async fn what_is_stored_is_found_and_goes() {
        let cluster = cluster::shared(cluster::Platform::OpenShift).unwrap();
        let client = cluster.client().unwrap();
        let namespace = cluster.namespace("certificates").await.unwrap();
        let target = Target {
            client: client.clone(),
            namespace: namespace.clone(),
            ingress: "istio-system".to_owned(),
        };
        let domain = target.domain().await.unwrap();
        assert_eq!(domain, "apps.example.test");
        let all = issue(&domain, &namespace).unwrap();
        target.store(&all).await.unwrap();
        let secrets = |namespace: &str| target.api("", "Secret", Some(namespace));
        let rest = gateway_secret("rest");
        assert!(
            secrets("istio-system")
                .get_opt(&rest)
                .await
                .unwrap()
                .is_none()
        );
        let ingress = "{apiVersion: v1, kind: Namespace, metadata: {name: istio-system}}";
        cluster::apply_yaml(&client, "default", ingress)
            .await
            .unwrap();
        target.store(&all).await.unwrap();
        let found = secrets("istio-system").get(&rest).await.unwrap();
        assert!(found.data["data"]["tls.crt"].is_string());
        let maps = target.api("", "ConfigMap", Some(&namespace));
        let map = maps.get("model-registry-db-credential").await.unwrap();
        assert_eq!(map.data["data"]["ca.crt"], all.authority.certificate);
        target.clean().await.unwrap();
        target.clean().await.unwrap();
        assert!(
            secrets("istio-system")
                .get_opt(&rest)
                .await
                .unwrap()
                .is_none()
        );
        let own = secrets(&namespace);
        let database = own.get_opt("model-registry-db-credential").await;
        assert!(database.unwrap().is_none());
    }
}
