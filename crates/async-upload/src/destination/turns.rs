//! Whose turn it is to send. Content that is not stored as a whole is lost when the process is
//! killed, because no server takes up a request that broke off. So what is on its way is together
//! never longer than the longest layer, or the longest file for a bucket: that is what a kill can
//! cost.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::{Stream, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What lengths are counted in, in bytes. Small, so that rounding up costs nothing.
const UNIT: u64 = 4 << 10;

/// All that a run sends.
#[derive(Debug)]
pub(super) struct Turns {
    units: Arc<Semaphore>,
    longest: u32,
}

impl Turns {
    /// What is sent is layers or files, of which the longest has `longest` bytes.
    pub(super) fn new(longest: u64) -> Self {
        let longest = u32::try_from(longest / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            units: Arc::new(Semaphore::new(longest as usize)),
            longest,
        }
    }

    /// A place in the queue for `length` bytes. It queues when it is [waited](Turn::wait) for.
    /// Without turns nobody waits.
    pub(super) fn turn(turns: Option<&Self>, length: u64) -> Turn {
        Turn(turns.map(|turns| {
            let units = u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX);
            Arc::new(Place {
                all: turns.units.clone(),
                units: units.min(turns.longest),
                taken: Mutex::default(),
            })
        }))
    }
}

/// The right to send something. It makes room when the last of its copies goes, or before.
#[derive(Debug, Clone)]
pub(super) struct Turn(Option<Arc<Place>>);

#[derive(Debug)]
struct Place {
    all: Arc<Semaphore>,
    units: u32,
    taken: Mutex<Option<OwnedSemaphorePermit>>,
}

impl Turn {
    /// Waits until it is this layer's turn; from then on it is.
    pub(super) async fn wait(&self) {
        let Some(place) = &self.0 else { return };
        if place.taken().is_none() {
            // The semaphore is never closed.
            let permit = place.all.clone().acquire_many_owned(place.units).await.ok();
            *place.taken() = permit;
        }
    }

    /// Gives out `pieces`, and with the last of them lets the next one begin: who has all of it
    /// stores it, whatever becomes of this process.
    pub(super) fn passing(&self, pieces: Vec<Bytes>) -> impl Stream<Item = Bytes> + Send + use<> {
        let (turn, last) = (self.clone(), pieces.len().saturating_sub(1));
        stream::iter(pieces.into_iter().enumerate().map(move |(number, data)| {
            if number == last {
                turn.give_way();
            }
            data
        }))
    }

    /// Lets the next one begin.
    fn give_way(&self) {
        if let Some(place) = &self.0 {
            place.taken().take();
        }
    }
}

impl Place {
    fn taken(&self) -> std::sync::MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGA: u64 = 1_000_000;

    fn ready(turn: &Turn) -> bool {
        let waits = std::pin::pin!(turn.wait());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        waits.poll(&mut context).is_ready()
    }

    #[test]
    fn equal_layers_follow_each_other() {
        let turns = Turns::new(15 * MEGA);
        let [one, two, three] = [(); 3].map(|()| Turns::turn(Some(&turns), 15 * MEGA));
        assert!(ready(&one) && ready(&one) && !ready(&two));
        drop(one);
        assert!(ready(&two) && !ready(&three));
        two.give_way();
        assert!(ready(&three) && !ready(&two));
    }

    #[test]
    fn small_layers_go_side_by_side() {
        let turns = Turns::new(15 * MEGA);
        let small = [(); 15].map(|()| Turns::turn(Some(&turns), MEGA));
        let through = small.iter().filter(|turn| ready(turn)).count();
        // Never more than the longest, and not much less.
        assert_eq!(through, 14);
        // A layer of any length has its turn.
        assert!(ready(&Turns::turn(Some(&Turns::new(1)), u64::MAX)));
    }

    #[test]
    fn without_turns_all_go() {
        assert!(ready(&Turns::turn(None, u64::MAX)));
    }
}
