//! TrustyAIService resources become running, secured, monitored services.

pub mod cli;
pub mod offline;
pub mod rbac;
pub mod service;
pub mod wiring;
