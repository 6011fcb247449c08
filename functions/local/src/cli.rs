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
    /// Show what would run if outputs of a workspace changed, in order and with reasons
    Plan(Plan),
    /// Show what was decided about a workspace, when and why
    Decisions(Decisions),
    /// Read every workspace of an organization, so that the graph is whole
    Backfill(Backfill),
    /// List the work that was given up, or take it up again
    Replay(Replay),
    /// Store run tasks and policies from a file, or list those that are stored
    Tasks(Tasks),
    /// Stop the creation of runs at once; what is due waits
    Pause(Pause),
    /// Let runs be created again
    Resume(Resume),
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
    /// Run tasks and policies to store before anything else, as sluice tasks takes them
    #[arg(long, value_name = "FILE")]
    pub tasks: Option<PathBuf>,
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

/// `sluice plan`.
#[derive(Debug, Args)]
#[command(after_long_help = PLAN_ENVIRONMENT)]
pub struct Plan {
    /// The workspace that would change
    #[arg(value_name = "ORGANIZATION/WORKSPACE")]
    pub workspace: String,
    /// Only this output would change; may be given again
    #[arg(long, value_name = "NAME")]
    pub output: Vec<String>,
    /// Print JSON, as GET /plan/{organization}/{workspace} answers
    #[arg(long)]
    pub json: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice decisions`.
#[derive(Debug, Args)]
#[command(after_long_help = GRAPH_ENVIRONMENT)]
pub struct Decisions {
    /// The workspace
    #[arg(value_name = "ORGANIZATION/WORKSPACE")]
    pub workspace: String,
    /// Most decisions that are shown, the newest first
    #[arg(long, default_value = "20", value_name = "COUNT")]
    pub limit: u16,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice backfill`.
#[derive(Debug, Args)]
#[command(after_long_help = BACKFILL_ENVIRONMENT)]
pub struct Backfill {
    /// The organizations; by default those that something is known of
    #[arg(value_name = "ORGANIZATION")]
    pub organizations: Vec<String>,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice tasks`.
#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_ENVIRONMENT)]
pub struct Tasks {
    /// A file of JSON: {"tasks": [...], "policies": {"name": "directory or bundle.tar.gz"}}; without it, what is stored
    /// is listed
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Only say whether the file is valid
    #[arg(long, requires = "file")]
    pub check: bool,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice pause`.
#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_ENVIRONMENT)]
pub struct Pause {
    /// Why, for those who wonder
    #[arg(long, value_name = "TEXT", default_value = "a person said so")]
    pub why: String,
    /// The store.
    #[command(flatten)]
    pub store: Store,
}

/// `sluice resume`.
#[derive(Debug, Args)]
#[command(after_long_help = REPLAY_ENVIRONMENT)]
pub struct Resume {
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
  SLUICE_AUTONOMY               run, plan or observe, where no rule and no tag says otherwise [default: run]
  SLUICE_AUTONOMY_RULES         organization/workspace=autonomy, with * for any text; several, separated by commas
  SLUICE_AFTER_FAILURE          hold or continue: what is below a workspace whose run failed [default: hold]
  SLUICE_PERSON_WAIT_SECONDS    how long a run may wait for a person before others go on [default: 3600]
  SLUICE_PENDING_WAIT_SECONDS   how long a run may be queued before others go on [default: 86400]
  SLUICE_SETTLE_SECONDS         how long outputs must have been unchanged before their readers run [default: 0]
  SLUICE_DEPTH_MAX              how many steps a change may travel; 0 is no limit [default: 32]
  SLUICE_WAVE_RUNS_MAX          how many runs one change may set off; 0 is no limit [default: 500]
  SLUICE_RUNS_PER_HOUR          how many runs may be created in an hour; 0 is no limit [default: 1000]
  SLUICE_CONCURRENT_RUNS        how many runs may be under way at once [default: no limit]
  SLUICE_API_REQUESTS_PER_SECOND  how many requests HCP Terraform is sent in a second [default: 30]
  SLUICE_WATCH_SECONDS          how long a run may be silent before it is asked for [default: 600]
  SLUICE_SURVEY_SECONDS         how often what no notification told is looked for [default: 300]
  SLUICE_ALLOW_UNSIGNED         true takes notifications without a signature; never on a public address
  SLUICE_GATE_KEY               what access tokens of run tasks are sealed with; needed with a real table
  SLUICE_OPERATOR_TOKEN         tokens of people who may read and write the context of any run
  SLUICE_PUBLIC_URL             where other checkers and jobs reach Sluice [default: the address it listens on]
  SLUICE_CHECKER_HOSTS          hosts, *.suffixes and networks that http checks may reach though they are private
  SLUICE_PLAN_BYTES_MAX         the largest plan that checks read [default: 104857600]
  SLUICE_JOB_NAMESPACE          where jobs run, unless their settings say [default: sluice]
  SLUICE_JOB_SETTINGS           settings of all jobs' pods, as a JSON object of texts
  SLUICE_KUBECONFIG             a kubeconfig [default: KUBECONFIG, or ~/.kube/config]
  SLUICE_KUBE_CONTEXT           the context in it [default: its current one]
  SLUICE_EKS_CLUSTER            the EKS cluster where jobs run, instead of a kubeconfig's
  SLUICE_KUBERNETES_URL         its API server endpoint
  SLUICE_KUBERNETES_CA          its certificate authority, in base64
  SLUICE_TASK_SSH_HOST          the SSH host that Lagoon's images are told
  SLUICE_TASK_SSH_PORT          its port
  SLUICE_CA_BUNDLE              a file of PEM certificates to trust besides the public roots
  SLUICE_LOG                    error, warn, info, debug or trace [default: info]
  SLUICE_METRICS                true: prints metrics, in CloudWatch's embedded format [default: false]
  NO_COLOR                      if set, nothing is printed in colour";

const GRAPH_ENVIRONMENT: &str = "Environment:
  TFE_ADDRESS                   the instance whose graph is meant [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one";

const PLAN_ENVIRONMENT: &str = "Environment:
  TFE_ADDRESS                   the instance that is meant [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one
  SLUICE_AUTONOMY, SLUICE_AUTONOMY_RULES, SLUICE_AFTER_FAILURE, SLUICE_DEPTH_MAX, SLUICE_WAVE_RUNS_MAX
                                what is allowed, as sluice serve has it";

const BACKFILL_ENVIRONMENT: &str = "Environment:
  API_TOKEN                     a team or user token of HCP Terraform that may read state; without it, or beside a
                                running sluice serve, the reading is left to whoever serves the table
  TFE_ADDRESS                   the instance [default: https://app.terraform.io]
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one
  SLUICE_DIGEST_KEY             the key of output digests; needed with a real table
  SLUICE_API_REQUESTS_PER_SECOND  how many requests HCP Terraform is sent in a second [default: 30]
  SLUICE_CA_BUNDLE              a file of PEM certificates to trust besides the public roots";

const REPLAY_ENVIRONMENT: &str = "Environment:
  WORKSPACE_DEPENDENCIES_TABLE  a real DynamoDB table, reached by the AWS settings; without it the embedded one";
