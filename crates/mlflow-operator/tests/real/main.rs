//! The real MLflow, from PyPI, as the chart starts it: with the operator's values the pods of
//! `charts/mlflow` are rendered, and their containers run as processes of this machine, with exactly
//! the command, arguments and environment that the pod has. What a kubelet and a Service would do is
//! in [`machine`] and [`service`]; what needs Open Data Hub's image is replaced in [`stock`].

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
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
