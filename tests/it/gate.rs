//! The gate: run tasks that always answer, over real HTTP.

mod checker;
mod door;
mod graph;
mod http;
mod leaks;
mod policies;
mod scene;
mod stages;
