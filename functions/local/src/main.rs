//! The `sluice` command.

use std::process::ExitCode;

use clap::Parser;
use sluice_local::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let result = sluice_local::run(Cli::parse(), &sluice_lambda::vars()).await;
    result.unwrap_or_else(|error| {
        eprintln!("sluice: {}", sluice_domain::chain(error.as_ref()));
        ExitCode::from(2)
    })
}
