//! The gate: run tasks that always answer, over real HTTP.

mod checker;
mod deaths;
mod door;
mod graph;
mod http;
mod leaks;
mod limits;
mod many;
mod policies;
mod scene;
mod stages;
mod weather;
