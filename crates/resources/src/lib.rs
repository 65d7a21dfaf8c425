//! Builders of Kubernetes objects that operators share.
