//! Checks that are programs in a cluster: from HCP Terraform's question to its answer, over real HTTP.

mod cancel;
mod contract;
mod deaths;
mod endings;
mod kill;
mod many;
mod real;
pub mod scene;
mod secrets;
