//! The `sluice` command.

use std::process::ExitCode;

use clap::Parser;
use sluice_local::cli::Cli;

fn main() -> ExitCode {
    // A child that evaluates a policy reads no environment and starts no runtime.
    sluice_task_runner::rego::child().unwrap_or_else(run)
}

#[tokio::main]
async fn run() -> ExitCode {
    let result = sluice_local::run(Cli::parse(), &sluice_lambda::vars()).await;
    result.unwrap_or_else(|error| {
        eprintln!("sluice: {}", sluice_domain::chain(error.as_ref()));
        ExitCode::from(2)
    })
}
