//! Moves a model from where it is to where it is served, without a copy on disk.
//!
//! A [`Source`](settings::Source) is listed, read in parallel ranges, packed into layers and pushed
//! while it is being read. What is in memory at one time is bounded by one budget.

pub mod settings;
pub mod transfer;
