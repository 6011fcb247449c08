//! Every cross-crate test, in one binary that links once.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bins;
mod budgets;
mod command;
mod connect;
mod context;
mod day_one;
mod dead;
mod deployed;
mod deployment;
mod doctor;
mod gate;
mod gate_foreign;
mod hcp_client;
mod jobs;
mod lambda;
mod observability;
mod receiver;
mod redelivery;
mod serve;
mod table;
mod tidy;
mod waves;
mod weather;
mod world;
