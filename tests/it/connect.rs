//! `sluice connect` against the simulated HCP Terraform, as a process of its own.

mod failing;
mod many;
mod projects;
mod run_tasks;
mod scene;
mod server;
