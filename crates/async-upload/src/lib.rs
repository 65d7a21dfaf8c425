//! Moves a model from where it is to where it is served, without a copy on disk.
//!
//! A [`Source`](settings::Source) is listed, read in parallel ranges, packed into layers and pushed
//! while it is being read. What is in memory at one time is bounded by one budget.

pub mod cli;
pub mod config;
pub mod destination;
pub mod failure;
pub mod http;
pub mod oci;
pub mod pipeline;
pub mod pod;
pub mod registry;
pub mod run;
pub mod s3;
pub mod settings;
pub mod sign;
pub mod source;
pub mod transfer;
