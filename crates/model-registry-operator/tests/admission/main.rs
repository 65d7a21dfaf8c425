//! Admission, conversion, certificates and storage migration with a real API server.

#![cfg(test)]

mod bench;
mod certificates;
mod decisions;
mod recorded;
mod stored;
mod suites;
