//! What happens between source and destination: memory, reading ahead, packing, hashing.

pub mod hash;
pub mod layer;
pub mod memory;
pub mod meter;
pub mod read;
