//! The certificate that admission and conversion are served with.
//!
//! Either it lies in a directory, mounted from a Secret that somebody else fills: it is followed,
//! and nobody's caBundle is touched. Or the operator makes it. Then a Secret in its own namespace
//! holds it, all replicas share it, and its authorities are kept in every webhook configuration and
//! definition that leads to the operator's Service. All of that is written with what was seen as the
//! condition, so that replicas need no Lease: whoever is slower sees the other's write.

mod keeper;
mod targets;
mod unserved;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;

use crate::{shutdown::Shutdown, tls::ServingCertificate};

pub use unserved::take_back;

/// How often a directory is looked at that has no certificate yet.
const LOOK: Duration = Duration::from_secs(2);

/// The time by which certificates are renewed.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where a certificate that the operator makes is kept, and who must know its authority.
#[derive(Clone, Copy, Debug)]
pub struct Keeping {
    /// Secret in the operator's own namespace.
    pub secret: &'static str,
    /// Service that leads to the operator, in the same namespace. The certificate is for it.
    pub service: &'static str,
    /// MutatingWebhookConfigurations, ValidatingWebhookConfigurations and
    /// CustomResourceDefinitions that may lead to it.
    pub targets: &'static [(resources::Kind, &'static str)],
    /// Field manager of the writes.
    pub field_manager: &'static str,
}

/// Loads a certificate and keeps it fresh, in a task of its own until shutdown. `loaded` is called
/// after each load.
#[expect(clippy::too_many_arguments, reason = "called once")]
pub(crate) fn start(
    certificate: Arc<ServingCertificate>,
    directory: Option<PathBuf>,
    keeping: Keeping,
    client: Client,
    namespace: String,
    clock: Clock,
    shutdown: &Shutdown,
    loaded: impl Fn(&ServingCertificate) + Clone + Send + Sync + 'static,
) {
    let stop = shutdown.clone();
    tokio::spawn(async move {
        let work = async {
            match directory {
                Some(directory) => follow(&certificate, directory, loaded).await,
                None => {
                    keeper::Keeper::new(certificate, keeping, client, namespace, clock, loaded)
                        .run()
                        .await;
                }
            }
        };
        stop.interrupt(work).await;
    });
}

/// Follows the files in `directory`, which may come later.
async fn follow(
    certificate: &Arc<ServingCertificate>,
    directory: PathBuf,
    loaded: impl Fn(&ServingCertificate) + Clone + Send + 'static,
) {
    let (chain, key) = (directory.join("tls.crt"), directory.join("tls.key"));
    let mut told = String::new();
    loop {
        let following = certificate.follow_files(chain.clone(), key.clone(), loaded.clone());
        match following {
            Ok(task) => {
                tracing::info!(directory = %directory.display(), "the webhooks' certificate is loaded");
                // It ends only with the process.
                let _ = task.await;
                return;
            }
            Err(error) => {
                let sentence = error.to_string();
                if told != sentence {
                    tracing::warn!(error = sentence, "webhooks wait for their certificate");
                    told = sentence;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
