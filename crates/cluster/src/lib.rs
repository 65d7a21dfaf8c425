//! A local Kubernetes control plane with simulated nodes, for tests and demos.
