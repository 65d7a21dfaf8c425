//! Life in a pod: what is logged, how far the run is, and the last words.

pub mod logging;
pub mod progress;
pub mod termination;
