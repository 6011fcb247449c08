//! Checks that are programs in a cluster: from HCP Terraform's question to its answer, over real HTTP.

mod contract;
mod deaths;
pub mod scene;
