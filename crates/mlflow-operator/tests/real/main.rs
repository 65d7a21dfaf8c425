//! The real MLflow, from PyPI, as the operator starts it: the containers of the pods that it plans run
//! as processes of this machine, with exactly the command, arguments and environment of the pod. What
//! a kubelet and a Service would do is in [`machine`] and [`service`]; what needs Open Data Hub's image
//! is replaced in [`stock`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test ends at the first surprise"
)]

mod bucket;
mod chart;
mod machine;
mod migration;
mod postgres;
mod process;
mod server;
mod service;
mod site;
mod stock;
