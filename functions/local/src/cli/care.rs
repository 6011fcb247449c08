//! The command line of those commands that look after an installation.

use clap::{Args, Subcommand};

use super::Store;

/// `sluice dead`.
#[derive(Debug, Args)]
#[command(after_long_help = DEAD_ENVIRONMENT)]
pub struct Dead {
    /// What to do.
    #[command(subcommand)]
    pub command: DeadCommand,
}

/// What to do with dead letters.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List them, the oldest first
    #[command(after_long_help = DEAD_ENVIRONMENT)]
    List(DeadList),
    /// Take them up again, from the first attempt on
    #[command(after_long_help = DEAD_ENVIRONMENT)]
    Retry(DeadRetry),
}

/// `sluice dead list`.
#[derive(Debug, Args)]
pub struct DeadList {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice dead retry`.
#[derive(Debug, Args)]
pub struct DeadRetry {
    /// All of them
    #[arg(long)]
    pub all: bool,
    /// These, by their numbers in the list or as it says them: "run in acme/network"
    #[arg(value_name = "NUMBER|WORK", conflicts_with = "all", required_unless_present = "all")]
    pub works: Vec<String>,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice replay`.
#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_ENVIRONMENT)]
pub struct Replay {
    /// A file with an event (a notification or a run task request as HCP Terraform sent it, or a Lambda event with one
    /// in its body), or work as logs and sluice dead list say it: "run in acme/network"
    #[arg(value_name = "EVENT|WORK", conflicts_with = "all")]
    pub what: Vec<String>,
    /// POST the event to this endpoint, instead of handling it here
    #[arg(long, value_name = "URL", requires = "what")]
    pub url: Option<String>,
    /// The run task that the request is for, where neither the event nor the table tells
    #[arg(long, value_name = "NAME", requires = "what")]
    pub task: Option<String>,
    /// What sluice dead retry --all does
    #[arg(long, hide = true)]
    pub all: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = DOCTOR_ENVIRONMENT)]
pub struct Doctor {
    /// The organizations; by default those that something is known of
    #[arg(value_name = "ORGANIZATION")]
    pub organizations: Vec<String>,
    /// Where HCP Terraform reaches Sluice [default: `SLUICE_PUBLIC_URL`]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

const DEAD_ENVIRONMENT: &str = "Environment:
  TFE_ADDRESS                   the instance whose workspaces are meant [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one";

const REPLAY_ENVIRONMENT: &str = "Environment:
  NOTIFICATION_TOKEN            what a notification is signed with; the first, if there are several
  TFE_ADDRESS                   the instance that is meant [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one
  SLUICE_GATE_KEY               what access tokens of run tasks are sealed with; needed with a real table
  SLUICE_CA_BUNDLE              a file of PEM certificates to trust besides the public roots";

const DOCTOR_ENVIRONMENT: &str = "Environment:
  API_TOKEN                     the token that is looked at, and with which workspaces are
  NOTIFICATION_TOKEN            what the endpoint is asked with; each, if there are several
  TFE_ADDRESS                   the instance [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one
  SLUICE_PUBLIC_URL             where HCP Terraform reaches Sluice
  SLUICE_DIGEST_KEY, SLUICE_GATE_KEY, SLUICE_ALLOW_UNSIGNED
                                as the functions have them, as far as they are at hand
  SLUICE_API_REQUESTS_PER_SECOND  how many requests HCP Terraform is sent in a second [default: 30]
  SLUICE_CA_BUNDLE              a file of PEM certificates to trust besides the public roots
  NO_COLOR                      if set, nothing is printed in colour

Exit code: 0 all is well, though there may be warnings; 1 something is wrong; 2 it could not look.";
