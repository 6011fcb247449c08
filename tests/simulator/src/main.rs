//! `simulator`: runs seeds, and shows the smallest scenario that breaks an invariant.

use std::process::ExitCode;

use clap::Parser;
use sluice_simulator::cli::Args;

fn main() -> ExitCode {
    Args::parse().run()
}
