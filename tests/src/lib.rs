//! What the project's cross-crate tests and its demo stand on: a simulated HCP Terraform.

pub mod hcp;
pub mod image;
