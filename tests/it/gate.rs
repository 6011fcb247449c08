//! The gate: run tasks that always answer, over real HTTP.

pub mod checker;
mod command;
mod deaths;
mod door;
mod graph;
mod http;
mod kill;
pub mod leaks;
mod limits;
mod many;
mod policies;
pub mod scene;
mod stages;
mod weather;
