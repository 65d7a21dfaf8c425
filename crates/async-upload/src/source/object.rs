//! Something with a size that can be read from any place in it.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt as _, stream};

use super::Content;
use crate::failure::{Failure, Patience, pause};

/// Something that can be read from any place in it.
pub trait Object: fmt::Debug + Send + Sync {
    /// Reads `range`, once: an error is not tried again here. The stream may end early, and must
    /// not give more.
    fn read(self: Arc<Self>, range: Range<u64>) -> Content;

    /// The name in messages.
    fn name(&self) -> String;
}

/// Reads `range` and goes on where it broke off, as long as each attempt brings something or
/// patience lasts.
pub fn steady(object: Arc<dyn Object>, range: Range<u64>, patience: Patience) -> Content {
    struct State {
        object: Arc<dyn Object>,
        at: u64,
        end: u64,
        open: Option<Content>,
        tried: u32,
        failed: bool,
    }
    let state = State {
        object,
        at: range.start,
        end: range.end,
        open: None,
        tried: 0,
        failed: false,
    };
    stream::unfold(state, move |mut state| async move {
        if state.failed || state.at >= state.end {
            return None;
        }
        loop {
            let open = state
                .open
                .get_or_insert_with(|| state.object.clone().read(state.at..state.end));
            let failure = match open.next().await {
                Some(Ok(data)) if data.is_empty() => continue,
                Some(Ok(data)) => {
                    state.at += data.len() as u64;
                    state.tried = 0;
                    if state.at > state.end {
                        state.failed = true;
                        return Some((Err(longer(&*state.object)), state));
                    }
                    return Some((Ok(data), state));
                }
                Some(Err(failure)) => failure,
                // The length was not known, so this is the end.
                None if state.end == u64::MAX => return None,
                None => Failure::passing(format!(
                    "the connection ended {} bytes too early",
                    state.end - state.at
                )),
            };
            state.open = None;
            if !failure.retriable || state.tried >= patience.retries {
                let failure = failure.while_doing(&format!("reading {}", state.object.name()));
                state.failed = true;
                return Some((Err(failure), state));
            }
            let wait = pause(state.tried, failure.wait);
            state.tried += 1;
            tracing::warn!(
                attempt = state.tried,
                at = state.at,
                "reading {}: {}; going on",
                state.object.name(),
                failure.cause
            );
            tokio::time::sleep(wait).await;
        }
    })
    .boxed()
}

fn longer(object: &dyn Object) -> Failure {
    Failure::lasting(
        format!("{} is longer than its source said", object.name()),
        "It changed while it was read; run the Job again when it is complete",
    )
}
