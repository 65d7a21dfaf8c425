//! The certificate that the operator makes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, future::Either, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use resources::{
    Kind,
    certificates::{self, CERTIFICATE, Fresh, PRIVATE_KEY, SecretData},
};

use super::{
    Clock, Keeping,
    targets::{Clients, Target},
};
use crate::tls::ServingCertificate;

/// Distance of tries after something failed.
const RETRY: Duration = Duration::from_secs(5);
/// Distance of tries after the API server refused to show something: rights change seldom.
const REFUSED: Duration = Duration::from_mins(10);
/// The longest sleep: a clock that was set forward is noticed after it. It costs no request.
const LONGEST: Duration = Duration::from_hours(1);

/// Keeps Secret, caBundles and what is served in step.
pub(super) struct Keeper<L> {
    certificate: Arc<ServingCertificate>,
    keeping: Keeping,
    client: Client,
    namespace: String,
    clock: Clock,
    loaded: L,
    secret: Look<Secret>,
    /// Absent is what does not lead to us as well.
    targets: Vec<Look<Target>>,
    /// What is served.
    served: Option<SecretData>,
}

/// What is known of an object.
#[derive(Clone, Debug)]
enum Look<T> {
    /// It was not looked for yet.
    NotYet,
    Absent,
    There(T),
}

impl<T> From<Option<T>> for Look<T> {
    fn from(seen: Option<T>) -> Self {
        seen.map_or(Self::Absent, Self::There)
    }
}

/// Something that was seen.
enum Seen {
    Secret(Option<Secret>),
    Target(usize, Option<Clients>),
}

/// Why not everything is as it should be.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Issue(#[from] certificates::IssueError),
    #[error(transparent)]
    Serve(#[from] crate::tls::TlsError),
    #[error("{what}: {source}")]
    Write {
        what: String,
        source: Box<kube::Error>,
    },
}

impl<L: Fn(&ServingCertificate)> Keeper<L> {
    pub(super) fn new(
        certificate: Arc<ServingCertificate>,
        keeping: Keeping,
        client: Client,
        namespace: String,
        clock: Clock,
        loaded: L,
    ) -> Self {
        Self {
            certificate,
            keeping,
            client,
            namespace,
            clock,
            loaded,
            secret: Look::NotYet,
            targets: vec![Look::NotYet; keeping.targets.len()],
            served: None,
        }
    }

    /// Runs for as long as the process does.
    pub(super) async fn run(mut self) {
        let mut seen = self.watches();
        let mut wait: Option<Duration> = None;
        loop {
            let sleep = wait.map_or_else(
                || Either::Left(std::future::pending()),
                |wait| Either::Right(tokio::time::sleep(wait)),
            );
            tokio::select! {
                Some(event) = seen.next() => self.note(event),
                () = sleep => {}
            }
            wait = match self.step().await {
                Ok(due) => due.map(|due| self.until(due)),
                Err(error) => {
                    tracing::warn!(%error, "the webhooks' certificate is not in order; trying again");
                    Some(RETRY)
                }
            };
        }
    }

    fn until(&self, due: Timestamp) -> Duration {
        let left = (self.clock)().duration_until(due);
        Duration::try_from(left).unwrap_or_default().min(LONGEST)
    }

    fn watches(&self) -> BoxStream<'static, Seen> {
        let named =
            |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let secret = states(watcher(secrets, named(self.keeping.secret)).default_backoff())
            .map(Seen::Secret)
            .boxed();
        let targets = self.keeping.targets.iter().enumerate();
        let targets = targets.map(|(index, (kind, name))| {
            let api: Api<Clients> = Api::all_with(self.client.clone(), &(*kind).into());
            states(watcher(api, named(name)).default_backoff())
                .map(move |object| Seen::Target(index, object))
                .boxed()
        });
        futures::stream::select_all(targets.chain([secret])).boxed()
    }

    fn note(&mut self, seen: Seen) {
        match seen {
            Seen::Secret(secret) => self.secret = secret.into(),
            Seen::Target(index, object) => {
                let kind = self.keeping.targets.get(index).map(|(kind, _)| *kind);
                if let (Some(kind), Some(slot)) = (kind, self.targets.get_mut(index)) {
                    *slot = target(kind, object, self.keeping, &self.namespace).into();
                }
            }
        }
    }

    /// Does what is missing, and says when there will be something again.
    async fn step(&mut self) -> Result<Option<Timestamp>, KeepError> {
        let secret = match self.secret.clone() {
            Look::NotYet => return Ok(None),
            Look::Absent => None,
            Look::There(secret) => Some(secret),
        };
        if self.targets.iter().any(|look| matches!(look, Look::NotYet)) {
            return Ok(None);
        }
        if self.targets.iter().all(|look| matches!(look, Look::Absent)) {
            // Nobody calls us: nothing is written, and what is served need not be verifiable.
            if !self.certificate.is_loaded() {
                self.certificate.set_self_signed(&["localhost"])?;
                (self.loaded)(&self.certificate);
            }
            return Ok(None);
        }
        let existing = secret.as_ref().and_then(|secret| secret.data.as_ref());
        let serving = certificates::advance(existing, &self.names(), (self.clock)(), &Fresh)?;
        if existing != Some(&serving.secret)
            && !self.write_secret(secret.as_ref(), &serving.secret).await?
        {
            // Another replica was faster: its Secret is about to be seen.
            return Ok(None);
        }
        let told = self.tell(&serving.bundle).await;
        // Served all the same: clients may have it from elsewhere.
        if self.served.as_ref() != Some(&serving.secret) {
            let part = |key: &str| serving.secret.get(key).map_or(&[][..], |bytes| &bytes.0);
            self.certificate
                .set_pem(part(CERTIFICATE), part(PRIVATE_KEY))?;
            self.served = Some(serving.secret.clone());
            (self.loaded)(&self.certificate);
        }
        told.map(|()| Some(serving.due))
    }

    /// Names by which the API server and others call the Service.
    fn names(&self) -> BTreeSet<String> {
        let (service, namespace) = (self.keeping.service, &self.namespace);
        ["", ".svc", ".svc.cluster.local"]
            .map(|end| format!("{service}.{namespace}{end}"))
            .into()
    }

    /// `false` when somebody else wrote it since it was seen.
    async fn write_secret(
        &mut self,
        seen: Option<&Secret>,
        data: &SecretData,
    ) -> Result<bool, KeepError> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let how = PostParams {
            field_manager: Some(self.keeping.field_manager.to_owned()),
            ..PostParams::default()
        };
        let name = self.keeping.secret;
        let written = if let Some(seen) = seen {
            let secret = Secret {
                data: Some(data.clone()),
                ..seen.clone()
            };
            api.replace(name, &how, &secret).await
        } else {
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(name.to_owned()),
                    ..ObjectMeta::default()
                },
                type_: Some("kubernetes.io/tls".to_owned()),
                data: Some(data.clone()),
                ..Secret::default()
            };
            api.create(&how, &secret).await
        };
        match written {
            Ok(secret) => {
                tracing::info!(secret = name, "the webhooks' certificate is written");
                self.secret = Look::There(secret);
                Ok(true)
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(source) => Err(KeepError::Write {
                what: format!("Secret {}/{name}", self.namespace),
                source: Box::new(source),
            }),
        }
    }

    /// Makes everybody who calls us trust the authorities.
    async fn tell(&mut self, bundle: &str) -> Result<(), KeepError> {
        let how = PatchParams {
            field_manager: Some(self.keeping.field_manager.to_owned()),
            ..PatchParams::default()
        };
        let mut failed = None;
        for slot in &mut self.targets {
            let Look::There(seen) = slot else { continue };
            let Some(patch) = seen.patch(bundle) else {
                continue;
            };
            let api: Api<Clients> = Api::all_with(self.client.clone(), &seen.kind.into());
            let patch: json_patch::Patch = match serde_json::from_value(patch) {
                Ok(patch) => patch,
                Err(error) => {
                    tracing::error!(%error, "the caBundle's patch is none");
                    continue;
                }
            };
            match api.patch(&seen.name, &how, &Patch::<()>::Json(patch)).await {
                Ok(object) => {
                    tracing::info!(kind = %seen.kind, name = seen.name, "the caBundle is kept");
                    let seen = target(seen.kind, Some(object), self.keeping, &self.namespace);
                    *slot = seen.into();
                }
                // Not as it was seen any more: the change is about to be seen. A failed "test" is 422.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409 | 422) => {
                    tracing::debug!(kind = %seen.kind, name = seen.name, error = status.message, "the caBundle is set later");
                }
                Err(source) => {
                    failed = Some(KeepError::Write {
                        what: format!("caBundle of {} {}", seen.kind, seen.name),
                        source: Box::new(source),
                    });
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn target(
    kind: Kind,
    object: Option<Clients>,
    keeping: Keeping,
    namespace: &str,
) -> Option<Target> {
    // What came as JSON is JSON.
    let object = serde_json::to_value(object?).ok()?;
    let Keeping {
        service,
        field_manager,
        ..
    } = keeping;
    Target::of(kind, &object, service, namespace, field_manager)
}

/// The state of the one object that a watch selects, whenever it may have changed. The watch goes on
/// by itself after an error. What may not be looked at counts as absent: we may not write it either.
fn states<K: Send + 'static>(
    events: impl Stream<Item = Result<Event<K>, watcher::Error>> + Send + 'static,
) -> impl Stream<Item = Option<K>> + Send + 'static {
    let begin = (Box::pin(events), None, false);
    futures::stream::unfold(begin, |(mut events, mut listed, refused)| async move {
        if refused {
            tokio::time::sleep(REFUSED).await;
        }
        loop {
            let state = match events.next().await? {
                Ok(Event::Init) => {
                    listed = None;
                    continue;
                }
                Ok(Event::InitApply(object)) => {
                    listed = Some(object);
                    continue;
                }
                Ok(Event::InitDone) => listed.take(),
                Ok(Event::Apply(object)) => Some(object),
                Ok(Event::Delete(_)) => None,
                Err(error) => {
                    tracing::warn!(%error, "what the webhooks' certificate depends on is not seen; trying again");
                    if is_forbidden(&error) {
                        return Some((None, (events, None, true)));
                    }
                    continue;
                }
            };
            return Some((state, (events, listed, false)));
        }
    })
}

fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 403,
        _ => false,
    }
}
