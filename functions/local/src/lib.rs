//! The `sluice` command: every function in one process, for a laptop or a single server.

pub mod backfill;
pub mod cli;
pub mod cluster;
pub mod connect;
pub mod dead;
pub mod decisions;
pub mod demo;
pub mod doctor;
pub mod functions;
pub mod graph;
pub mod host;
pub mod pause;
pub mod plan;
pub mod replay;
pub mod serve;
pub mod settings;
pub mod signal;
pub mod store;
pub mod tasks;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use cli::{Cli, Command};
use sluice_lambda::{LogLevel, only_metrics, ours_at};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

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
            print(&options.format.write(&picture))?;
            if let Some(store) = store {
                store.close().await;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Plan(options) => printed(&plan::run(&options, vars).await?),
        Command::Decisions(options) => printed(&decisions::run(&options, vars).await?),
        Command::Connect(options) => Ok(connect::run(&options, vars).await?),
        Command::Backfill(options) => Ok(backfill::run(&options, vars).await?),
        Command::Tasks(options) => printed(&tasks::run(&options, vars).await?),
        Command::Dead(options) => said(&dead::run(&options, vars).await?),
        Command::Doctor(options) => Ok(doctor::run(&options, vars).await?),
        Command::Replay(options) => said(&replay::run(&options, vars).await?),
        Command::Pause(options) => printed(&pause::pause(&options, vars).await?),
        Command::Resume(options) => printed(&pause::resume(&options, vars).await?),
    }
}

fn printed(text: &str) -> Result<ExitCode, Box<dyn std::error::Error>> {
    print(text)?;
    Ok(ExitCode::SUCCESS)
}

/// The same, where part of what was named may have been left out.
fn said(said: &dead::Said) -> Result<ExitCode, Box<dyn std::error::Error>> {
    print(&said.text)?;
    Ok(if said.whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what was asked for. A reader that went away, as `head` does, is no reason to fail.
fn print(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Logs for people, on standard error, so that what a command prints stays clean.
fn init_logs(vars: &BTreeMap<String, String>) {
    let level = LogLevel::from_vars(vars).0;
    let mut shown = ours_at(level);
    if level <= tracing::Level::INFO {
        // The embedded store warns of every condition that does not hold, which is how work is claimed.
        shown = shown.with_target("dynoxide", tracing::Level::ERROR);
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !vars.contains_key("NO_COLOR"))
        .with_target(false)
        .with_filter(shown);
    // Not among what people read, and not unless it is asked for.
    let asked = vars.get("SLUICE_METRICS").is_some_and(|asked| asked.trim() == "true");
    // The only error is that there is a subscriber already.
    let _ = tracing_subscriber::registry().with(lines).with(asked.then(|| only_metrics(vars))).try_init();
}
