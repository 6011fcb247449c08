//! What the project's cross-crate tests and its demo stand on: a simulated HCP Terraform, and a Kubernetes without a cluster.

pub mod hcp;
pub mod image;
#[cfg(feature = "kubernetes")]
pub mod kubernetes;
