//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::graph::Format;

/// Runs the HCP Terraform workspaces that became stale: parents first, each once.
#[derive(Debug, Parser)]
#[command(name = "sluice", version, about, max_term_width = 100, after_long_help = ENVIRONMENT)]
pub struct Cli {
    /// What to do; without it, the demo.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a change run through a simulated organization, with no account of any kind
    Demo(Demo),
    /// Stand beside a real HCP Terraform or Terraform Enterprise, set up from the environment
    Serve(Serve),
    /// Print the dependency graph as far as it is known
    Graph(Graph),
    /// List the work that was given up, or take it up again
    Replay(Replay),
}

/// `sluice demo`.
#[derive(Debug, Args, Default)]
pub struct Demo {
    /// End when the wave is at rest, with exit code 0 if it came out right
    #[arg(long)]
    pub once: bool,
    /// Where Sluice listens; by default any free port on loopback
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Also print Sluice's own log
    #[arg(long, short)]
    pub verbose: bool,
}

/// `sluice serve`.
#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
pub struct Serve {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// Where facts and work are kept.
#[derive(Debug, Args)]
pub struct Store {
    /// Where the embedded table and its key are kept [default: sluice-data]; not with a real table
    #[arg(long, value_name = "DIRECTORY")]
    pub data_dir: Option<PathBuf>,
}

/// `sluice graph`.
#[derive(Debug, Args)]
#[command(after_long_help = GRAPH_ENVIRONMENT)]
pub struct Graph {
    /// The language to print it in
    #[arg(long, value_enum, default_value = "dot")]
    pub format: Format,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice replay`.
#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_ENVIRONMENT)]
pub struct Replay {
    /// Take up everything that was given up
    #[arg(long)]
    pub all: bool,
    /// Take up these, by the numbers of the list
    #[arg(value_name = "NUMBER", conflicts_with = "all")]
    pub numbers: Vec<usize>,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

const ENVIRONMENT: &str = "Environment:
  API_TOKEN                     a team or user token of HCP Terraform that may read state and queue runs
  NOTIFICATION_TOKEN            the token of the notification configurations; several, separated by commas
  TFE_ADDRESS                   the instance [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one
  SLUICE_DIGEST_KEY             the key of output digests; needed with a real table
  SLUICE_AUTONOMY               run or observe [default: run]
  SLUICE_AFTER_FAILURE          hold or continue: what is below a workspace whose run failed [default: hold]
  SLUICE_PERSON_WAIT_SECONDS    how long a run may wait for a person before others go on [default: 3600]
  SLUICE_WATCH_SECONDS          how long a run may be silent before it is asked for [default: 600]
  SLUICE_ALLOW_UNSIGNED         true takes notifications without a signature; never on a public address
  SLUICE_CA_BUNDLE              a file of PEM certificates to trust besides the public roots
  SLUICE_LOG                    error, warn, info, debug or trace [default: info]
  NO_COLOR                      if set, nothing is printed in colour";

const GRAPH_ENVIRONMENT: &str = "Environment:
  TFE_ADDRESS                   the instance whose graph is meant [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one";

const REPLAY_ENVIRONMENT: &str = "Environment:
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one";
