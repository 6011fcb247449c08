//! Waves in virtual time: the handlers that ship, between a model of the table and a model of HCP Terraform.
//!
//! A [`scenario::Scenario`] is plain data. [`executor::simulate`] runs it on one thread, a step at a time, and checks the
//! invariants of the design; all that happens follows from the scenario's seed.

// Counts are shown as ratios, and virtual times as seconds.
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod breakage;
mod checks;
pub mod cli;
pub mod executor;
pub mod faults;
pub mod gate;
pub mod generate;
pub mod hcp;
mod job;
pub mod mutation;
pub mod ports;
pub mod program;
pub mod report;
pub mod scenario;
pub mod shrink;
pub mod table;
mod teaching;
pub mod wave;
pub mod world;
