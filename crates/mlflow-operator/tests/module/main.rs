//! What the platform says and is told, and who gets access to namespaces, on a real API server.

#![cfg(test)]

mod access;
mod offline;
mod recorded;
mod switch;
mod world;
