//! The operator against real API servers, plain Kubernetes and the stand-in for OpenShift.

#![cfg(test)]

mod access;
mod authorities;
mod children;
mod columns;
mod dashboard;
mod edits;
mod exposure;
mod go_role;
#[path = "../common/harness.rs"]
mod harness;
mod hub_schema;
mod installation;
mod leftovers;
mod mesh;
mod namespaced;
mod openshift;
mod optional_apis;
mod proxy_pods;
mod proxy_rule;
mod rendered;
mod samples;
mod tls_profile;
mod unexpected;
mod uploads;
mod variants;
