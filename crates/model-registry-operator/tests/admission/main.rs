//! Admission, conversion, certificates and storage migration with a real API server.

#![cfg(test)]

mod back;
mod bench;
mod certificates;
mod decisions;
mod recorded;
mod rolling;
mod stored;
mod suites;
