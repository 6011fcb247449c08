//! The gate: run tasks that always answer, over real HTTP.

mod checker;
mod command;
mod deaths;
mod door;
mod graph;
mod http;
mod kill;
mod leaks;
mod limits;
mod many;
mod policies;
mod scene;
mod stages;
mod weather;
