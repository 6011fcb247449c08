//! What `sluice connect` is asked for.

use clap::{Args, ValueEnum};

use crate::cli::Store;

/// `sluice connect`.
#[derive(Debug, Args)]
#[command(after_long_help = ENVIRONMENT)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Connect {
    /// The organization
    #[arg(value_name = "ORGANIZATION")]
    pub organization: String,
    /// Where HCP Terraform reaches Sluice; by default what the environment says
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Only workspaces of this project; may be given again for others
    #[arg(long, value_name = "NAME")]
    pub project: Vec<String>,
    /// Only workspaces with this tag; if given again, with all of them
    #[arg(long, value_name = "NAME")]
    pub tag: Vec<String>,
    /// Only workspaces of this name, with * for any text; may be given again for others
    #[arg(long, value_name = "PATTERN")]
    pub workspace: Vec<String>,
    /// Only notification configurations, or only run tasks
    #[arg(long, value_enum, value_name = "WHAT")]
    pub only: Option<Only>,
    /// Give each workspace a notification configuration of its own, and projects none
    #[arg(long)]
    pub per_workspace: bool,
    /// Have every workspace of the organization ask the run tasks, whatever else is chosen
    #[arg(long, conflicts_with = "disconnect")]
    pub global: bool,
    /// Whether runs that do not pass stop [default: mandatory if any check is; where attached already, as it is]
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub enforcement_level: Option<Level>,
    /// Where Sluice was reached before: what points there is made to point here; may be given again
    #[arg(long, value_name = "URL")]
    pub replaces: Vec<String>,
    /// Write tokens and keys anew, also where all is right
    #[arg(long)]
    pub rotate: bool,
    /// Delete notification configurations of workspaces whose project has one, too
    #[arg(long)]
    pub prune: bool,
    /// Delete what is there for Sluice instead
    #[arg(long, conflicts_with_all = ["rotate", "prune", "enforcement_level"])]
    pub disconnect: bool,
    /// Only say what would be done
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    pub yes: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// One half of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Notification configurations.
    Notifications,
    /// Run tasks.
    RunTasks,
}

/// Whether a run that does not pass a run task stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// It goes on.
    Advisory,
    /// It stops.
    Mandatory,
}

impl Connect {
    /// Whether notification configurations are meant.
    #[must_use]
    pub fn notifications(&self) -> bool {
        self.only != Some(Only::RunTasks)
    }

    /// Whether run tasks are meant.
    #[must_use]
    pub fn run_tasks(&self) -> bool {
        self.only != Some(Only::Notifications)
    }
}

const ENVIRONMENT: &str = "Environment:
  API_TOKEN                     a team or user token of HCP Terraform with admin access to the workspaces, which may
                                manage run tasks; an organization token does for run tasks alone
  NOTIFICATION_TOKEN            the first of these is written to notification configurations
  TFE_ADDRESS                   the instance [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one
  SLUICE_PUBLIC_URL             where HCP Terraform reaches Sluice, unless --url says
  SLUICE_API_REQUESTS_PER_SECOND  how many requests HCP Terraform is sent in a second [default: 30]
  SLUICE_CA_BUNDLE              a file of PEM certificates to trust besides the public roots
  The variables that run tasks' definitions name with env: are read as well.";
