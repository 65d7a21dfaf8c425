//! The loops of one process, whatever their kinds: each has its watches and its memory, all share
//! the client, the Lease, discovery, rights and metrics.

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use resources::Kind;
use tokio::sync::watch;

use crate::{
    admission::Known,
    component::Component,
    engine::{self, Reach, Surroundings},
};

/// One loop, before it starts.
pub struct Loop {
    /// Controller name in its events.
    pub(super) reporter: &'static str,
    /// Kinds that it follows while the cluster serves them.
    pub(super) optional: Vec<Kind>,
    /// Where it looks; `None`: where the process does.
    reach: Option<Reach>,
    start: Box<dyn FnOnce(Surroundings) -> Started + Send>,
}

/// A loop whose watches run.
struct Started {
    missing_rules: Vec<String>,
    known: Known,
    progress: watch::Receiver<usize>,
    /// Lets it write; ends on shutdown.
    lead: BoxFuture<'static, ()>,
}

impl Loop {
    /// The loop of a component.
    ///
    /// Two loops may be over resources of the same kind. They share nothing, so no kind of object
    /// that belongs to these resources may be owned by both ([`crate::Watched::owned`]): each would
    /// delete what the other made. At most one of them has a status.
    #[must_use]
    pub fn of<C: Component>(component: C) -> Self {
        let kinds = component.kinds().iter();
        Self {
            reporter: C::IDENTITY.reporter,
            optional: kinds.filter(|w| w.optional).map(|w| w.kind).collect(),
            reach: None,
            start: Box::new(move |around| {
                let running = engine::start(component, around);
                Started {
                    missing_rules: running.missing_rules(),
                    known: running.known(),
                    progress: running.progress(),
                    lead: running.lead().boxed(),
                }
            }),
        }
    }

    /// It looks at the whole cluster, wherever the others look.
    #[must_use]
    pub fn everywhere(self) -> Self {
        Self {
            reach: Some(Reach::Cluster),
            ..self
        }
    }
}

/// All loops of a process, whose watches run.
pub(super) struct Loops(Vec<Started>);

impl Loops {
    /// Starts each with what `around` gives the loop of this reporter.
    pub(super) fn start(loops: Vec<Loop>, around: impl Fn(&'static str) -> Surroundings) -> Self {
        let started = loops.into_iter().map(|one| {
            let mut around = around(one.reporter);
            if let Some(reach) = one.reach {
                around.reach = reach;
            }
            (one.start)(around)
        });
        Self(started.collect())
    }

    /// Rules that the service account lacks, sorted.
    pub(super) fn missing_rules(&self) -> Vec<String> {
        let mut rules: Vec<String> = self
            .0
            .iter()
            .flat_map(|s| s.missing_rules.clone())
            .collect();
        rules.sort();
        rules.dedup();
        rules
    }

    /// Which namespaces have a resource of a name: of the first loop's kind, which webhooks are for.
    pub(super) fn known(&self) -> Option<Known> {
        self.0.first().map(|first| first.known.clone())
    }

    /// Ends when every watch of every loop has shown what was there.
    pub(super) fn synced(&self) -> impl Future<Output = ()> + Send + 'static {
        let all: Vec<_> = self.0.iter().map(|s| s.progress.clone()).collect();
        async move {
            for mut progress in all {
                if progress.wait_for(|pending| *pending == 0).await.is_err() {
                    // The process is stopping.
                    std::future::pending::<()>().await;
                }
            }
        }
    }

    /// Reconciles until shutdown is requested. Must only be called while the Lease is held.
    pub(super) async fn lead(self) {
        join_all(self.0.into_iter().map(|started| started.lead)).await;
    }
}
