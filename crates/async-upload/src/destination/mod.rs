//! Where models go.

mod base;
mod checkpoint;
mod layers;
pub mod oci;
mod reuse;
pub mod s3;
mod turns;

use crate::failure::Patience;
use crate::pipeline::memory::Memory;
use crate::pipeline::meter::Meter;

/// What all parts of a run share.
#[derive(Debug, Clone)]
pub struct Context {
    /// How often to try.
    pub patience: Patience,
    /// Where content is while it is under way.
    pub memory: Memory,
    /// How far it is.
    pub meter: Meter,
    /// Whether each file's hash is needed, and no note believed; see
    /// [`Transfer`](crate::settings::Transfer).
    pub signed: bool,
}
