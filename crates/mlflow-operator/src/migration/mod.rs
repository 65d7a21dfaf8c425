//! The database of MLflow follows the version of its server.
//!
//! [`state`] decides, [`observe`] sees, [`job`] and [`policy`] are what is made, [`told`] is what
//! people read.

pub mod failure;
pub mod job;
pub mod names;
pub mod observe;
pub mod plan;
pub mod policy;
pub mod state;
pub mod told;
