//! Rights that are given while the operator runs.
//!
//! Nothing tells of them: a watch of roles would take rights that few operators have. So the API
//! server is asked again while something is lacking, and never otherwise.

use std::{sync::Arc, time::Duration};

use tracing::{debug, info};

use super::Engine;
use crate::component::Component;

/// First and longest distance of questions. A role that is fixed is used soon; an operator that is
/// meant to lack something asks one thing per namespace in five minutes.
const DISTANCE: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

impl<C: Component> Engine<C> {
    /// Asks for the operator's rights while it lacks some, for as long as the process lives.
    pub(super) async fn follow_rights(self: Arc<Self>) {
        let mut refusals = self.permissions.refusals();
        let mut capabilities = self.capabilities.clone();
        // It never shrinks: a server that refuses what its review allows is not asked more often.
        let mut distance = DISTANCE.0;
        loop {
            let lacked = self.missing_rules();
            if lacked.is_empty() {
                tokio::select! {
                    Ok(()) = refusals.changed() => {}
                    Ok(()) = capabilities.changed() => {}
                    else => return,
                }
                continue;
            }
            tokio::time::sleep(distance).await;
            distance = DISTANCE.1.min(distance * 2);
            if let Err(error) = self.permissions.reload(&self.client).await {
                debug!(%error, "the operator's own rights are not known and asked for again");
                continue;
            }
            let lacking = self.missing_rules();
            let given: Vec<String> = lacked
                .into_iter()
                .filter(|rule| !lacking.contains(rule))
                .collect();
            if !given.is_empty() {
                info!(
                    rules = given.join(", "),
                    "the operator's service account has rules that it lacked"
                );
                self.wake_all();
            }
        }
    }
}
