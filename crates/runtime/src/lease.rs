//! Leader election by a Lease, so that one process writes at a time.
//!
//! It keeps the rules of client-go, whose processes may compete for the same Lease: the holder
//! renews every 2 s and gives up when it could not for 10 s; others wait until they themselves
//! have seen no renewal for the duration in the Lease (15 s). Nobody compares clocks: times in
//! the Lease are for people.

use std::{future::Future, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::Instant,
};

use crate::metrics::Metrics;

/// Where the Lease is and how fast it changes hands.
#[derive(Clone, Debug)]
pub struct LeaseSettings {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are: unique for the process.
    pub identity: String,
    /// Others wait this long after the last renewal that they saw.
    pub duration: Duration,
    /// The holder gives up when it could not renew for this long. Less than `duration`.
    pub renew_deadline: Duration,
    /// Distance of tries; each is up to a fifth later at random.
    pub retry: Duration,
}

impl LeaseSettings {
    /// The times of client-go (15 s, 10 s, 2 s) and an identity of our own.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What a candidate does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is no Lease: make one.
    Create,
    /// The Lease is free, or its holder has been silent for too long: take it.
    Acquire,
    /// It is ours: say that we live.
    Renew,
    /// Somebody holds it, at least this long.
    Wait(Duration),
}

/// The Lease as seen last, and since when it has looked like that, by our own clock.
#[derive(Clone, Debug)]
pub struct Observed {
    lease: LeaseObject,
    since: Instant,
}

impl Observed {
    /// The Lease was read at `now`. What was seen before keeps its time while it is unchanged.
    #[must_use]
    pub fn update(before: Option<&Self>, lease: LeaseObject, now: Instant) -> Self {
        let since = match before {
            Some(before) if before.lease.spec == lease.spec => before.since,
            _ => now,
        };
        Self { lease, since }
    }
}

/// What to do with a Lease in this state.
#[must_use]
pub fn decide(observed: Option<&Observed>, now: Instant, me: &str) -> Decision {
    let Some(observed) = observed else {
        return Decision::Create;
    };
    let Some(spec) = &observed.lease.spec else {
        return Decision::Acquire;
    };
    match spec.holder_identity.as_deref() {
        None | Some("") => Decision::Acquire,
        Some(holder) if holder == me => Decision::Renew,
        Some(_) => {
            let seconds = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
            let free = observed.since + Duration::from_secs(seconds);
            match free.checked_duration_since(now) {
                Some(rest) if !rest.is_zero() => Decision::Wait(rest),
                _ => Decision::Acquire,
            }
        }
    }
}

/// The Lease is ours, until [`Lease::lost`]. A task renews it.
///
/// Dropping it without [`Lease::release`] stops the renewal; others wait for the duration then.
#[derive(Debug)]
pub struct Lease {
    lost: watch::Receiver<bool>,
    release: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Lease {
    /// Waits until the Lease is ours. Failures of the API server are logged and tried again; drop
    /// the future to stop.
    pub async fn acquire(client: Client, settings: LeaseSettings, metrics: Metrics) -> Self {
        let mut candidate = Candidate {
            api: Api::namespaced(client, &settings.namespace),
            settings,
            observed: None,
            told: None,
        };
        metrics.leader(&candidate.settings.name, false);
        loop {
            let began = Instant::now();
            match candidate.attempt().await {
                Ok(true) => return Self::hold(candidate, began, metrics),
                Ok(false) => {}
                Err(error) => tracing::warn!(
                    %error,
                    lease = candidate.settings.name,
                    namespace = candidate.settings.namespace,
                    "the Lease could not be taken; trying again"
                ),
            }
            tokio::time::sleep(jittered(candidate.settings.retry)).await;
        }
    }

    fn hold(candidate: Candidate, renewed: Instant, metrics: Metrics) -> Self {
        let name = candidate.settings.name.clone();
        tracing::info!(
            lease = name,
            identity = candidate.settings.identity,
            "the Lease is ours"
        );
        metrics.leader(&name, true);
        let (lost_sender, lost) = watch::channel(false);
        let (release, released) = oneshot::channel();
        let task = tokio::spawn(async move {
            candidate.renew(renewed, released).await;
            metrics.leader(&name, false);
            lost_sender.send_replace(true);
        });
        Self {
            lost,
            release: Some(release),
            task,
        }
    }

    /// Resolves when the Lease is no longer ours: nothing may be written from then on. It
    /// borrows nothing.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut lost = self.lost.clone();
        // An error means that the task is gone, and with it the Lease.
        async move { drop(lost.wait_for(|lost| *lost).await) }
    }

    /// Gives the Lease to whoever wants it next. Waits for the write, at most the retry distance
    /// of a request.
    pub async fn release(mut self) {
        if let Some(release) = self.release.take() {
            let _ = release.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One process that holds the Lease or wants it.
struct Candidate {
    api: Api<LeaseObject>,
    settings: LeaseSettings,
    observed: Option<Observed>,
    /// The holder that was logged last.
    told: Option<String>,
}

impl Candidate {
    /// Reads the Lease and takes or renews it when that is due. `true` when it is ours.
    async fn attempt(&mut self) -> kube::Result<bool> {
        let read = self.api.get_opt(&self.settings.name).await?;
        let now = Instant::now();
        self.observed = read.map(|lease| Observed::update(self.observed.as_ref(), lease, now));
        match decide(self.observed.as_ref(), now, &self.settings.identity) {
            Decision::Wait(_) => {
                self.tell_holder();
                Ok(false)
            }
            _ => self.write().await,
        }
    }

    /// Writes the Lease as ours on top of what was seen. `false` when somebody was faster.
    async fn write(&mut self) -> kube::Result<bool> {
        let seen = self.observed.as_ref().map(|observed| &observed.lease);
        let ours = held(seen, &self.settings, Timestamp::now());
        let written = match seen {
            None => self.api.create(&PostParams::default(), &ours).await,
            Some(_) => {
                self.api
                    .replace(&self.settings.name, &PostParams::default(), &ours)
                    .await
            }
        };
        match written {
            Ok(lease) => {
                self.observed = Some(Observed {
                    lease,
                    since: Instant::now(),
                });
                Ok(true)
            }
            // Somebody wrote between: 409 for a create and for a replace, 404 after a deletion.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renews until the Lease is lost or released. `renewed` is when the last successful write
    /// began: others may count from then.
    async fn renew(mut self, mut renewed: Instant, mut released: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                // A dropped sender means that this task is about to be aborted.
                _ = &mut released => return self.give_back().await,
                () = tokio::time::sleep(jittered(self.settings.retry)) => {}
            }
            let began = Instant::now();
            let deadline = renewed + self.settings.renew_deadline;
            match tokio::time::timeout_at(deadline, self.renewal()).await {
                Ok(Ok(true)) => renewed = began,
                Ok(Ok(false)) => {
                    tracing::error!(lease = self.settings.name, "somebody else took the Lease");
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = self.settings.name, "the Lease was not renewed");
                }
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                tracing::error!(
                    lease = self.settings.name,
                    seconds = self.settings.renew_deadline.as_secs(),
                    "the Lease could not be renewed in time and is given up"
                );
                return;
            }
        }
    }

    /// One write on top of our last; when that conflicts, a look at what is there. `false` when
    /// it is somebody else's.
    async fn renewal(&mut self) -> kube::Result<bool> {
        if self.write().await? {
            return Ok(true);
        }
        self.attempt().await
    }

    /// Leaves the Lease without a holder, as client-go's ReleaseOnCancel does.
    async fn give_back(self) {
        let Some(observed) = self.observed else {
            return;
        };
        let mut lease = observed.lease;
        let now = MicroTime(Timestamp::now());
        let spec = lease.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(now.clone());
        spec.acquire_time = Some(now);
        let write = PostParams::default();
        let written = self.api.replace(&self.settings.name, &write, &lease);
        match tokio::time::timeout(self.settings.renew_deadline, written).await {
            Ok(Ok(_)) => tracing::info!(lease = self.settings.name, "the Lease is released"),
            Ok(Err(error)) => {
                tracing::warn!(%error, lease = self.settings.name, "the Lease was not released");
            }
            Err(_) => tracing::warn!(
                lease = self.settings.name,
                "the Lease was not released in time"
            ),
        }
    }

    fn tell_holder(&mut self) {
        let spec = self
            .observed
            .as_ref()
            .and_then(|observed| observed.lease.spec.as_ref());
        let holder = spec.and_then(|spec| spec.holder_identity.clone());
        if holder != self.told {
            tracing::info!(
                lease = self.settings.name,
                holder = holder.as_deref().unwrap_or_default(),
                "waiting for the Lease"
            );
            self.told = holder;
        }
    }
}

/// The Lease as we write it: on top of what was seen, with its labels, and with its resource
/// version, so that the server refuses it when somebody else wrote meanwhile.
fn held(seen: Option<&LeaseObject>, settings: &LeaseSettings, now: Timestamp) -> LeaseObject {
    let mut lease = seen.cloned().unwrap_or_else(|| LeaseObject {
        metadata: ObjectMeta {
            name: Some(settings.name.clone()),
            namespace: Some(settings.namespace.clone()),
            ..ObjectMeta::default()
        },
        spec: None,
    });
    let before = lease.spec.take().unwrap_or_default();
    let now = MicroTime(now);
    let ours = before.holder_identity.as_deref() == Some(settings.identity.as_str());
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(settings.identity.clone()),
        lease_duration_seconds: Some(
            i32::try_from(settings.duration.as_secs().max(1)).unwrap_or(i32::MAX),
        ),
        acquire_time: if ours {
            before.acquire_time
        } else {
            Some(now.clone())
        },
        renew_time: Some(now),
        lease_transitions: match before.lease_transitions {
            Some(transitions) if seen.is_some() && !ours => Some(transitions.saturating_add(1)),
            transitions => Some(transitions.unwrap_or(0)),
        },
        preferred_holder: before.preferred_holder,
        strategy: before.strategy,
    });
    lease
}

/// `HOST_UUID`, as client-go's processes call themselves.
#[must_use]
pub fn identity() -> String {
    let mut random = [0_u8; 16];
    // A provider without randomness would fail TLS long before; zeros are still an identity.
    let _ = crypto::random(&mut random);
    let number = u128::from_be_bytes(random);
    let hex = format!("{number:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "{}_{}-{}-4{}-a{}-{}",
        host_name(),
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

/// The pod's name, or the machine's.
#[must_use]
pub fn host_name() -> String {
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// Up to a fifth more, so that candidates do not move in step.
fn jittered(distance: Duration) -> Duration {
    let mut random = [0_u8; 1];
    let _ = crypto::random(&mut random);
    distance + distance * u32::from(random[0]) / (5 * 256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, seconds: i32, renewed: i64) -> LeaseObject {
        LeaseObject {
            metadata: ObjectMeta {
                name: Some("l".to_owned()),
                resource_version: Some("7".to_owned()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(holder.to_owned()),
                lease_duration_seconds: Some(seconds),
                lease_transitions: Some(3),
                renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
                acquire_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
                ..LeaseSpec::default()
            }),
        }
    }

    fn settings(identity: &str) -> LeaseSettings {
        LeaseSettings {
            identity: identity.to_owned(),
            ..LeaseSettings::new("ns", "l")
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_holder_is_respected_for_its_own_duration_by_our_clock() {
        let now = Instant::now();
        // The other's clock is years behind: it does not matter.
        let seen = Observed::update(None, lease("other", 15, 1), now);
        assert_eq!(decide(Some(&seen), now, "me"), Decision::Wait(15 * SECOND));
        assert_eq!(
            decide(Some(&seen), now + 14 * SECOND, "me"),
            Decision::Wait(SECOND)
        );
        assert_eq!(
            decide(Some(&seen), now + 15 * SECOND, "me"),
            Decision::Acquire
        );
    }

    #[test]
    fn a_renewal_starts_the_wait_anew_and_an_unchanged_lease_does_not() {
        let now = Instant::now();
        let first = Observed::update(None, lease("other", 15, 1), now);
        let unchanged = Observed::update(Some(&first), lease("other", 15, 1), now + 10 * SECOND);
        assert_eq!(
            decide(Some(&unchanged), now + 15 * SECOND, "me"),
            Decision::Acquire
        );
        let renewed = Observed::update(Some(&first), lease("other", 15, 2), now + 10 * SECOND);
        assert_eq!(
            decide(Some(&renewed), now + 15 * SECOND, "me"),
            Decision::Wait(10 * SECOND)
        );
    }

    #[test]
    fn a_free_a_missing_and_our_own_lease() {
        let now = Instant::now();
        assert_eq!(decide(None, now, "me"), Decision::Create);
        let released = Observed::update(None, lease("", 1, 1), now);
        assert_eq!(decide(Some(&released), now, "me"), Decision::Acquire);
        let ours = Observed::update(None, lease("me", 15, 1), now);
        assert_eq!(decide(Some(&ours), now, "me"), Decision::Renew);
        let empty = Observed::update(None, LeaseObject::default(), now);
        assert_eq!(decide(Some(&empty), now, "me"), Decision::Acquire);
    }

    #[test]
    fn what_is_written_is_what_client_go_writes() {
        let now = Timestamp::from_second(100).unwrap();
        let taken = held(Some(&lease("other", 15, 1)), &settings("me"), now);
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(
            serde_json::to_value(taken.spec.as_ref().unwrap()).unwrap(),
            serde_json::json!({
                "holderIdentity": "me",
                "leaseDurationSeconds": 15,
                "leaseTransitions": 4,
                "acquireTime": "1970-01-01T00:01:40.000000Z",
                "renewTime": "1970-01-01T00:01:40.000000Z",
            })
        );
        let later = Timestamp::from_second(102).unwrap();
        let renewed = held(Some(&taken), &settings("me"), later).spec.unwrap();
        assert_eq!(renewed.lease_transitions, Some(4));
        assert_eq!(renewed.acquire_time, Some(MicroTime(now)));
        assert_eq!(renewed.renew_time, Some(MicroTime(later)));
        let made = held(None, &settings("me"), now).spec.unwrap();
        assert_eq!(made.lease_transitions, Some(0));
    }

    #[test]
    fn identities_differ_and_waits_stay_near() {
        assert_ne!(identity(), identity());
        let uuid = identity().rsplit_once('_').unwrap().1.to_owned();
        assert_eq!(
            uuid.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
        for _ in 0..100 {
            let wait = jittered(2 * SECOND);
            assert!(
                wait >= 2 * SECOND && wait < Duration::from_millis(2400),
                "{wait:?}"
            );
        }
    }
}
