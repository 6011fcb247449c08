//! The `sluice` command: every function in one process, for a laptop or a single server.

pub mod cli;
pub mod demo;
pub mod functions;
pub mod graph;
pub mod host;
pub mod replay;
pub mod serve;
pub mod signal;
pub mod store;

use std::collections::BTreeMap;
use std::process::ExitCode;

use cli::{Cli, Command};
use sluice_lambda::LogLevel;

/// Runs one command.
pub async fn run(cli: Cli, vars: &BTreeMap<String, String>) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let command = cli.command.unwrap_or_else(|| Command::Demo(cli::Demo::default()));
    match command {
        Command::Demo(options) => {
            if options.verbose {
                init_logs(vars);
            }
            Ok(demo::run(&options, vars.contains_key("NO_COLOR")).await?)
        }
        Command::Serve(options) => {
            init_logs(vars);
            serve::run(&options, vars).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Graph(options) => {
            let (table, store) = serve::open(&options.store, vars).await?;
            let picture = host::picture(&table, &serve::terraform(vars)?.host).await?;
            print!("{}", options.format.write(&picture));
            if let Some(store) = store {
                store.close().await;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Replay(options) => {
            print!("{}", replay::run(&options, vars).await?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Logs for people, on standard error, so that what a command prints stays clean.
fn init_logs(vars: &BTreeMap<String, String>) {
    use std::io::IsTerminal;
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .with_max_level(LogLevel::from_vars(vars).0);
    // The only error is that there is a subscriber already.
    let _ = subscriber.try_init();
}
