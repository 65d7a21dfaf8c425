//! Random numbers that can be had again: `SEED=… cargo test`.

use std::time::{SystemTime, UNIX_EPOCH};

/// A generator (splitmix64). Prints its seed.
pub(crate) struct Random(u64);

impl Random {
    /// From the environment variable SEED, else from the clock.
    pub(crate) fn new() -> Self {
        let given = std::env::var("SEED")
            .ok()
            .map(|text| text.parse().expect("SEED is a number"));
        let clock = || {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("a clock")
                .subsec_nanos()
                .into()
        };
        let seed = given.unwrap_or_else(clock);
        println!("SEED={seed}");
        Self(seed)
    }

    /// A number under `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}
