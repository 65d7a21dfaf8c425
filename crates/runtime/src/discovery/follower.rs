//! Keeps what is known of the cluster's APIs true.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use kube::Client;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    API_SERVICES, CRDS,
    ask::{ask, tell_unanswered},
    interest::{GroupVersion, Interest},
    news::News,
};
use crate::capabilities::Capabilities;

/// Changes within this time are one change: a CRD makes three events when it is created.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(100);

/// First wait before a group version that should be served is asked again. It doubles.
const RETRY: Duration = Duration::from_millis(200);

/// Tries after the first, with waits of 0.2 s to 3.2 s. After that an event is needed.
pub(super) const RETRIES: u32 = 5;

/// How often an unanswered group version is asked when no event can tell that it is back.
const UNWATCHED_RETRY: Duration = Duration::from_mins(5);

/// When a group version is asked again, and the how-manieth time that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) tries: u32,
}

impl Due {
    /// The time of this try, the wait before it counted from now.
    pub(super) fn after(tries: u32) -> Self {
        Self {
            at: Instant::now() + RETRY * 2_u32.saturating_pow(tries.saturating_sub(1)),
            tries,
        }
    }
}

/// Keeps the capabilities true.
pub(super) struct Follower {
    pub(super) client: Client,
    pub(super) interest: Interest,
    pub(super) served: watch::Sender<Arc<Capabilities>>,
    /// Names of the objects of each watched kind that are about something of interest. A kind
    /// that cannot be watched, or is not listed yet, has no entry.
    pub(super) seen: BTreeMap<&'static str, BTreeSet<String>>,
    pub(super) due: BTreeMap<GroupVersion, Due>,
    /// Group versions that are being asked. A slow one delays no other.
    pub(super) asked: BTreeSet<GroupVersion>,
    pub(super) asking: JoinSet<Answer>,
}

type Answer = (GroupVersion, u32, kube::Result<Vec<String>>);

impl Follower {
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<News>) {
        let mut watching = true;
        while watching || !self.due.is_empty() || !self.asking.is_empty() {
            let next = self.next();
            tokio::select! {
                news = inbox.recv(), if watching => match news {
                    Some(news) => self.note(news),
                    // Neither kind can be watched: only retries are left.
                    None => watching = false,
                },
                Some(Ok((version, tries, answer))) = self.asking.join_next() => {
                    self.learn(&version, tries, answer);
                }
                () = until(next) => self.ask_due(),
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let free = self
            .due
            .iter()
            .filter(|(version, _)| !self.asked.contains(version));
        free.map(|(_, due)| due.at).min()
    }

    /// Marks what has to be asked again.
    fn note(&mut self, news: News) {
        let soon = Due {
            at: Instant::now() + DEBOUNCE,
            tries: 0,
        };
        let changed = match news {
            News::Unwatchable(kind) => {
                self.seen.remove(kind);
                return;
            }
            News::Listed(kind, names) => {
                let relevant = names
                    .into_iter()
                    .filter(|name| !self.interest.about(kind, name).is_empty());
                self.seen.insert(kind, relevant.collect());
                let known = self.served.borrow().clone();
                self.interest
                    .versions
                    .keys()
                    .filter(|version| self.contradicts(kind, version, &known))
                    .cloned()
                    .collect()
            }
            News::Changed(kind, name) => {
                let about = self.interest.about(kind, &name);
                if !about.is_empty() {
                    self.seen.entry(kind).or_default().insert(name);
                }
                about
            }
            News::Gone(kind, name) => {
                self.seen.entry(kind).or_default().remove(&name);
                self.interest.about(kind, &name)
            }
        };
        for version in changed {
            self.due.insert(version, soon);
        }
    }

    /// Whether what was listed tells of more or less than is known: the start asked the cluster a
    /// moment before, and a watch that was interrupted missed events.
    fn contradicts(
        &self,
        kind: &'static str,
        version: &GroupVersion,
        known: &Capabilities,
    ) -> bool {
        if kind == CRDS {
            self.expected_plurals(version)
                .any(|plural| !known.serves(&version.0, &version.1, plural))
        } else {
            let expected = self.expects_version(version);
            expected != known.has_version(&version.0, &version.1)
        }
    }

    /// Plurals of interest whose CRD exists.
    fn expected_plurals(&self, version: &GroupVersion) -> impl Iterator<Item = &String> {
        let crds = self.seen.get(CRDS);
        let group = version.0.clone();
        self.interest
            .versions
            .get(version)
            .into_iter()
            .flatten()
            .filter(move |plural| {
                crds.is_some_and(|crds| crds.contains(&format!("{plural}.{group}")))
            })
    }

    fn expects_version(&self, (group, version): &GroupVersion) -> bool {
        self.seen
            .get(API_SERVICES)
            .is_some_and(|services| services.contains(&format!("{version}.{group}")))
    }

    /// Asks every group version that is due and not being asked, side by side.
    fn ask_due(&mut self) {
        let now = Instant::now();
        let asked = &self.asked;
        let due: Vec<(GroupVersion, Due)> = self
            .due
            .extract_if(.., |version, due| due.at <= now && !asked.contains(version))
            .collect();
        for (version, due) in due {
            self.asked.insert(version.clone());
            let client = self.client.clone();
            self.asking.spawn(async move {
                let answer = ask(&client, &version).await;
                (version, due.tries, answer)
            });
        }
    }

    /// Takes an answer in, and plans the next try where it is not what the objects promise.
    fn learn(&mut self, version: &GroupVersion, tries: u32, answer: kube::Result<Vec<String>>) {
        self.asked.remove(version);
        let settled = match answer {
            Ok(served) => {
                let gone = served.is_empty();
                let plurals = self.interest.relevant(version, served.into_iter());
                let settled = self
                    .expected_plurals(version)
                    .all(|plural| plurals.contains(plural))
                    && !(gone && self.expects_version(version));
                self.publish(version, &plurals);
                settled
            }
            Err(error) => {
                if tries == 0 {
                    tell_unanswered(version, &error);
                }
                if tries >= RETRIES && !self.seen.contains_key(API_SERVICES) {
                    let at = Instant::now() + UNWATCHED_RETRY;
                    self.due.entry(version.clone()).or_insert(Due { at, tries });
                }
                false
            }
        };
        if !settled && tries < RETRIES {
            // An event that came meanwhile is due earlier.
            self.due
                .entry(version.clone())
                .or_insert(Due::after(tries + 1));
        }
    }

    fn publish(&self, (group, version): &GroupVersion, plurals: &BTreeSet<String>) {
        self.served.send_if_modified(|served| {
            let mut changed = Capabilities::clone(served);
            changed.set_version(group, version, plurals.iter().cloned());
            if changed == **served {
                return false;
            }
            tracing::info!(group, version, kinds = ?plurals, "the cluster's APIs changed");
            *served = Arc::new(changed);
            true
        });
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
