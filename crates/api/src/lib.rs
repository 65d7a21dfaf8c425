//! Types of every custom resource, their versions and rules.
