//! The gate in virtual time: run tasks that are asked, their checks, other checkers, and HCP Terraform's patience.
//!
//! The handlers that ship, between a model of the table, a model of HCP Terraform's rules for run tasks, and checks that
//! follow a script.

mod invariants;
mod judge;
mod mutation;
mod ports;
mod request;
mod sim;
mod world;

pub mod generate;
pub mod hcp;
pub mod report;
pub mod scenario;
pub mod search;

pub use mutation::Mutation;
pub use report::Report;
pub use search::{Search, search};
pub use sim::{simulate, simulate_killed, simulate_traced};
