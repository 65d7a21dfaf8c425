//! The TLS profile of the cluster's API server, by which our own servers serve as well.
//!
//! OpenShift has it in `apiservers.config.openshift.io/cluster`. It is followed by a watch on that
//! object, and a change counts for the connections that begin after it.

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use kube::{
    Api, Client,
    api::DynamicObject,
    runtime::{WatchStreamExt, watcher},
};
use resources::kind::API_SERVER;
use rustls::ServerConfig;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    capabilities::Capabilities,
    discovery::refused,
    metrics::Metrics,
    permissions::{Permissions, Rule},
    tls::{ServingCertificate, TlsError, TlsProfile},
};

/// Servers wait this long for the profile before they serve the intermediate one.
const LIMIT: Duration = Duration::from_secs(10);
/// Name of the one object.
const NAME: &str = "cluster";

/// The profile that servers use, as it changes. Clones share it.
#[derive(Clone, Debug)]
pub struct TlsProfiles {
    /// `None` until it is known.
    current: watch::Receiver<Option<TlsProfile>>,
}

impl TlsProfiles {
    /// One profile for good.
    #[must_use]
    pub fn fixed(profile: TlsProfile) -> Self {
        Self {
            current: watch::channel(Some(profile)).1,
        }
    }

    /// The profile of the cluster, followed until the last clone is dropped. It is the intermediate
    /// one where the cluster has none, where the operator may not read it, and where it cannot be
    /// read within 10 s.
    #[must_use]
    pub fn follow(
        client: Client,
        capabilities: watch::Receiver<Arc<Capabilities>>,
        permissions: Arc<Permissions>,
        metrics: Metrics,
    ) -> Self {
        let (profile, current) = watch::channel(None);
        let follower = Follower {
            profile,
            permissions,
            metrics,
        };
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = follower.profile.closed() => {}
                () = follower.run(&client, capabilities) => {}
            }
        });
        Self { current }
    }
}

/// What a server says in a handshake: a certificate and the profile of the moment.
#[derive(Debug)]
pub struct TlsConfig {
    certificate: Arc<ServingCertificate>,
    profiles: TlsProfiles,
    profile: TlsProfile,
    config: Arc<ServerConfig>,
}

impl TlsConfig {
    /// Serves this certificate by these profiles.
    pub fn new(
        profiles: TlsProfiles,
        certificate: Arc<ServingCertificate>,
    ) -> Result<Self, TlsError> {
        let profile = TlsProfile::default();
        let config = Arc::new(profile.server_config(Arc::clone(&certificate))?);
        Ok(Self {
            certificate,
            profiles,
            profile,
            config,
        })
    }

    /// Waits until the profile is known, so that nobody is served by a weaker one before.
    pub(crate) async fn known(&mut self) {
        // Nobody finds it out any more only at the end of the process.
        let _ = self.profiles.current.wait_for(Option::is_some).await;
    }

    /// For the next handshake. It is made anew only when the profile changed, because it remembers
    /// sessions.
    pub(crate) fn current(&mut self) -> Arc<ServerConfig> {
        let next = self.profiles.current.borrow().clone();
        if let Some(next) = next.filter(|next| *next != self.profile) {
            match next.server_config(Arc::clone(&self.certificate)) {
                Ok(config) => self.config = Arc::new(config),
                Err(error) => tracing::warn!(%error, "the TLS profile in use stays"),
            }
            self.profile = next;
        }
        Arc::clone(&self.config)
    }
}

/// Keeps the profile true.
struct Follower {
    profile: watch::Sender<Option<TlsProfile>>,
    permissions: Arc<Permissions>,
    metrics: Metrics,
}

impl Follower {
    /// Follows the object while the cluster serves its kind and the operator may read it.
    async fn run(&self, client: &Client, mut capabilities: watch::Receiver<Arc<Capabilities>>) {
        loop {
            let served = capabilities.borrow_and_update().has(API_SERVER);
            if !served {
                self.fall_back("the cluster does not serve apiservers.config.openshift.io");
            }
            if !until(&mut capabilities, true).await {
                return;
            }
            let rules = ["list", "watch"].map(|verb| Rule::on(verb, API_SERVER));
            if let Some(rule) = rules.iter().find(|rule| !self.permissions.allows(rule)) {
                self.forbidden(rule.verb);
                return;
            }
            tokio::select! {
                served = until(&mut capabilities, false) => if !served { return },
                verb = self.relay(events(client)) => {
                    if let Some(verb) = verb {
                        self.forbidden(verb);
                    }
                    return;
                }
            }
        }
    }

    /// Publishes what a watch tells. Returns the verb that the server refused, if it did.
    async fn relay(
        &self,
        events: impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>>,
    ) -> Option<&'static str> {
        let mut events = std::pin::pin!(events);
        let deadline = Instant::now() + LIMIT;
        let mut listed = TlsProfile::default();
        loop {
            let event = tokio::select! {
                event = events.next() => event?,
                () = sleep_until(deadline), if !self.is_known() => {
                    self.fall_back("the cluster's profile could not be read within 10 s");
                    continue;
                }
            };
            match event {
                Ok(watcher::Event::Init) => listed = TlsProfile::default(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed = TlsProfile::from_openshift(&object.data);
                }
                Ok(watcher::Event::InitDone) => self.publish(listed.clone()),
                Ok(watcher::Event::Apply(object)) => {
                    self.publish(TlsProfile::from_openshift(&object.data));
                }
                Ok(watcher::Event::Delete(_)) => self.publish(TlsProfile::default()),
                Err(error) => {
                    if let Some(verb) = refused(&error) {
                        return Some(verb);
                    }
                    self.metrics.watch_restarted(API_SERVER.kind);
                    tracing::debug!(%error, "the watch of the TLS profile failed; it starts again");
                    if !self.is_known() {
                        self.fall_back("the cluster's profile cannot be read");
                    }
                }
            }
        }
    }

    fn is_known(&self) -> bool {
        self.profile.borrow().is_some()
    }

    /// A profile that is known stays: the right was taken away, the profile was not.
    fn forbidden(&self, verb: &'static str) {
        if self.is_known() {
            tracing::info!(
                verb,
                "apiservers.config.openshift.io may not be read any more; the TLS profile stays"
            );
        } else {
            self.fall_back("the operator may not list and watch apiservers.config.openshift.io");
        }
    }

    fn fall_back(&self, reason: &str) {
        tracing::info!(reason, "TLS is served by the profile Intermediate");
        self.profile.send_replace(Some(TlsProfile::intermediate()));
    }

    fn publish(&self, next: TlsProfile) {
        self.profile.send_if_modified(|profile| {
            if profile.as_ref() == Some(&next) {
                return false;
            }
            tracing::info!(profile = %next, "TLS is served by the cluster's profile");
            *profile = Some(next);
            true
        });
    }
}

/// Waits until the kind is served, or is not. `false` when nobody can tell any more.
async fn until(capabilities: &mut watch::Receiver<Arc<Capabilities>>, served: bool) -> bool {
    let change = capabilities.wait_for(|capabilities| capabilities.has(API_SERVER) == served);
    change.await.is_ok()
}

fn events(
    client: &Client,
) -> impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>> + use<> {
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &API_SERVER.into());
    let config = watcher::Config::default().fields(&format!("metadata.name={NAME}"));
    watcher(api, config).default_backoff()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use kube::core::Status;
    use rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        pki_types::{CertificateDer, ServerName, pem::PemObject as _},
        version::{TLS12, TLS13},
    };
    use serde_json::{Value, json};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::tls::TlsListener;

    fn follower() -> (Follower, watch::Receiver<Option<TlsProfile>>) {
        let (profile, current) = watch::channel(None);
        let follower = Follower {
            profile,
            permissions: Arc::new(Permissions::unknown()),
            metrics: Metrics::new("test").unwrap(),
        };
        (follower, current)
    }

    fn apiserver(profile: &str) -> DynamicObject {
        let object: Value = json!({
            "metadata": {"name": NAME}, "spec": {"tlsSecurityProfile": {"type": profile}},
        });
        serde_json::from_value(object).unwrap()
    }

    fn failed(code: u16) -> watcher::Error {
        let status = Status {
            code,
            ..Status::default()
        };
        watcher::Error::InitialListFailed(kube::Error::Api(Box::new(status)))
    }

    #[tokio::test]
    async fn what_the_watch_tells_is_the_profile() {
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let modern = || Ok(InitApply(apiserver("Modern")));
        let (intermediate, strict) = (TlsProfile::intermediate(), TlsProfile::modern());
        for (events, expected) in [
            (vec![Ok(Init)], None),
            (vec![Ok(Init), Ok(InitDone)], Some(&intermediate)),
            (vec![Ok(Init), modern(), Ok(InitDone)], Some(&strict)),
            (vec![Ok(Apply(apiserver("Modern")))], Some(&strict)),
            (
                vec![
                    Ok(Apply(apiserver("Modern"))),
                    Ok(Delete(apiserver("Modern"))),
                ],
                Some(&intermediate),
            ),
            (vec![Err(failed(500))], Some(&intermediate)),
            (
                vec![Err(failed(500)), Ok(Apply(apiserver("Modern")))],
                Some(&strict),
            ),
            // What was known stays while it cannot be read.
            (
                vec![Ok(Apply(apiserver("Modern"))), Err(failed(500))],
                Some(&strict),
            ),
        ] {
            let told = format!("{events:?}");
            let (follower, current) = follower();
            assert_eq!(follower.relay(stream::iter(events)).await, None);
            assert_eq!(current.borrow().as_ref(), expected, "{told}");
        }
    }

    #[tokio::test]
    async fn who_may_not_read_it_serves_the_intermediate_one() {
        let (follower, current) = follower();
        let verb = follower.relay(stream::iter([Err(failed(403))])).await;
        assert_eq!(verb, Some("list"));
        follower.forbidden("list");
        assert_eq!(*current.borrow(), Some(TlsProfile::intermediate()));
        follower.publish(TlsProfile::modern());
        follower.forbidden("watch");
        assert_eq!(*current.borrow(), Some(TlsProfile::modern()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_is_waited_for_10_s() {
        let (follower, current) = follower();
        let silent = stream::pending();
        let waiting = tokio::time::timeout(LIMIT / 2, follower.relay(silent)).await;
        assert!(waiting.is_err() && current.borrow().is_none());
        let waiting = tokio::time::timeout(LIMIT * 2, follower.relay(stream::pending())).await;
        assert!(waiting.is_err());
        assert_eq!(*current.borrow(), Some(TlsProfile::intermediate()));
    }

    /// Serves on a port. Returns a way to it with one version of TLS.
    async fn server(
        profiles: TlsProfiles,
    ) -> impl AsyncFn(&'static SupportedProtocolVersion) -> bool {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .unwrap();
        let certificate = ServingCertificate::new();
        let (pem, key) = (made.pem(), key.serialize_pem());
        certificate.set_pem(pem.as_bytes(), key.as_bytes()).unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let config = TlsConfig::new(profiles, certificate).unwrap();
        let mut listener = TlsListener::new(tcp, config).unwrap();
        tokio::spawn(async move {
            loop {
                axum::serve::Listener::accept(&mut listener).await;
            }
        });
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        async move |version| {
            let provider = Arc::new(crypto::provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[version])
                .unwrap()
                .with_root_certificates(roots.clone())
                .with_no_client_auth();
            let tcp = TcpStream::connect(address).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            connector.connect(name, tcp).await.is_ok()
        }
    }

    #[tokio::test]
    async fn a_change_counts_for_the_next_connection_and_none_is_served_before_it_is_known() {
        let (profile, current) = watch::channel(None);
        let connects = server(TlsProfiles { current }).await;
        let early = tokio::time::timeout(Duration::from_millis(100), connects(&TLS12)).await;
        assert!(early.is_err(), "the profile is not known yet");
        profile.send_replace(Some(TlsProfile::modern()));
        assert!(!connects(&TLS12).await && connects(&TLS13).await);
        profile.send_replace(Some(TlsProfile::intermediate()));
        assert!(connects(&TLS12).await && connects(&TLS13).await);
        profile.send_replace(Some(TlsProfile::modern()));
        // What was said last counts further.
        drop(profile);
        assert!(!connects(&TLS12).await && connects(&TLS13).await);
    }

    #[tokio::test]
    async fn the_configuration_is_made_anew_only_when_the_profile_changed() {
        let (profile, current) = watch::channel(Some(TlsProfile::modern()));
        let certificate = ServingCertificate::new();
        let mut config = TlsConfig::new(TlsProfiles { current }, certificate).unwrap();
        let first = config.current();
        profile.send_replace(Some(TlsProfile::modern()));
        assert!(Arc::ptr_eq(&first, &config.current()));
        profile.send_replace(Some(TlsProfile::intermediate()));
        assert!(!Arc::ptr_eq(&first, &config.current()));
    }
}
