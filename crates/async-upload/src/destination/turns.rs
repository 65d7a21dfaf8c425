//! Whose turn it is to send. Content that no finished layer holds is lost when the process is
//! killed, because registries take an upload that broke off no further. So the layers on their way
//! are together never longer than the longest layer: that is what a kill can cost.

use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};

/// What lengths are counted in, in bytes. Small, so that rounding up costs nothing.
const UNIT: u64 = 4 << 10;

/// All layers of a run.
#[derive(Debug)]
pub(super) struct Turns {
    units: Semaphore,
    longest: u32,
}

impl Turns {
    /// Layers of which the longest has `longest` bytes.
    pub(super) fn new(longest: u64) -> Self {
        let longest = u32::try_from(longest / UNIT).unwrap_or(u32::MAX).max(1);
        Self {
            units: Semaphore::new(longest as usize),
            longest,
        }
    }
}

/// The right to send a layer.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    turns: Option<&'a Turns>,
    length: u64,
    permit: OnceCell<Option<SemaphorePermit<'a>>>,
}

impl<'a> Turn<'a> {
    /// A place in the queue for `length` bytes. It queues when it is [waited](Self::wait) for, and
    /// makes room when it is dropped. Without `turns` nobody waits.
    pub(super) fn new(turns: Option<&'a Turns>, length: u64) -> Self {
        Self {
            turns,
            length,
            permit: OnceCell::new(),
        }
    }

    /// Waits until it is this layer's turn; from then on it is.
    pub(super) async fn wait(&self) {
        let units = u32::try_from(self.length.div_ceil(UNIT)).unwrap_or(u32::MAX);
        self.permit
            .get_or_init(|| async {
                let turns = self.turns?;
                // It is never closed.
                turns
                    .units
                    .acquire_many(units.min(turns.longest))
                    .await
                    .ok()
            })
            .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEGA: u64 = 1_000_000;

    fn ready(turn: &Turn<'_>) -> bool {
        let waits = std::pin::pin!(turn.wait());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        waits.poll(&mut context).is_ready()
    }

    #[test]
    fn equal_layers_follow_each_other() {
        let turns = Turns::new(15 * MEGA);
        let [one, two] = [(); 2].map(|()| Turn::new(Some(&turns), 15 * MEGA));
        assert!(ready(&one) && ready(&one) && !ready(&two));
        drop(one);
        assert!(ready(&two));
    }

    #[test]
    fn small_layers_go_side_by_side() {
        let turns = Turns::new(15 * MEGA);
        let small: Vec<_> = (0..15).map(|_| Turn::new(Some(&turns), MEGA)).collect();
        let through = small.iter().filter(|turn| ready(turn)).count();
        // Never more than the longest, and not much less.
        assert_eq!(through, 14);
        assert!(ready(&Turn::new(Some(&Turns::new(1)), u64::MAX)));
    }

    #[test]
    fn without_an_order_all_go() {
        assert!(ready(&Turn::new(None, MEGA)) && ready(&Turn::new(None, u64::MAX)));
    }
}
