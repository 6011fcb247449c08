//! How a simulated HCP Terraform is set up: its organization, token, speed, limits and download style.

use std::collections::BTreeSet;
use std::time::Duration;

use super::tasks::TaskOptions;

/// What [`Hcp::start`](super::Hcp::start) needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// The organization that workspaces belong to unless they say otherwise.
    pub organization: String,
    /// A user token, valid from the start; [`Hcp::add_token`](super::Hcp::add_token) adds others.
    pub token: String,
    /// The user that token belongs to.
    pub user: String,
    /// The port to listen on; 0 takes any free one.
    pub port: u16,
    /// How long each phase of a run takes.
    pub timings: Timings,
    /// The request limits in force.
    pub limits: Limits,
    /// Where state files are downloaded from.
    pub downloads: Downloads,
    /// How run tasks are asked.
    pub tasks: TaskOptions,
    /// What plans look like as JSON.
    pub plans: Plans,
    /// Which of its kind it is.
    pub server: Server,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            organization: "acme".to_owned(),
            token: "user-token-of-jo".to_owned(),
            user: "jo".to_owned(),
            port: 0,
            timings: Timings::default(),
            limits: Limits::default(),
            downloads: Downloads::SameHost,
            tasks: TaskOptions::default(),
            plans: Plans::default(),
            server: Server::default(),
        }
    }
}

/// How long things take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timings {
    /// From a run's turn in its workspace's queue to `planning`.
    pub queue: Duration,
    /// From `planning` to the plan's end.
    pub plan: Duration,
    /// From `applying` to the apply's end.
    pub apply: Duration,
    /// From a cancel request to `canceled`, for a run that is planning or applying.
    pub cancel: Duration,
    /// From a state version's creation to its `resources-processed`.
    pub processing: Duration,
    /// From a run's `applied` to its state version being the current one. On HCP Terraform the order of the two is not
    /// documented, so a client must live with both.
    pub state_lag: Duration,
}

impl Timings {
    /// Every phase of a run takes `phase`.
    #[must_use]
    pub fn uniform(phase: Duration) -> Self {
        Self { queue: phase, plan: phase, apply: phase, ..Self::default() }
    }
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            queue: Duration::from_millis(5),
            plan: Duration::from_millis(15),
            apply: Duration::from_millis(15),
            cancel: Duration::from_millis(10),
            processing: Duration::ZERO,
            state_lag: Duration::ZERO,
        }
    }
}

/// The API's request limits; `None` lifts one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests in any one second, per user.
    pub per_second: Option<u32>,
    /// Run lists in any one minute, per user and kind of list (of a workspace, of an organization).
    pub run_lists_per_minute: Option<u32>,
}

impl Limits {
    /// No limit at all.
    pub const NONE: Self = Self { per_second: None, run_lists_per_minute: None };
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_second: Some(30), run_lists_per_minute: Some(30) }
    }
}

/// What `hosted-state-download-url` looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Downloads {
    /// A path only, on the API's host, with the bearer token: as OTF does.
    RelativePath,
    /// An absolute URL on the API's host that answers 401 without the bearer token: as HCP Terraform does since 2023.
    #[default]
    SameHost,
    /// As `SameHost`, but the answer is a redirect to a pre-signed URL on the archivist.
    Redirect,
    /// A pre-signed URL on the archivist, which must never see the bearer token: as the documentation shows.
    Archivist,
}

/// What plans look like as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Plans {
    /// Outputs that follow everything read go through the managed resource: they are known only after apply whenever
    /// that changes.
    pub known_after_apply: bool,
    /// Plans are filled up to this many bytes with resources in which nothing changes.
    pub bytes: u64,
}

/// Which instance it is: what it says of itself, and what an older one does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `TFP-AppName`, if it says so.
    pub app_name: Option<String>,
    /// `TFP-API-Version`.
    pub api_version: String,
    /// `X-TFE-Version`, which HCP Terraform has none of.
    pub release: Option<String>,
    /// Whether there are projects.
    pub projects: bool,
    /// Whether projects have notification configurations.
    pub project_notifications: bool,
    /// The triggers that it does not know, or not any more.
    pub unknown_triggers: BTreeSet<String>,
    /// How many seconds the `Date` of its answers is ahead of the true time.
    pub seconds_ahead: i64,
    /// How many run tasks an organization may have.
    pub run_task_limit: Option<u32>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            app_name: Some("HCP Terraform".to_owned()),
            api_version: "2.6".to_owned(),
            release: None,
            projects: true,
            project_notifications: true,
            unknown_triggers: BTreeSet::new(),
            seconds_ahead: 0,
            run_task_limit: None,
        }
    }
}

/// What whoever a token belongs to has been given. An organization's own token lacks more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "these are permissions, each given or not")]
pub struct Rights {
    /// To be an admin of workspaces and projects, who alone manage notification configurations.
    pub admin: bool,
    /// To manage run tasks.
    pub run_tasks: bool,
    /// To create runs and apply them.
    pub runs: bool,
    /// To read whole states.
    pub states: bool,
}

impl Rights {
    /// All of them.
    pub const ALL: Self = Self { admin: true, run_tasks: true, runs: true, states: true };
    /// None: the organization and its workspaces can be seen, and that is all.
    pub const NONE: Self = Self { admin: false, run_tasks: false, runs: false, states: false };
}

/// Whom a token belongs to, which decides what it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A person's.
    User,
    /// A team's; its permissions are a person's.
    Team,
    /// The organization's own: it can neither create nor steer runs, nor manage notification configurations.
    Organization,
}
