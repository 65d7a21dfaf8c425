//! Where models go.

mod base;
mod checkpoint;
pub mod oci;
mod reuse;
pub mod s3;

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
}
