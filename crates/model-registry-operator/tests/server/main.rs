//! The operator against real API servers, plain Kubernetes and the stand-in for OpenShift.

#![cfg(test)]

mod children;
mod harness;
mod installation;
mod proxy_rule;
mod samples;
